from __future__ import annotations

from pathlib import Path

import pytest

from streamcam.errors import InvalidArgumentError, UnknownNameError
from streamcam.media import encoders
from streamcam.media.codecs import CODECS, VideoCodec
from streamcam.media.containers import CONTAINERS
from streamcam.media.encoders import EncoderSettings, choose_encoding


@pytest.mark.parametrize(
    ("name", "encoder", "pixel_format"),
    [
        ("out.mp4", "libx264", "yuv420p"),
        ("out.m4v", "libx264", "yuv420p"),
        ("out.mov", "libx264", "yuv420p"),
        ("out.mkv", "libx264", "yuv420p"),
        ("out.ts", "libx264", "yuv420p"),
        ("OUT.MP4", "libx264", "yuv420p"),
        ("out.webm", "libvpx-vp9", "yuv420p"),
        ("out.gif", "gif", "pal8"),
        ("out.webp", "libwebp_anim", "bgra"),
        ("out.png", "apng", "rgb24"),
        ("out.apng", "apng", "rgb24"),
    ],
)
def test_the_suffix_chooses_the_encoder(name: str, encoder: str, pixel_format: str) -> None:
    found = choose_encoding(Path(name), EncoderSettings())
    assert (found.encoder, found.pixel_format, found.notes) == (encoder, pixel_format, ())


@pytest.mark.parametrize(
    ("codec", "encoder"),
    [
        ("h264", "libx264"),
        ("libx265", "libx265"),
        ("mpeg4", "mpeg4"),
        ("ffv1", "ffv1"),
        ("vp9", "libvpx-vp9"),
        ("hevc", "libx265"),
        ("av1", "libsvtav1"),
        ("prores", "prores_ks"),
    ],
)
def test_an_encoder_is_found_by_its_codecs_name(codec: str, encoder: str) -> None:
    assert choose_encoding(Path("out.mkv"), EncoderSettings(codec)).encoder == encoder


@pytest.mark.parametrize(
    ("codec", "asked", "given", "pixel_format"),
    [
        ("libx264", None, "yuv420p", "yuv420p"),
        ("libx264", None, "yuv420p10le", "yuv420p10le"),
        ("libx264", 8, "yuv420p10le", "yuv420p"),
        ("libx264", 10, "yuv420p", "yuv420p10le"),
        ("libx265", None, "yuv420p10le", "yuv420p10le"),
        ("libsvtav1", None, "yuv420p10le", "yuv420p10le"),
        ("ffv1", None, "yuv420p12le", "yuv420p10le"),
        ("prores_ks", None, "yuv420p", "yuv422p10le"),
        ("mpeg4", None, "yuv420p", "yuv420p"),
        ("libvpx", None, "yuv420p10le", "yuv420p"),
    ],
)
def test_encoders_get_the_depth_that_is_wanted_or_the_nearest(
    codec: str, asked: int | None, given: str, pixel_format: str
) -> None:
    found = choose_encoding(Path("out.mkv"), EncoderSettings(codec, depth=asked), pixel_format=given)
    assert found.pixel_format == pixel_format
    notes = {
        "libvpx": ("samples of 10 bits are written with 8: libvpx takes no more",),
        "ffv1": ("samples of 12 bits are written with 10: ffv1 takes no more",),
    }
    assert found.notes == notes.get(codec, ())


REDUCED = "colors of 4:2:2 are written as 4:2:0"
KEEPS = "which all players show; `chroma`"


@pytest.mark.parametrize(
    ("codec", "asked", "given", "pixel_format", "note"),
    [
        ("libx264", None, "yuv422p", "yuv420p", f"{REDUCED}, {KEEPS} 422 keeps them"),
        ("libx265", None, "yuv422p10le", "yuv420p10le", f"{REDUCED}, {KEEPS} 422 keeps them"),
        ("libvpx-vp9", None, "yuv422p", "yuv420p", f"{REDUCED}, {KEEPS} 422 keeps them"),
        ("libsvtav1", None, "yuv422p", "yuv420p", f"{REDUCED}: libsvtav1 takes no more"),
        ("mpeg4", None, "yuv422p", "yuv420p", f"{REDUCED}: mpeg4 takes no more"),
        ("libx264", "422", "yuv422p", "yuv422p", None),
        ("libx264", "444", "yuv420p10le", "yuv444p10le", None),
        ("libx264", "420", "yuv444p", "yuv420p", None),
        ("libvpx-vp9", "444", "yuv444p", "yuv444p", None),
        ("ffv1", None, "yuv422p", "yuv422p", None),
        ("ffv1", None, "yuv444p10le", "yuv444p10le", None),
        ("ffv1", "420", "yuv444p10le", "yuv420p10le", None),
        ("prores", None, "yuv422p10le", "yuv422p10le", None),
        ("prores", None, "yuv444p", "yuv444p10le", None),
        ("mpeg2video", None, "yuv422p", "yuv422p", None),
        (
            "mpeg2video",
            None,
            "yuv444p",
            "yuv422p",
            "colors of 4:4:4 are written as 4:2:2: mpeg2video takes no more",
        ),
    ],
)
def test_encoders_get_the_chroma_that_is_wanted_or_the_nearest(
    codec: str, asked: str | None, given: str, pixel_format: str, note: str | None
) -> None:
    found = choose_encoding(Path("out.mkv"), EncoderSettings(codec, chroma=asked), pixel_format=given)
    assert (found.pixel_format, found.notes) == (pixel_format, () if note is None else (note,))


@pytest.mark.parametrize(
    ("codec", "depth", "chroma", "told"),
    [
        ("libvpx", 10, None, r"10-bit YUV images .*; leave `depth` out"),
        ("prores", 8, None, r"8-bit YUV images .*; leave `depth` out"),
        ("libsvtav1", None, "422", r"4:2:2 YUV images \(only yuv420p, yuv420p10le\); leave `chroma` out"),
        ("prores", None, "420", r"4:2:0 YUV images .*; leave `chroma` out"),
        ("av1", 10, "444", r"10-bit 4:4:4 YUV images .*; leave `depth` and `chroma` out"),
    ],
)
def test_samples_that_an_encoder_does_not_take_are_refused(
    codec: str, depth: int | None, chroma: str | None, told: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=f"takes no {told}"):
        choose_encoding(Path("out.mkv"), EncoderSettings(codec, depth=depth, chroma=chroma))


@pytest.mark.parametrize("name", ["out.gif", "out.webp", "out.png"])
def test_animations_have_no_chroma(name: str) -> None:
    assert choose_encoding(Path(name), EncoderSettings(), pixel_format="yuv444p").notes == ()
    with pytest.raises(
        InvalidArgumentError, match=f"a {Path(name).suffix} file is made of RGB; leave `chroma`"
    ):
        choose_encoding(Path(name), EncoderSettings(chroma="444"))


def test_hardware_is_used_where_it_works_and_software_where_not(monkeypatch: pytest.MonkeyPatch) -> None:
    # What stands in for hardware here: an encoder that does not exist, one that cannot start, one that can.
    works = ("nonsuch", "h264_v4l2m2m", "mpeg4")
    monkeypatch.setitem(CODECS, "h264", VideoCodec("libx264", works))
    found = choose_encoding(Path("out.mp4"), EncoderSettings("auto"))
    assert (found.encoder, found.notes) == ("mpeg4", ("encoded in hardware by mpeg4",))
    monkeypatch.setitem(CODECS, "h264", VideoCodec("libx264", works[:2]))
    found = choose_encoding(Path("out.mp4"), EncoderSettings("auto", crf=18))
    assert (found.encoder, found.options["crf"]) == ("libx264", "18")
    assert found.notes == ("encoded in software by libx264: no hardware encoder for h264 works here",)


def test_hardware_that_does_not_work_says_what_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CODECS, "h264", VideoCodec("libx264", ("h264_v4l2m2m",)))
    with pytest.raises(
        InvalidArgumentError, match=r"'h264_v4l2m2m' does not start here.*; `codec='auto'` takes what works"
    ):
        choose_encoding(Path("out.mp4"), EncoderSettings("h264_v4l2m2m"))


def test_quality_is_told_in_an_encoders_own_word() -> None:
    options = choose_encoding(Path("out.webp"), EncoderSettings(crf=40)).options
    assert options["quality"] == "40"
    assert "crf" not in options


def test_every_encoder_of_this_build_takes_its_options() -> None:
    for name, codec in CODECS.items():
        encoder = codec.software
        suffixes = [suffix for suffix, kind in CONTAINERS.items() if kind.codec == name] or [".mkv"]
        assert choose_encoding(Path(f"out{suffixes[0]}"), EncoderSettings(encoder)).encoder == encoder


@pytest.mark.parametrize("name", ["out", "out.txt", "out.avi", "out.mp4.part"])
def test_other_suffixes_are_refused(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match=rf"'{name}' does not name a kind of video; use .mp4"):
        choose_encoding(Path(name), EncoderSettings())


@pytest.mark.parametrize(
    ("name", "codec", "told"),
    [
        ("out.webm", "libx264", "a .webm file cannot hold h264; choose another `codec` or suffix"),
        ("out.webm", "ffv1", "a .webm file cannot hold ffv1"),
        ("out.mov", "ffv1", "a .mov file cannot hold ffv1"),
        ("out.ts", "vp9", "a .ts file cannot hold vp9"),
        ("out.ts", "ffv1", "a .ts file cannot hold ffv1"),
        ("out.mp4", "prores", "a .mp4 file cannot hold prores"),
        ("out.gif", "libx264", "a .gif file cannot hold h264"),
        ("out.webp", "gif", "a .webp file cannot hold gif"),
    ],
)
def test_what_a_container_cannot_hold_is_said_before_any_work(name: str, codec: str, told: str) -> None:
    with pytest.raises(InvalidArgumentError, match=told):
        choose_encoding(Path(name), EncoderSettings(codec))


def test_unknown_codecs_are_told_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown codec 'libx26'; the nearest are: .*libx264"):
        choose_encoding(Path("out.mp4"), EncoderSettings("libx26"))


def test_codecs_that_can_only_be_decoded_are_unknown_here() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown codec 'cook'"):
        choose_encoding(Path("out.mkv"), EncoderSettings("cook"))


def test_audio_codecs_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"codec 'aac' encodes audio, not video; try libx264"):
        choose_encoding(Path("out.mp4"), EncoderSettings("aac"))


def test_encoders_without_yuv_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"codec 'gif' takes no YUV images"):
        choose_encoding(Path("out.mkv"), EncoderSettings("gif"))


@pytest.mark.parametrize(
    ("codec", "crf", "given"), [("libx264", 0, "0"), ("libx264", 18.5, "18.5"), ("vp9", 63, "63")]
)
def test_the_quality_is_passed_on(codec: str, crf: float, given: str) -> None:
    assert choose_encoding(Path("out.mkv"), EncoderSettings(codec, crf=crf)).options["crf"] == given


@pytest.mark.parametrize(
    ("codec", "crf", "told"),
    [
        ("libx264", -1, "`crf` -1 is no quality"),
        ("libvpx-vp9", -1, "`crf` -1 is no quality"),
        ("libx264", float("nan"), "`crf` nan is no quality"),
        ("libx264", float("inf"), "`crf` inf is no quality"),
        ("libx264", 52, "`crf` 52 is beyond the worst, 51"),
        ("libx265", 99, "`crf` 99 is beyond the worst, 51"),
        ("libvpx-vp9", 64, "codec 'libvpx-vp9' does not start here with `crf=64`"),
    ],
)
def test_qualities_out_of_range_are_refused(codec: str, crf: float, told: str) -> None:
    with pytest.raises(InvalidArgumentError, match=told):
        choose_encoding(Path("out.mkv"), EncoderSettings(codec, crf=crf))


def test_presets_are_passed_on() -> None:
    assert choose_encoding(Path("out.mp4"), EncoderSettings(preset="slow")).options["preset"] == "slow"


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_unknown_presets_are_told_the_known(codec: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown preset 'fastest'; choose one of: fast, faster"):
        choose_encoding(Path("out.mkv"), EncoderSettings(codec, preset="fastest"))
    assert capfd.readouterr() == ("", "")


def test_presets_an_encoder_does_not_know_are_refused(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InvalidArgumentError, match=r"'libsvtav1' does not start here with `preset=fastest`"):
        choose_encoding(Path("out.mkv"), EncoderSettings("libsvtav1", preset="fastest"))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (EncoderSettings("mpeg4", crf=20), "codec 'mpeg4' has no `crf`; leave it out"),
        (EncoderSettings("libvpx-vp9", preset="fast"), "codec 'libvpx-vp9' has no `preset`; leave it out"),
    ],
)
def test_options_an_encoder_does_not_have_are_refused(settings: EncoderSettings, told: str) -> None:
    with pytest.raises(InvalidArgumentError, match=told):
        choose_encoding(Path("out.mkv"), settings)


@pytest.mark.parametrize("has_avx512", [True, False])
def test_x264_does_without_the_code_that_does_not_repeat_itself(
    has_avx512: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With AVX-512, its macroblock trees made other videos of the same images, in one of some runs."""
    monkeypatch.setattr(encoders, "has_avx512", lambda: has_avx512)
    options = choose_encoding(Path("out.mp4"), EncoderSettings()).options
    assert options.get("x264-params") == ("asm=AVX2" if has_avx512 else None)
    assert "x264-params" not in choose_encoding(Path("out.mp4"), EncoderSettings("libx265")).options


def test_auto_is_not_advised_to_those_who_asked_for_it(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CODECS, "h264", VideoCodec("libx264", ("h264_v4l2m2m",)))
    with caplog.at_level("INFO", "streamcam.media"):
        choose_encoding(Path("out.mp4"), EncoderSettings("auto"))
    assert "h264_v4l2m2m is not used: codec 'h264_v4l2m2m' does not start here" in caplog.text
    assert "codec='auto'" not in caplog.text
