from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media_factory import (
    Audio,
    gray_of,
    make_clip,
    paint_quadrants,
)
from PIL import Image
from video_runs import mean_lumas, read_video

from streamcam.errors import SourceError
from streamcam.frames import ColorTags, SourceInfo, SourceReport
from streamcam.media.images import coding_of, planes_of, tags_of
from streamcam.sources import open_source

# Timing


@pytest.mark.parametrize(
    ("time_base", "pts"),
    [
        (Fraction(1, 25), [0, 1, 2, 3, 4, 5]),
        (Fraction(1, 12800), [0, 512, 1024, 1536, 2048]),
        (Fraction(1, 12800), [0, 500, 1050, 1600, 5000, 5001, 9000]),
        (Fraction(1, 90000), [0, 3003, 6006, 9009, 40000, 90001]),
        (Fraction(1, 30000), [0, 1001, 2002, 3003, 30030]),
    ],
)
@pytest.mark.parametrize("b_frames", [0, 2])
def test_every_frame_has_the_time_the_file_gives_it(
    time_base: Fraction, pts: list[int], b_frames: int, tmp_path: Path
) -> None:
    clip = make_clip(tmp_path / "clip.mp4", time_base=time_base, pts=pts, b_frames=b_frames)
    frames, info, report = read_video(clip)
    assert info.time_base == time_base
    assert [frame.pts for frame in frames] == pts
    assert [frame.image.pts for frame in frames] == pts
    assert [frame.index for frame in frames] == list(range(len(pts)))
    assert report == SourceReport(frames_read=len(pts))
    np.testing.assert_allclose(mean_lumas(frames), [gray_of(index) for index in range(len(pts))], atol=3)


def test_frames_without_a_time_get_one_from_the_rate(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.h264", container_format="h264", frames=5)
    frames, info, report = read_video(clip)
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.04, 0.08, 0.12, 0.16])
    assert info.rate == 25
    assert report == SourceReport(frames_read=5)


def test_repeated_times_are_told_apart(tmp_path: Path) -> None:
    clip = make_clip(
        tmp_path / "clip.mkv", codec="ffv1", time_base=Fraction(1, 1000), pts=[0, 40, 40, 40, 80, 120]
    )
    assert [frame.pts for frame in read_video(clip)[0]] == [0, 40, 41, 42, 80, 120]


def test_a_video_whose_clock_starts_anew_goes_on(tmp_path: Path) -> None:
    first = make_clip(tmp_path / "first.ts", frames=50, gop=10)
    twice = tmp_path / "twice.ts"
    twice.write_bytes(first.read_bytes() * 2)
    frames, _, _ = read_video(twice)
    assert len(frames) == 100
    steps = np.diff([frame.time_s for frame in frames])
    np.testing.assert_allclose(steps, 0.04, atol=0.001)


def test_a_video_that_begins_late_says_where(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.ts", pts=range(175, 185))
    frames, info, _ = read_video(clip)
    assert [frame.pts for frame in frames] == [3600 * index for index in range(175, 185)]
    assert info.origin_s == 7.0


def test_frames_know_when_they_were_decoded(tmp_path: Path) -> None:
    frames, _, _ = read_video(make_clip(tmp_path / "clip.mp4", frames=3))
    times = [frame.received_at for frame in frames]
    assert times == sorted(times)


# What the source says of itself


def test_a_video_describes_itself(tmp_path: Path) -> None:
    clip = make_clip(
        tmp_path / "clip.mp4",
        frames=10,
        time_base=Fraction(1, 12800),
        sample_aspect_ratio=Fraction(4, 3),
        color=ColorTags(1, 1, 1, 1),
        audio=[Audio()],
    )
    _, info, _ = read_video(clip)
    assert info == SourceInfo(
        name=str(clip),
        path=clip,
        width=64,
        height=48,
        time_base=Fraction(1, 12800),
        rate=Fraction(25),
        frame_count=10,
        duration_s=0.4,
        video_stream=0,
        sample_aspect_ratio=Fraction(4, 3),
        color=ColorTags(1, 1, 1, 1),
    )


def test_a_video_without_a_count_is_expected_to_be_as_long_as_it_says(tmp_path: Path) -> None:
    _, info, _ = read_video(make_clip(tmp_path / "clip.mkv", frames=10))
    assert info.frame_count == 10
    assert info.duration_s == pytest.approx(0.4, abs=0.001)


def test_turned_videos_have_the_size_and_pixel_shape_that_is_seen(tmp_path: Path) -> None:
    clip = make_clip(
        tmp_path / "clip.mp4", rotation=90, sample_aspect_ratio=Fraction(4, 3), paint=paint_quadrants
    )
    frames, info, _ = read_video(clip)
    assert (info.width, info.height) == (48, 64)
    assert info.sample_aspect_ratio == Fraction(3, 4)
    assert {(frame.image.width, frame.image.height) for frame in frames} == {(48, 64)}


def test_odd_sizes_are_read_as_they_are(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", codec="ffv1", size=(65, 47))
    frames, info, _ = read_video(clip)
    assert (info.width, info.height) == (65, 47)
    assert planes_of(frames[0].image)[1].shape == (24, 33)


def test_a_change_of_size_is_brought_to_the_first_and_noted(tmp_path: Path) -> None:
    first = make_clip(tmp_path / "first.ts", pts=range(100, 105))
    second = make_clip(tmp_path / "second.ts", pts=range(105, 110), size=(96, 80))
    joined = tmp_path / "joined.ts"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    frames, info, report = read_video(joined)
    assert (info.width, info.height) == (64, 48)
    assert {(frame.image.width, frame.image.height) for frame in frames} == {(64, 48)}
    assert len(frames) == 10
    middles = [float(planes_of(frame.image)[0][:, 20:-20].mean()) for frame in frames]
    np.testing.assert_allclose(middles, [gray_of(index % 5) for index in range(10)], atol=3)
    assert report.notes == (
        "the image changes from 64x48 to 96x80 at 0.2 s; all of it is shown in the first size, with bars "
        "where the shape differs",
    )


# Color


def test_frames_carry_their_color_tags(tmp_path: Path) -> None:
    frames, info, _ = read_video(make_clip(tmp_path / "clip.mp4", frames=2, color=ColorTags(2, 1, 1, 13)))
    assert info.color == ColorTags(2, 1, 1, 13)
    assert tags_of(frames[1].image) == ColorTags(2, 1, 1, 13)
    assert frames[0].image.format.name == "yuv420p"


@pytest.mark.parametrize("encoded_format", ["yuv420p10le", "yuv422p", "yuv444p10le", "yuvj422p"])
def test_pixel_formats_are_kept_as_far_as_they_are_planar(encoded_format: str, tmp_path: Path) -> None:
    codec = "mjpeg" if encoded_format.startswith("yuvj") else "libx264"
    clip = make_clip(tmp_path / "clip.mkv", frames=3, codec=codec, encoded_format=encoded_format)
    frames, info, _ = read_video(clip)
    wanted = encoded_format.replace("j", "")
    assert {frame.image.format.name for frame in frames} == {info.pixel_format} == {wanted}
    if codec == "libx264":
        np.testing.assert_allclose(mean_lumas(frames), [32, 48, 64], atol=3)


def test_a_video_keeps_the_pixel_format_of_its_first_image(tmp_path: Path) -> None:
    parts = [
        make_clip(tmp_path / f"{name}.ts", frames=3, encoded_format=name, options={"crf": "1"})
        for name in ("yuv422p", "yuv420p10le")
    ]
    clip = tmp_path / "clip.ts"
    clip.write_bytes(b"".join(part.read_bytes() for part in parts))
    frames, info, _ = read_video(clip)
    assert len(frames) == 6
    assert {frame.image.format.name for frame in frames} == {info.pixel_format} == {"yuv422p"}
    np.testing.assert_allclose(mean_lumas(frames), [32, 48, 64] * 2, atol=2)


def test_gifs_are_videos_too(tmp_path: Path) -> None:
    pages = [Image.new("RGB", (64, 48), (value, value, value)) for value in (0, 100, 200)]
    clip = tmp_path / "clip.gif"
    pages[0].save(clip, save_all=True, append_images=pages[1:], duration=100)
    frames, info, _ = read_video(clip)
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.1, 0.2])
    assert info.color.color_range == 2  # RGB becomes full-range YUV
    np.testing.assert_allclose(mean_lumas(frames), [0, 100, 200], atol=3)


# Which stream


def test_the_better_of_two_streams_is_used_and_said(real_media: Path) -> None:
    frames, info, report = read_video(real_media / "nasa_13013.mp4")
    assert info.video_stream == 3
    assert info.notes == ("the file holds 2 video streams; number 3 is used",)
    assert (info.width, info.height) == (480, 270)
    assert report == SourceReport(frames_read=len(frames))
    assert len(frames) == info.frame_count


def test_cover_art_is_no_video(tmp_path: Path) -> None:
    clip = tmp_path / "song.mkv"
    _make_with_cover(clip, with_video=False)
    with pytest.raises(SourceError, match=r"song.mkv' holds no video, only audio \(aac\)"):
        open_source(clip)


def test_cover_art_beside_a_video_is_left_aside(tmp_path: Path) -> None:
    clip = tmp_path / "video.mkv"
    _make_with_cover(clip, with_video=True)
    frames, info, _ = read_video(clip)
    assert (len(frames), info.width, info.notes) == (3, 64, ())


def _make_with_cover(path: Path, *, with_video: bool) -> None:
    cover = io.BytesIO()
    Image.new("RGB", (200, 200), "red").save(cover, "PNG")
    source = make_clip(path.with_name("plain.mkv"), frames=3, audio=[Audio()])
    with av.open(str(source)) as given, av.open(str(path), "w") as output:
        kept = [stream for stream in given.streams if with_video or stream.type == "audio"]
        streams = {stream.index: output.add_stream_from_template(stream) for stream in kept}
        output.add_attachment("cover.png", "image/png", cover.getvalue())
        for packet in given.demux(kept):
            if packet.size:
                packet.stream = streams[packet.stream.index]
                output.mux(packet)


def test_an_unknown_codec_is_said_to_be_one(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4")
    clip.write_bytes(clip.read_bytes().replace(b"avc1", b"zzzz").replace(b"avcC", b"zzzC"))
    with pytest.raises(SourceError, match=r"clip.mp4' is coded in a way that FFmpeg here cannot decode"):
        open_source(clip)


# Real footage


def test_a_whole_real_video_is_read(real_media: Path) -> None:
    with open_source(real_media / "car-detection.mp4") as source:
        assert source.info.frame_count == 377
        assert sum(1 for _ in source) == 377
        assert source.report() == SourceReport(frames_read=377)


def test_full_range_stays_full_range(real_media: Path) -> None:
    frames, info, _ = read_video(real_media / "bt709_full_range.mp4")
    assert info.color.color_range == 2
    assert info.color.colorspace == 1
    with av.open(str(real_media / "bt709_full_range.mp4")) as container:
        reference = next(container.decode(video=0))
    assert reference.format.name == "yuvj420p"
    for found, decoded in zip(planes_of(frames[0].image), planes_of(reference), strict=True):
        np.testing.assert_array_equal(found, decoded)


@pytest.mark.parametrize(("name", "size"), [("h264_10bits.mp4", (200, 200)), ("av1_video.mkv", (640, 360))])
def test_other_codecs_are_read(name: str, size: tuple[int, int], real_media: Path) -> None:
    with open_source(real_media / name) as source:
        assert (source.info.width, source.info.height) == size
        first = next(iter(source)).image
        assert first.format.name == ("yuv420p10le" if "10bits" in name else "yuv420p")
    with av.open(str(real_media / name)) as container:
        decoded = next(container.decode(video=0))
    reference = decoded.to_ndarray(format="yuv420p")[: size[1]]
    scale = (coding_of(first).highest + 1) / 256
    assert abs(float(planes_of(first)[0].mean()) / scale - float(reference.mean())) < 2


# Closing


def test_a_closed_video_gives_no_more_frames(tmp_path: Path) -> None:
    source = open_source(make_clip(tmp_path / "clip.mp4"))
    frames = iter(source)
    next(frames)
    source.close()
    assert list(frames) == []
    assert list(source) == []
    assert source.report() == SourceReport(frames_read=1)


@pytest.mark.parametrize(
    ("codec", "encoded_format", "read_as", "notes"),
    [
        ("rawvideo", "rgb555le", "yuv444p", ()),
        ("rawvideo", "rgb565le", "yuv444p", ()),
        ("rawvideo", "bgr8", "yuv444p", ()),
        ("rawvideo", "monob", "yuv420p", ()),
        ("ffv1", "yuv420p10le", "yuv420p10le", ()),
        ("ffv1", "yuv420p12le", "yuv420p10le", ("samples of 12 bits are reduced to 10",)),
        ("ffv1", "gray16le", "yuv420p10le", ("samples of 16 bits are reduced to 10",)),
    ],
)
def test_bits_of_a_sample(
    codec: str, encoded_format: str, read_as: str, notes: tuple[str, ...], tmp_path: Path
) -> None:
    clip = make_clip(tmp_path / "clip.nut", frames=2, codec=codec, encoded_format=encoded_format)
    with open_source(clip) as source:
        assert (source.info.pixel_format, source.info.notes) == (read_as, notes)
        assert [frame.image.format.name for frame in source] == [read_as] * 2
