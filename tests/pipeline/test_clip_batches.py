"""Frames that wait for those behind them, because a clip may hold both."""

from __future__ import annotations

import types
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest
from stage_fakes import FakeExplainer, explanation_of

from streamcam.explanations import Explanation
from streamcam.frames import Frame
from streamcam.pipeline import batches
from streamcam.pipeline.batches import BatchExplainer


class ClipExplainer(FakeExplainer):
    """Remembers the context of every batch; a clip spans 0.4 s."""

    clip_s = 0.4

    def __init__(self) -> None:
        super().__init__(batch_size=2)
        self.contexts: list[list[int]] = []

    def explain_frames(
        self,
        frames: list[Frame],
        tracker: Any = None,  # noqa: ARG002
        context: Sequence[Frame] = (),
    ) -> list[Explanation]:
        self.batches.append([frame.index for frame in frames])
        self.contexts.append([frame.index for frame in context])
        return [explanation_of(frame.index) for frame in frames]


def frame(index: int) -> Frame:
    """A frame of 100 bytes, ten in a second."""
    image: Any = types.SimpleNamespace(planes=[types.SimpleNamespace(buffer_size=100)])
    return Frame(image, index, index, Fraction(1, 10), 0.0)


def test_frames_of_clips_wait_until_those_behind_them_are_there() -> None:
    explainer = ClipExplainer()
    run = BatchExplainer(explainer, None)
    given = [[one.index for one, _ in run.explain(frame(index))] for index in range(8)]
    assert given == [[], [], [], [], [], [0, 1], [], [2, 3]]
    assert [one.index for one, _ in run.flush()] == [4, 5, 6, 7]
    assert explainer.contexts == [[0, 1, 2, 3, 4, 5], [2, 3, 4, 5, 6, 7], [4, 5, 6, 7]]


def test_frames_do_not_wait_where_memory_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_MOST_WAITING_BYTES", 200)  # two frames
    explainer = ClipExplainer()
    run = BatchExplainer(explainer, None)
    given = [[one.index for one, _ in run.explain(frame(index))] for index in range(6)]
    assert given == [[], [], [], [0, 1], [], [2, 3]]


def test_live_frames_do_not_wait_and_those_that_were_missed_are_in_the_clip() -> None:
    explainer = ClipExplainer()
    run = BatchExplainer(explainer, None, batch_size=1)
    assert [one.index for one, _ in run.explain(frame(0))] == [0]
    assert [one.index for one, _ in run.explain(frame(3), [frame(1), frame(2)])] == [3]
    assert explainer.contexts == [[0], [1, 2, 3]]
