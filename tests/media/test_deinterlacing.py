from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media_factory import Painter, frame_times_of, make_clip, paint_gray
from numpy.typing import NDArray
from video_runs import FAST, pass_through, read_video

from streamcam.errors import InvalidArgumentError
from streamcam.media.encoders import EncoderSettings
from streamcam.media.images import planes_of
from streamcam.sources import SourceSettings, open_source

SIZE = (128, 96)
NOTE = "frames were deinterlaced; `keep_interlaced=True` leaves them interlaced"


def painter(field_order: str) -> Painter:
    """A bar that moves by 4 pixels from the rows that are shown first to those between, shown later."""

    def paint(index: int, planes: Sequence[NDArray[np.uint8]]) -> None:
        paint_gray(0, planes)
        for row, pixels in enumerate(planes[0]):
            later = row % 2 if field_order == "tff" else 1 - row % 2
            left = 4 * (2 * index + later)
            pixels[left : left + 8] = 220

    return paint


def make_interlaced(path: Path, field_order: str = "tff", codec: str = "libx264", first: int = 0) -> Path:
    return make_clip(
        path,
        codec=codec,
        pts=range(first, first + 10),
        size=SIZE,
        field_order=field_order,
        paint=painter(field_order),
    )


def bar_edges(image: av.VideoFrame) -> tuple[set[int], set[int]]:
    """Tell where the bar begins, in even and odd rows away from the edges."""
    luma = planes_of(image)[0][8:-8]
    starts = [int((row > 120).argmax()) for row in luma]
    return set(starts[::2]), set(starts[1::2])


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
@pytest.mark.parametrize("field_order", ["tff", "bff"])
@pytest.mark.parametrize(("suffix", "start_s", "first"), [(".mkv", None, 0), (".mp4", 0.16, 4)])
def test_interlaced_images_are_made_whole_at_their_time(
    codec: str, field_order: str, suffix: str, start_s: float | None, first: int, tmp_path: Path
) -> None:
    clip = make_interlaced(tmp_path / f"in{suffix}", field_order, codec)
    frames, info, report = read_video(clip, start_s=start_s)
    assert [frame.pts * frame.time_base for frame in frames] == frame_times_of(clip)[first:]
    assert (info.top_field_first, report.notes, report.frames_read) == (None, (NOTE,), 10 - first)
    for frame in frames:
        even, odd = bar_edges(frame.image)
        assert even == odd == {8 * (frame.index + first)}


@pytest.mark.parametrize("field_order", ["tff", "bff"])
def test_interlaced_images_can_be_kept(field_order: str, tmp_path: Path) -> None:
    clip = make_interlaced(tmp_path / "in.mp4", field_order)
    passed = pass_through(clip, tmp_path / "out.mp4", keep_interlaced=True)
    assert passed.report.notes == passed.sink_notes == ()
    assert passed.info.top_field_first is (field_order == "tff")
    with av.open(str(tmp_path / "out.mp4")) as written:
        for index, image in enumerate(written.decode(video=0)):
            assert image.interlaced_frame
            even, odd = bar_edges(image)
            assert (even, odd) == (
                {8 * index + 4 * (field_order == "bff")},
                {8 * index + 4 * (field_order == "tff")},
            )
    again, _, report = read_video(tmp_path / "out.mp4")  # the order of the fields is told truly
    assert report.notes == (NOTE,)
    assert [bar_edges(frame.image)[0] for frame in again] == [{8 * index} for index in range(10)]


def test_rows_are_not_scaled(tmp_path: Path) -> None:
    clip = make_interlaced(tmp_path / "in.mp4")
    with pytest.raises(InvalidArgumentError, match=r"leave `keep_interlaced=True` out"):
        open_source(clip, SourceSettings(keep_interlaced=True, size=(64, 48)))


def test_the_order_is_known_where_images_are_converted(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mkv", field_order="bff", pixel_format="yuv422p", size=SIZE)
    _, info, _ = read_video(clip, keep_interlaced=True)
    assert info.top_field_first is False


def test_an_encoder_that_cannot_mark_them_is_named(tmp_path: Path) -> None:
    clip = make_interlaced(tmp_path / "in.mp4")
    settings = EncoderSettings("ffv1")
    passed = pass_through(clip, tmp_path / "out.mkv", settings=settings, keep_interlaced=True)
    (note,) = passed.sink_notes
    assert note.startswith("ffv1 does not mark frames as interlaced")


def test_a_video_that_becomes_interlaced_is_followed(tmp_path: Path) -> None:
    parts = [
        make_clip(tmp_path / "whole.ts", frames=10, size=SIZE),
        make_interlaced(tmp_path / "rows.ts", first=10),
        make_clip(tmp_path / "small.ts", pts=range(20, 30), size=(64, 48), field_order="bff"),
    ]
    video = tmp_path / "video.ts"
    video.write_bytes(b"".join(part.read_bytes() for part in parts))
    frames, _, report = read_video(video)
    assert len(frames) == 30
    np.testing.assert_allclose(np.diff([frame.time_s for frame in frames]), 0.04, atol=0.001)
    assert NOTE in report.notes
    for index, frame in enumerate(frames[10:20]):
        assert bar_edges(frame.image) == ({8 * index}, {8 * index})


def test_videos_of_whole_images_are_not_touched(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", size=SIZE, paint=painter("tff"))
    passed = pass_through(clip, tmp_path / "out.mp4", settings=FAST)
    assert passed.report.notes == ()
    assert passed.info.sample_aspect_ratio in (None, Fraction(1))
