"""What explainers learn from a sample of a video before it is rendered."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from media_factory import make_clip, paint_gray
from PIL import Image

from streamcam.frames import Frame
from streamcam.pipeline.learning import let_learn
from streamcam.sources import SourceSettings, open_source


@dataclasses.dataclass
class Learner:
    learns_from: int
    seen: list[Frame] | None = None

    def learn(self, frames: Sequence[Frame]) -> None:
        self.seen = list(frames)


def times(path: Path, count: int, settings: SourceSettings | None = None) -> list[float]:
    settings = settings or SourceSettings()
    learner = Learner(count)
    with open_source(path, settings) as source:
        let_learn(learner, source.info, settings)
    assert learner.seen is not None
    return [frame.time_s for frame in learner.seen]


def test_the_sample_is_spread_over_the_video_and_always_the_same(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=100, paint=paint_gray)
    first = times(clip, 8)
    assert first == sorted(first)
    assert first == times(clip, 8)
    # One of each half second, or the first of the next.
    assert all(0.5 * place <= time <= 0.5 * place + 0.54 for place, time in enumerate(first))
    assert len(first) >= 7


def test_the_sample_is_of_the_part_that_is_rendered(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=100, paint=paint_gray)
    found = times(clip, 6, SourceSettings(start_s=1.0, end_s=2.0))
    assert found
    assert all(1.0 <= time < 2.0 for time in found)


def test_short_videos_and_still_images_are_no_trouble(tmp_path: Path) -> None:
    single = make_clip(tmp_path / "single.mp4", frames=1, paint=paint_gray)
    assert times(single, 24) in ([], [0.0])
    still = tmp_path / "still.png"
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(still)
    assert times(still, 24) == []


@pytest.mark.parametrize("explainer", [Learner(0), object()])
def test_who_learns_nothing_is_left_alone(tmp_path: Path, explainer: object) -> None:
    with open_source(make_clip(tmp_path / "clip.mp4", frames=2)) as source:
        let_learn(explainer, source.info, SourceSettings())
    assert getattr(explainer, "seen", None) is None
