"""Frames of a second file, at the moments of a first one's."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from streamcam.errors import SourceNotFoundError
from streamcam.media.images import planes_of
from streamcam.sources import FramesInStep, open_source
from tests.support.media_factory import gray_of, make_clip


def gray(frames: FramesInStep, time_s: float) -> float:
    return float(planes_of(frames.frame_at(time_s).image)[0].mean())


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """Ten frames, a tenth of a second each."""
    return make_clip(tmp_path / "slow.mkv", frames=10, rate=Fraction(10))


def test_the_frame_that_began_last_is_shown(slow: Path) -> None:
    with FramesInStep(slow) as frames:
        for time_s, number in ((0.0, 0), (0.04, 0), (0.0995, 1), (0.1, 1), (0.55, 5), (0.9, 9), (7.0, 9)):
            assert gray(frames, time_s) == pytest.approx(gray_of(number), abs=2)


def test_time_that_goes_back_begins_at_the_front(slow: Path) -> None:
    with FramesInStep(slow) as frames:
        found = [gray(frames, time_s) for time_s in (0.5, 0.2, 0.2, 0.3)]
    assert found == pytest.approx([gray_of(number) for number in (5, 2, 2, 3)], abs=2)


def test_a_moment_before_the_first_frame_shows_it(slow: Path) -> None:
    with FramesInStep(slow) as frames:
        assert gray(frames, -1.0) == pytest.approx(gray_of(0), abs=2)


def test_files_of_different_rates_are_in_step(slow: Path, tmp_path: Path) -> None:
    fast = make_clip(tmp_path / "fast.mkv", frames=20, rate=Fraction(20))
    with open_source(fast) as first, FramesInStep(slow) as second:
        found = [gray(second, frame.time_s) for frame in first]
    assert found == pytest.approx([gray_of(number // 2) for number in range(20)], abs=2)


def test_a_missing_file_is_named_when_a_frame_is_asked_for() -> None:
    frames = FramesInStep("nowhere.mp4")
    with pytest.raises(SourceNotFoundError, match="nowhere"):
        frames.frame_at(0.0)
