"""Trackers of several videos, as one: for batches in which frames of several are explained at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streamcam.explanations import Explanation, Instance
from streamcam.frames import FloatArray, Frame
from streamcam.temporal.tracker import Labels, Tracker


class TogetherTracker(Tracker):
    """Passes what concerns each frame of a batch on to the tracker of its own video.

    Used for one batch, in the place of a `Tracker`. Frames are recognized by identity: their indices are
    those of their videos.
    """

    def __init__(self, frames: Sequence[Frame], trackers: Sequence[Tracker]) -> None:
        """Take the frames of a batch.

        Args:
            frames: Frames that were observed, in any order, but of one video in its own.
            trackers: The tracker of each.
        """
        self._trackers = {id(frame): tracker for frame, tracker in zip(frames, trackers, strict=True)}
        self._kept = tuple(frames)  # an object's id may come again once it is gone

    def observe(self, frame: Frame, *, in_any_case: bool = False) -> bool:
        """Pass a frame on to its tracker."""
        return self._trackers[id(frame)].observe(frame, in_any_case=in_any_case)

    def is_cut(self, frame: Frame) -> bool:
        """Ask the tracker of a frame."""
        return self._trackers[id(frame)].is_cut(frame)

    def rank(
        self,
        frames: Sequence[Frame],
        probabilities: FloatArray,
        labels: Labels,
        count: int,
        *,
        listed: int | None = None,
        values: FloatArray | None = None,
        are_values: bool = False,
    ) -> NDArray[np.int64]:
        """Rank the classes of each frame among those of its video; see `Tracker.rank`."""
        rows = [
            self._trackers[id(frame)].rank(
                [frame],
                probabilities[row : row + 1],
                labels,
                count,
                listed=listed,
                values=None if values is None else values[row : row + 1],
                are_values=are_values,
            )
            for row, frame in enumerate(frames)
        ]
        return np.concatenate(rows)

    def follow(
        self, frames: Sequence[Frame], instances: Sequence[Sequence[Instance]], certain_score: float
    ) -> list[list[tuple[int, Instance]]]:
        """Number the objects of each frame among those of its video; see `Tracker.follow`."""
        return [
            self._trackers[id(frame)].follow([frame], [found], certain_score)[0]
            for frame, found in zip(frames, instances, strict=True)
        ]

    def for_network(self, number: int, frames: Sequence[Frame]) -> Tracker:
        """Return a tracker of the same videos for another network; see `Tracker.for_network`."""
        others = [self._trackers[id(frame)].for_network(number, [frame]) for frame in frames]
        return TogetherTracker(frames, others)

    def complete(self, frame: Frame, explanation: Explanation | None, *, is_last: bool = True) -> Explanation:
        """Complete the explanation of a frame; see `Tracker.complete`."""
        return self._trackers[id(frame)].complete(frame, explanation, is_last=is_last)
