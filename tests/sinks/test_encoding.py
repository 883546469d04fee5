from __future__ import annotations

from pathlib import Path

import pytest

from streamcam.errors import InvalidArgumentError, UnknownNameError
from streamcam.sinks import EncoderSettings, check_encoding
from streamcam.sinks.encoding import choose_pixel_format


@pytest.mark.parametrize(
    ("name", "encoder"),
    [
        ("out.mp4", "libx264"),
        ("out.m4v", "libx264"),
        ("out.mov", "libx264"),
        ("out.mkv", "libx264"),
        ("out.ts", "libx264"),
        ("OUT.MP4", "libx264"),
        ("out.webm", "libvpx-vp9"),
    ],
)
def test_the_suffix_chooses_the_encoder(name: str, encoder: str) -> None:
    chosen, pixel_format, options = check_encoding(Path(name), EncoderSettings())
    assert (chosen, pixel_format) == (encoder, "yuv420p")
    assert "crf" in options


@pytest.mark.parametrize(
    ("codec", "encoder"),
    [
        ("h264", "libx264"),
        ("libx265", "libx265"),
        ("mpeg4", "mpeg4"),
        ("ffv1", "ffv1"),
        ("vp9", "libvpx-vp9"),
    ],
)
def test_an_encoder_is_found_by_its_codecs_name(codec: str, encoder: str) -> None:
    assert check_encoding(Path("out.mkv"), EncoderSettings(codec))[0] == encoder


def test_encoders_get_what_they_like() -> None:
    assert choose_pixel_format("libx264") == "yuv420p"
    assert choose_pixel_format("huffyuv") == "yuv422p"


@pytest.mark.parametrize("name", ["out", "out.txt", "out.avi", "out.mp4.part"])
def test_other_suffixes_are_refused(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match=rf"cannot tell from '{name}' what kind of file to write"):
        check_encoding(Path(name), EncoderSettings())


@pytest.mark.parametrize(
    ("name", "codec", "told"),
    [
        ("out.webm", "libx264", "a .webm file cannot hold h264; choose another --codec or suffix"),
        ("out.webm", "ffv1", "a .webm file cannot hold ffv1"),
        ("out.mov", "ffv1", "a .mov file cannot hold ffv1"),
        ("out.ts", "vp9", "a .ts file cannot hold vp9"),
        ("out.ts", "ffv1", "a .ts file cannot hold ffv1"),
    ],
)
def test_what_a_container_cannot_hold_is_said_before_any_work(name: str, codec: str, told: str) -> None:
    with pytest.raises(InvalidArgumentError, match=told):
        check_encoding(Path(name), EncoderSettings(codec))


def test_unknown_codecs_are_told_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown codec 'libx26'; the nearest are: .*libx264"):
        check_encoding(Path("out.mp4"), EncoderSettings("libx26"))


def test_codecs_that_can_only_be_decoded_are_unknown_here() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown codec 'cook'"):
        check_encoding(Path("out.mkv"), EncoderSettings("cook"))


def test_sound_codecs_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"codec 'aac' encodes audio, not video; try libx264"):
        check_encoding(Path("out.mp4"), EncoderSettings("aac"))


@pytest.mark.parametrize("codec", ["gif", "prores_ks"])
def test_encoders_without_8_bit_yuv_are_refused(codec: str) -> None:
    with pytest.raises(InvalidArgumentError, match=rf"codec '{codec}' takes no 8-bit YUV pictures"):
        check_encoding(Path("out.mkv"), EncoderSettings(codec))


@pytest.mark.parametrize(
    ("codec", "crf", "given"), [("libx264", 0, "0"), ("libx264", 18.5, "18.5"), ("vp9", 63, "63")]
)
def test_the_quality_is_passed_on(codec: str, crf: float, given: str) -> None:
    assert check_encoding(Path("out.mkv"), EncoderSettings(codec, crf=crf))[2]["crf"] == given


@pytest.mark.parametrize(
    ("codec", "crf", "told"),
    [
        ("libx264", -1, "--crf -1 is no quality"),
        ("libvpx-vp9", -1, "--crf -1 is no quality"),
        ("libx264", float("nan"), "--crf nan is no quality"),
        ("libx264", float("inf"), "--crf inf is no quality"),
        ("libx264", 52, "--crf 52 is beyond the worst, 51"),
        ("libx265", 99, "--crf 99 is beyond the worst, 51"),
        ("libvpx-vp9", 64, "codec 'libvpx-vp9' does not start here with --crf 64"),
    ],
)
def test_qualities_out_of_range_are_refused(codec: str, crf: float, told: str) -> None:
    with pytest.raises(InvalidArgumentError, match=told):
        check_encoding(Path("out.mkv"), EncoderSettings(codec, crf=crf))


def test_presets_are_passed_on() -> None:
    assert check_encoding(Path("out.mp4"), EncoderSettings(preset="slow"))[2]["preset"] == "slow"


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_unknown_presets_are_told_the_known(codec: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown preset 'fastest'; choose one of: fast, faster"):
        check_encoding(Path("out.mkv"), EncoderSettings(codec, preset="fastest"))
    assert capfd.readouterr() == ("", "")


def test_presets_an_encoder_does_not_know_are_refused(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InvalidArgumentError, match=r"'libsvtav1' does not start here with --preset fastest"):
        check_encoding(Path("out.mkv"), EncoderSettings("libsvtav1", preset="fastest"))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (EncoderSettings("mpeg4", crf=20), "codec 'mpeg4' has no --crf; leave it out"),
        (EncoderSettings("libvpx-vp9", preset="fast"), "codec 'libvpx-vp9' has no --preset; leave it out"),
    ],
)
def test_options_an_encoder_does_not_have_are_refused(settings: EncoderSettings, told: str) -> None:
    with pytest.raises(InvalidArgumentError, match=told):
        check_encoding(Path("out.mkv"), settings)
