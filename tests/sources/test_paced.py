"""A video played at its own pace."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from media_factory import grays_of, make_clip, make_image
from PIL import Image

from streamcam.errors import InvalidArgumentError
from streamcam.media.images import planes_of
from streamcam.sources import Source, SourceSettings, open_source
from streamcam.sources.base import StopFlag
from streamcam.sources.paced import PacedSource


class PatientStop(StopFlag):
    """A stop that notes how long it was waited for, and lets time stand still.

    Attributes:
        waited: In seconds.
    """

    def __init__(self, stop_after: int = 1000) -> None:
        super().__init__()
        self.waited: list[float] = []
        self._left = stop_after

    def wait(self, timeout_s: float) -> bool:
        self.waited.append(timeout_s)
        self._left -= 1
        if self._left < 0:
            self.set()
        return self.is_set()


def stand_still() -> float:
    return 1000.0


def playing(
    clip: Path,
    stop_flag: StopFlag,
    *,
    loop: bool = False,
    clock: Callable[[], float] = stand_still,
) -> PacedSource:
    """Play a video with a clock and a stop of the test."""

    def opener() -> Source:
        return open_source(clip)

    source = PacedSource(opener(), opener if loop else None, clock=clock)
    source.stop_flag = stop_flag
    return source


def test_each_frame_waits_until_it_is_due(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=4)
    stop = PatientStop()
    frames = list(playing(clip, stop))
    assert stop.waited == pytest.approx([0.0, 0.04, 0.08, 0.12])
    assert [frame.time_s for frame in frames] == pytest.approx([0.0, 0.04, 0.08, 0.12])
    assert [frame.received_at for frame in frames] == pytest.approx([1000, 1000.04, 1000.08, 1000.12])
    assert [planes_of(frame.image)[0].mean() for frame in frames] == pytest.approx(grays_of(clip))


def test_what_is_shown_live_has_8_bits_and_no_more_colors_than_a_camera_gives(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", frames=1, codec="ffv1", pixel_format="yuv422p10le")
    with open_source(clip, SourceSettings(real_time=True)) as source:
        (frame,) = source
    assert frame.image.format.name == "yuv420p"


def test_a_loop_goes_on_counting(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=3)
    stop = PatientStop(stop_after=9)  # three frames and the pause behind them, twice; and one more
    frames = list(playing(clip, stop, loop=True))
    assert [frame.index for frame in frames] == list(range(7))
    assert all(one.pts < other.pts for one, other in itertools.pairwise(frames))
    grays = grays_of(clip)
    assert [planes_of(frame.image)[0].mean() for frame in frames] == pytest.approx([*grays, *grays, grays[0]])


def test_a_stop_ends_it_in_the_middle(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=10)
    frames = list(playing(clip, PatientStop(stop_after=2), clock=time.monotonic))
    assert len(frames) == 2


def test_a_video_that_lags_behind_is_not_hurried(tmp_path: Path) -> None:
    times = iter([100.0, 100.0, 105.0])  # the machine slept before the second frame
    clip = make_clip(tmp_path / "clip.mp4", frames=3)
    stop = PatientStop()
    list(playing(clip, stop, clock=lambda: next(times, 105.0)))
    assert stop.waited == pytest.approx([0.0, 0.0, 0.04])


def test_an_image_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    Image.fromarray(make_image(8, 8).to_ndarray(format="rgb24")).save(path)
    with pytest.raises(InvalidArgumentError, match="is an image"):
        open_source(str(path), SourceSettings(real_time=True))
