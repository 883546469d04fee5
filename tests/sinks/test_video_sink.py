from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media_factory import (
    RATE,
    Audio,
    frame_times_of,
    gray_of,
    grays_of,
    info_of,
    make_clip,
    make_image,
    names_in,
    packets_of,
    paint_noise,
)
from video_runs import FAST, pass_through, rendered, write_video

from streamcam.errors import SinkError
from streamcam.frames import ColorTags
from streamcam.media.encoders import EncoderSettings
from streamcam.media.images import planes_of
from streamcam.sinks import open_sink
from streamcam.sources import open_source

# Timing

VARIABLE = [0, 500, 1050, 1600, 5000, 5001, 9000, 90000]


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize(
    ("time_base", "pts"),
    [
        (Fraction(1, 25), list(range(10))),
        (Fraction(1, 12800), [512 * index for index in range(10)]),
        (Fraction(1, 12800), VARIABLE),
        (Fraction(1, 90000), VARIABLE),
        (Fraction(1, 1000), VARIABLE),
        (Fraction(1001, 30000), [0, 1, 2, 5, 6, 20]),
        (Fraction(1, 30000), [0, 1001, 2002, 3003, 30030]),
    ],
)
def test_every_frame_is_shown_when_it_was(
    suffix: str, time_base: Fraction, pts: list[int], tmp_path: Path
) -> None:
    path = tmp_path / f"out{suffix}"
    write_video(path, info_of(time_base=time_base), pts, EncoderSettings())
    assert frame_times_of(path) == [time * time_base for time in pts]
    np.testing.assert_allclose(grays_of(path), [gray_of(index) for index in range(len(pts))], atol=4)


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize(
    ("time_base", "pts"),
    [
        (Fraction(1, 12800), [512 * index for index in range(30)]),
        (Fraction(1, 12800), VARIABLE),
        (Fraction(1, 90000), VARIABLE),
        (Fraction(1, 30000), [1001 * index for index in range(30)]),
    ],
)
def test_videos_keep_the_very_numbers(
    suffix: str, b_frames: int, time_base: Fraction, pts: list[int], tmp_path: Path
) -> None:
    clip = make_clip(tmp_path / f"in{suffix}", time_base=time_base, pts=pts, b_frames=b_frames)
    pass_through(clip, tmp_path / f"out{suffix}", settings=None)
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        assert container.streams.video[0].time_base == time_base
        assert [frame.pts for frame in container.decode(video=0)] == pts


def test_images_that_begin_after_the_audio_keep_the_very_numbers(tmp_path: Path) -> None:
    pts = [275 + 512 * index for index in range(10)]
    clip = make_clip(
        tmp_path / "in.mp4",
        time_base=Fraction(1, 12800),
        pts=pts,
        audio=[Audio("flac")],
        muxer_options={"movie_timescale": "12800"},
    )
    assert pass_through(clip, tmp_path / "out.mp4").pts == pts
    assert frame_times_of(tmp_path / "out.mp4") == [Fraction(time, 12800) for time in pts]


@pytest.mark.parametrize("source", [".mp4", ".mkv"])
@pytest.mark.parametrize("target", [".mkv", ".webm", ".ts"])
def test_other_containers_keep_the_times_to_a_millisecond(source: str, target: str, tmp_path: Path) -> None:
    clip = make_clip(
        tmp_path / f"in{source}", time_base=Fraction(1, 1000), pts=[0, 40, 90, 300, 340, 1000, 1033, 1066]
    )
    settings = None if target == ".webm" else FAST
    pass_through(clip, tmp_path / f"out{target}", settings=settings)
    times = frame_times_of(tmp_path / f"out{target}")
    found = [float(time - times[0]) for time in times]
    np.testing.assert_allclose(found, [0, 0.04, 0.09, 0.3, 0.34, 1.0, 1.033, 1.066], atol=0.0011)


def test_a_video_that_begins_late_begins_at_once_in_the_output(tmp_path: Path) -> None:
    clip = make_clip(
        tmp_path / "in.ts", pts=range(250, 275), audio=[Audio("mp2", begin_s=10.2, duration_s=0.8)]
    )
    passed = pass_through(clip, tmp_path / "out.mp4")
    assert passed.info.origin_s == 10
    assert frame_times_of(tmp_path / "out.mp4") == [index / RATE for index in range(25)]
    given, found = (packets_of(path, "audio")[0][0] for path in (clip, tmp_path / "out.mp4"))
    assert float(found) == pytest.approx(float(given) - 10, abs=0.0001)


def test_frames_before_zero_are_not_lost(tmp_path: Path) -> None:
    write_video(tmp_path / "out.mp4", info_of(origin_s=-0.12), range(-3, 5))
    assert frame_times_of(tmp_path / "out.mp4") == [index / RATE for index in range(8)]


# What is written


@pytest.mark.parametrize(
    ("name", "codec", "container_format", "encoded_format"),
    [
        ("in.h264", "libx264", "h264", None),
        ("in.flv", "libx264", None, None),
        ("in.mpg", "mpeg2video", None, None),
        ("in.wmv", "wmv2", None, None),
        ("in.nut", "mpeg4", None, None),
        ("in.mov", "prores_ks", None, "yuv422p10le"),
        ("in.avi", "mjpeg", None, "yuvj420p"),
    ],
)
def test_videos_of_every_kind_can_be_written_anew(
    name: str, codec: str, container_format: str | None, encoded_format: str | None, tmp_path: Path
) -> None:
    clip = make_clip(
        tmp_path / name, codec=codec, container_format=container_format, encoded_format=encoded_format
    )
    passed = pass_through(clip, tmp_path / "out.mp4")
    assert (passed.report.frames_read, passed.report.shortfall) == (10, None)
    assert frame_times_of(tmp_path / "out.mp4") == [index / RATE for index in range(10)]
    if codec != "mjpeg":  # which swscale made full range of before it was encoded
        np.testing.assert_allclose(
            grays_of(tmp_path / "out.mp4"), [gray_of(index) for index in range(10)], atol=4
        )


@pytest.mark.parametrize("suffix", [".mp4", ".m4v", ".mov", ".mkv", ".webm", ".ts"])
def test_every_kind_of_video_can_be_played(
    suffix: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    clip = make_clip(tmp_path / "in.mkv", frames=30, audio=[Audio("libopus" if suffix == ".webm" else "aac")])
    path = tmp_path / f"out{suffix}"
    passed = pass_through(clip, path, settings=None)
    assert passed.sink_notes == ()
    np.testing.assert_allclose(grays_of(path), [gray_of(index) for index in range(30)], atol=4)
    with av.open(str(path)) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
        assert sum(frame.samples for frame in container.decode(audio=0)) >= 24000
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("codec", ["hevc", "av1", "vp9", "prores", "mpeg4", "ffv1"])
def test_other_encoders_write_videos_and_print_nothing(
    codec: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "out.mkv"
    write_video(path, info_of(size=(160, 96)), range(6), EncoderSettings(codec))
    assert len(grays_of(path)) == 6
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_hevc_has_the_tag_that_every_player_knows(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"out{suffix}"
    write_video(path, info_of(), range(3), EncoderSettings("hevc"))
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.codec_tag == "hvc1"


def test_mp4_files_begin_with_their_index(tmp_path: Path) -> None:
    write_video(tmp_path / "out.mp4", info_of())
    data = (tmp_path / "out.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize(
    "tags", [ColorTags(1, 1, 1, 1), ColorTags(2, 1, 1, 13), ColorTags(1, 5, 5, 6), ColorTags(1, 9, 9, 16)]
)
def test_color_tags_reach_the_file(suffix: str, tags: ColorTags, tmp_path: Path) -> None:
    path = tmp_path / f"out{suffix}"
    write_video(path, info_of(color=tags), tags=tags)
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        found = (context.color_range, context.colorspace, context.color_primaries, context.color_trc)
    assert ColorTags(*found) == tags
    np.testing.assert_allclose(grays_of(path), [gray_of(index) for index in range(5)], atol=3)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_the_shortest_videos_have_audio_times(codec: str, count: int, tmp_path: Path) -> None:
    write_video(tmp_path / "out.mp4", info_of(), range(count), EncoderSettings(codec))
    with av.open(str(tmp_path / "out.mp4")) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    assert [packet.dts for packet in packets] == [packet.pts for packet in packets]
    assert frame_times_of(tmp_path / "out.mp4") == [Fraction(index, 25) for index in range(count)]


def test_pixels_keep_their_shape(tmp_path: Path) -> None:
    write_video(tmp_path / "out.mp4", info_of(sample_aspect_ratio=Fraction(4, 3)))
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)


@pytest.mark.parametrize(
    ("size", "written"), [((65, 47), (64, 46)), ((64, 47), (64, 46)), ((33, 48), (32, 48)), ((1, 1), (2, 2))]
)
def test_odd_sizes_lose_a_row_or_column_and_say_so(
    size: tuple[int, int], written: tuple[int, int], tmp_path: Path
) -> None:
    path = tmp_path / "out.mkv"
    with open_sink(path, info_of(size=size), settings=EncoderSettings("libx264", crf=0)) as sink:
        image = make_image(*size, paint=paint_noise)
        image.pts = 0
        sink.write(rendered(image))
        (note,) = sink.notes
    assert note.startswith(f"{size[0]}x{size[1]} is written as {written[0]}x{written[1]}")
    with av.open(str(path)) as container:
        decoded = next(container.decode(video=0))
        assert (decoded.width, decoded.height) == written
        if size > written:
            for found, given in zip(planes_of(decoded), planes_of(image), strict=True):
                rows, columns = found.shape
                np.testing.assert_array_equal(found, given[:rows, :columns])


@pytest.mark.parametrize(
    ("codec", "pixel_format", "written"),
    [
        ("ffv1", "yuv420p", (65, 47)),
        ("prores", "yuv422p10le", (65, 47)),
        ("h264", "yuv422p", (64, 47)),
        ("h264", "yuv444p", (65, 47)),
    ],
)
def test_sides_are_cut_only_where_pixels_have_to_share_colors(
    codec: str, pixel_format: str, written: tuple[int, int], tmp_path: Path
) -> None:
    path = tmp_path / "out.mov" if codec == "prores" else tmp_path / "out.mkv"
    info = info_of(size=(65, 47), pixel_format=pixel_format)
    settings = EncoderSettings(codec, chroma=None if codec == "ffv1" else pixel_format[3:6])
    with open_sink(path, info, settings=settings) as sink:
        image = make_image(65, 47, pixel_format=pixel_format)
        image.pts = 0
        sink.write(rendered(image))
        assert len(sink.notes) == (written != (65, 47))
    with av.open(str(path)) as container:
        decoded = next(container.decode(video=0))
        assert (decoded.width, decoded.height) == written


def test_a_decoders_own_images_do_not_bind_the_encoder(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", frames=30, gop=1)
    with open_source(clip) as source, open_sink(tmp_path / "out.mp4", source.info, settings=FAST) as sink:
        for frame in source:
            assert frame.image.pict_type == 1
            sink.write(rendered(frame.image))
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert sum(packet.is_keyframe for packet in container.demux(video=0)) == 1


def test_images_of_another_size_are_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(SinkError, match=r"takes images of 64x48, not 32x48"),
        open_sink(tmp_path / "out.mp4", info_of(), settings=FAST) as sink,
    ):
        sink.write(rendered(make_image(32, 48)))
    assert names_in(tmp_path) == []


def test_times_that_go_back_are_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"out.mkv' cannot be written: .* \(0.08 s after 0.2 s\)"):
        write_video(tmp_path / "out.mkv", info_of(), [0, 5, 2, 1, 0, 0], EncoderSettings("ffv1"))
    assert names_in(tmp_path) == []


# Real footage


def test_full_range_footage_stays_as_it_is(real_media: Path, tmp_path: Path) -> None:
    source = real_media / "bt709_full_range.mp4"
    path = tmp_path / "out.mp4"
    pass_through(source, path)
    with av.open(str(source)) as given, av.open(str(path)) as written:
        context = written.streams.video[0].codec_context
        assert (context.color_range, context.colorspace) == (2, 1)
        means = [
            [[float(plane.mean()) for plane in planes_of(frame)] for frame in container.decode(video=0)]
            for container in (given, written)
        ]
    np.testing.assert_allclose(means[1], means[0], atol=2)


@pytest.mark.parametrize(
    ("size", "written", "change"),
    [((65, 48), "64x48", "left out"), ((1, 1), "2x2", "repeated"), ((1, 47), "2x46", "left out or repeated")],
)
def test_what_becomes_of_an_odd_row_is_noted(
    size: tuple[int, int], written: str, change: str, tmp_path: Path
) -> None:
    with open_sink(tmp_path / "out.mp4", info_of(size=size), settings=FAST) as sink:
        sink.write(rendered(make_image(*size)))
        assert any(
            f"is written as {written}" in note and note.endswith(f"is {change}") for note in sink.notes
        )
