"""The temporal stage of several explanations of each frame, which are compared."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Sequence
from typing import Self

from streamcam.explanations import Explanation, StabilizedFrame
from streamcam.frames import Frame
from streamcam.panes import Comparison
from streamcam.temporal.flow import FlowEstimator
from streamcam.temporal.settings import TemporalSettings
from streamcam.temporal.stabilizer import Stabilizer


class PaneStabilizer:
    """Stabilizes several explanations of each frame of a video, each by itself. Not thread-safe.

    Motion is estimated once for all of them.
    """

    def __init__(self, settings: Sequence[TemporalSettings]) -> None:
        """Start a video.

        Args:
            settings: Temporal settings of each pane.

        Raises:
            InvalidArgumentError: if a setting cannot be used.
        """
        flow = FlowEstimator()
        self._stabilizers = [Stabilizer(each, flow) for each in settings]
        self._names: list[str] = []
        self._finished: list[collections.deque[StabilizedFrame]] = [collections.deque() for _ in settings]

    @classmethod
    def of_comparison(cls, comparison: Comparison, settings: TemporalSettings | None = None) -> Self:
        """Start a video whose panes are compared, maybe by their smoothing modes.

        Args:
            comparison: The comparison.
            settings: Temporal settings; the defaults if None.

        Raises:
            InvalidArgumentError: if a setting cannot be used.
        """
        settings = settings or TemporalSettings()
        modes = comparison.modes or (settings.mode,)
        return cls([dataclasses.replace(settings, mode=modes[pane.mode]) for pane in comparison.panes()])

    def push(self, frame: Frame, explanation: Explanation) -> list[StabilizedFrame]:
        """Add the next frame and its explanations.

        Args:
            frame: The frame.
            explanation: The explanation of the first pane, with those of the others.

        Returns:
            The frames that are finished now in every pane, in order: none, one or several.
        """
        explanations = (explanation, *explanation.others)
        self._names = [each.pane for each in explanations]
        for stabilizer, finished, each in zip(self._stabilizers, self._finished, explanations, strict=True):
            finished.extend(stabilizer.push(frame, each))
        return self._take_finished()

    def flush(self) -> list[StabilizedFrame]:
        """Finish the frames that were held back, in order; to be called at the end of the video."""
        for stabilizer, finished in zip(self._stabilizers, self._finished, strict=True):
            finished.extend(stabilizer.flush())
        return self._take_finished()

    def propagate(self, frame: Frame) -> StabilizedFrame | None:
        """Apply the last heatmaps and labels to a newer frame; see `Stabilizer.propagate`."""
        moved = []
        for stabilizer, name in zip(self._stabilizers, self._names, strict=False):
            pane = stabilizer.propagate(frame)
            if pane is not None:
                named = dataclasses.replace(pane.explanation, pane=name)
                moved.append(dataclasses.replace(pane, explanation=named))
        return dataclasses.replace(moved[0], others=tuple(moved[1:])) if moved else None

    def _take_finished(self) -> list[StabilizedFrame]:
        taken = []
        while all(self._finished):
            first, *others = [finished.popleft() for finished in self._finished]
            taken.append(dataclasses.replace(first, others=tuple(others)))
        return taken
