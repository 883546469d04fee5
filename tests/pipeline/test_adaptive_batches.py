"""Batches where each answer decides which frames are explained."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from media_factory import make_image
from stage_fakes import FakeExplainer

from streamcam.frames import Frame
from streamcam.pipeline.batches import BatchExplainer
from streamcam.temporal import TemporalSettings

AUTO = TemporalSettings(every="auto", cuts="off")


def still_frames(indices: Iterable[int]) -> list[Frame]:
    """Frames of an even image."""

    def paint(_index: int, planes: Any) -> None:
        planes[0][:] = 90

    image = make_image(64, 48, paint=paint)
    return [Frame(image, index, index, Fraction(1, 25), 0.0) for index in indices]


def restless_frames(indices: Iterable[int]) -> list[Frame]:
    """Frames that have nothing in common."""
    frames = []
    for index in indices:
        rng = np.random.default_rng(index)

        def paint(_index: int, planes: Any, rng: np.random.Generator = rng) -> None:
            planes[0][:] = rng.integers(0, 255, (planes[0].shape[0] // 8, 1)).repeat(8, 0)

        frames.append(Frame(make_image(64, 48, paint=paint), index, index, Fraction(1, 25), 0.0))
    return frames


def batches_of(frames: Iterable[Frame], size: int) -> tuple[list[list[int]], list[int]]:
    """Explain frames; return the batches, and the frames that came back."""
    explainer = FakeExplainer(batch_size=size)
    run = BatchExplainer(explainer, AUTO)
    returned = [frame.index for each in frames for frame, _ in run.explain(each)]
    returned += [frame.index for frame, _ in run.flush()]
    return explainer.batches, returned


def test_where_every_frame_is_new_whole_batches_are_gathered_after_one_full_of_single_frames() -> None:
    batches, returned = batches_of(restless_frames(range(14)), 4)
    assert batches == [[0], [1], [2], [3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13]]
    assert returned == list(range(14))


def test_once_a_frame_is_skipped_they_are_explained_one_by_one_again() -> None:
    """The batch that has begun is filled with frames that show nothing new."""
    batches, returned = batches_of([*restless_frames(range(7)), *still_frames(range(7, 40))], 3)
    assert batches[:5] == [[0], [1], [2], [3, 4, 5], [6, 7, 8]]
    assert {len(batch) for batch in batches[5:]} == {1}
    assert len(batches[5:]) < 8
    assert returned == list(range(40))


def test_batches_of_one_stay_batches_of_one() -> None:
    batches, _ = batches_of(restless_frames(range(5)), 1)
    assert batches == [[0], [1], [2], [3], [4]]


class ShortExplainer(FakeExplainer):
    """Knows whether it fills up single frames."""

    is_short = False

    @contextlib.contextmanager
    def short_batches(self) -> Iterator[None]:
        self.is_short = True
        yield
        self.is_short = False


@pytest.mark.parametrize(
    ("temporal", "batch_size", "is_short"),
    [
        (AUTO, None, True),
        (None, 1, True),
        (TemporalSettings(), 1, True),
        (TemporalSettings(every=3), None, False),
        (None, None, False),
    ],
)
def test_an_explainer_knows_while_most_frames_come_alone(
    temporal: TemporalSettings | None, batch_size: int | None, is_short: bool
) -> None:
    explainer = ShortExplainer(batch_size=4)
    with BatchExplainer(explainer, temporal, batch_size=batch_size).running(lambda: False):
        assert explainer.is_short == is_short
    assert not explainer.is_short


def test_other_explainers_run_as_they_do() -> None:
    with BatchExplainer(FakeExplainer(), AUTO).running(lambda: False) as nothing:
        assert nothing is None
