from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media_factory import (
    Audio,
    frame_times_of,
    gray_of,
    make_clip,
)
from video_runs import mean_lumas, read_video

from streamcam.errors import InvalidArgumentError, SourceError
from streamcam.frames import SourceReport
from streamcam.sources import SourceSettings, open_source

START_CASES = [(0.0, 0), (0.04, 1), (0.041, 2), (0.44, 11), (0.48, 12), (0.5, 13), (0.92, 23), (1.96, 49)]


@pytest.mark.parametrize(
    ("suffix", "b_frames"),
    [(".mp4", 0), (".mp4", 2), (".mkv", 0), (".mkv", 2), (".ts", 0), (".ts", 2), (".avi", 0)],
)
def test_trimming_is_exact_to_the_frame(suffix: str, b_frames: int, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / f"clip{suffix}", frames=50, b_frames=b_frames, audio=[Audio(duration_s=2)])
    with av.open(str(clip)) as container:
        origin_s = Fraction(container.start_time or 0, av.time_base)
        packets = [packet for packet in container.demux(video=0) if packet.dts is not None]
    times = frame_times_of(clip)
    if suffix == ".avi":  # which knows no presentation times: FFmpeg makes them up
        times = [packet.dts * packet.time_base for packet in packets if packet.dts is not None]
    times_us = [round((time - origin_s) * av.time_base) for time in times]
    assert len(times_us) == 50
    for start_s, _ in START_CASES:
        start_us, end_us = round(start_s * 1_000_000), round((start_s + 0.2) * 1_000_000)
        wanted = [index for index, time_us in enumerate(times_us) if start_us <= time_us < end_us]
        frames, _, report = read_video(clip, start_s=start_s, end_s=start_s + 0.2)
        np.testing.assert_allclose(mean_lumas(frames), [gray_of(index) for index in wanted], atol=3)
        assert report.packets_damaged == 0
        assert report.shortfall is None
        assert [frame.index for frame in frames] == list(range(len(wanted)))


@pytest.mark.parametrize(("start_s", "first"), START_CASES)
def test_a_start_between_two_frames_begins_with_the_later_one(
    start_s: float, first: int, tmp_path: Path
) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=50, b_frames=2, time_base=Fraction(1, 12800))
    frames, info, _ = read_video(clip, start_s=start_s)
    assert [frame.pts for frame in frames] == [512 * index for index in range(first, 50)]
    assert info.start_s == start_s
    assert info.duration_s == pytest.approx(2 - start_s)


def test_an_end_on_a_frame_leaves_that_frame_out(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=50)
    frames, info, report = read_video(clip, end_s=0.4)
    assert len(frames) == 10
    assert (info.end_s, info.frame_count, info.duration_s) == (0.4, 10, 0.4)
    assert report == SourceReport(frames_read=10)


def test_times_count_from_the_videos_beginning(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.ts", pts=range(175, 185))
    frames, info, _ = read_video(clip, start_s=0.2, end_s=0.32)
    assert [frame.time_s for frame in frames] == pytest.approx([7.2, 7.24, 7.28])
    assert (info.start_s, info.end_s, info.begin_s) == (7.2, 7.32, 7.2)


def test_a_video_without_times_is_trimmed_by_counting(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.h264", container_format="h264", frames=20)
    frames, _, _ = read_video(clip, start_s=0.2, end_s=0.4)
    np.testing.assert_allclose(mean_lumas(frames), [gray_of(index) for index in range(5, 10)], atol=3)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_a_start_past_the_end_is_refused(suffix: str, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / f"clip{suffix}", frames=10)
    with pytest.raises(SourceError, match=r"has no frame after 5 s; check `start_s`"):
        open_source(clip, SourceSettings(start_s=5))


def test_an_end_before_the_first_frame_is_refused(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", pts=[50, 51, 52], audio=[Audio()])
    with pytest.raises(SourceError, match=r"has no frame between 0 and 1 s; check `end_s`"):
        open_source(clip, SourceSettings(end_s=1))


@pytest.mark.parametrize(
    ("start_s", "end_s", "named"),
    [
        (-1, None, "`start_s` -1"),
        (float("nan"), None, "`start_s` nan"),
        (float("inf"), None, "`start_s` inf"),
        (None, 0, "`end_s` 0"),
        (2, 2, "`end_s` 2"),
        (2, 1, "`end_s` 1 is not after the start"),
        (None, float("nan"), "`end_s` nan"),
    ],
)
def test_times_that_make_no_sense_are_refused(
    start_s: float | None, end_s: float | None, named: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidArgumentError, match=named):
        open_source(tmp_path / "clip.mp4", SourceSettings(start_s=start_s, end_s=end_s))
