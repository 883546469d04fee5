"""Recording the calls of a tracker for a batch and its answers, to ask another tracker the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from streamcam.explanations import Explanation, Instance
from streamcam.frames import FloatArray, Frame, Region
from streamcam.temporal.settings import TemporalSettings
from streamcam.temporal.tracker import Labels, Tracker


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class RankCall:
    """A call of `Tracker.rank`, and what it returned."""

    frames: tuple[int, ...]
    """The indices of its frames."""
    probabilities: FloatArray
    count: int
    listed: int | None
    values: FloatArray | None
    are_values: bool
    ranking: NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class FollowCall:
    """A call of `Tracker.follow`, and what it returned."""

    frames: tuple[int, ...]
    """The indices of its frames."""
    instances: tuple[tuple[Instance, ...], ...]
    certain_score: float
    found: tuple[tuple[tuple[int, Instance], ...], ...]


TrackerCall = RankCall | FollowCall


class RecordingTracker(Tracker):
    """A tracker that records what it is asked.

    Attributes:
        calls: The calls since the list was last emptied.
    """

    def __init__(self, settings: TemporalSettings, skipped: int | None = None) -> None:
        """Start as `Tracker` does."""
        super().__init__(settings, skipped)
        self.calls: list[TrackerCall] = []

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
        """Rank as `Tracker.rank` does."""
        ranking = super().rank(
            frames, probabilities, labels, count, listed=listed, values=values, are_values=are_values
        )
        indices = tuple(frame.index for frame in frames)
        self.calls.append(RankCall(indices, probabilities, count, listed, values, are_values, ranking))
        return ranking

    def follow(
        self, frames: Sequence[Frame], instances: Sequence[Sequence[Instance]], certain_score: float
    ) -> list[list[tuple[int, Instance]]]:
        """Follow as `Tracker.follow` does."""
        found = super().follow(frames, instances, certain_score)
        self.calls.append(
            FollowCall(
                tuple(frame.index for frame in frames),
                tuple(map(tuple, instances)),
                certain_score,
                tuple(map(tuple, found)),
            )
        )
        return found

    def complete(self, frame: Frame, explanation: Explanation | None, *, is_last: bool = True) -> Explanation:
        """Complete as `Tracker.complete` does; frames may be skipped before the first that is explained."""
        if explanation is None and self._last is None:
            del self._pending[frame.index]
            return Explanation(frame.index, {}, (), (), method="", target_layer="", region=Region())
        return super().complete(frame, explanation, is_last=is_last)


@dataclasses.dataclass(frozen=True, slots=True)
class Relevance:
    """The answers of a tracker that an explanation depends on."""

    ranks: frozenset[int] | None = None
    """The ranks whose classes are explained; None for all."""
    has_numbers: bool = False
    """Whether an object is explained because of its number."""


def replay(
    calls: Sequence[TrackerCall],
    tracker: Tracker,
    frames: Sequence[Frame],
    labels: Labels,
    relevance: Relevance,
) -> Mapping[int, Mapping[int, int]] | None:
    """Ask a tracker what another one was asked.

    Args:
        calls: What the other was asked about a batch, and its answers.
        tracker: Has observed the same frames.
        frames: The frames of the batch.
        labels: Name of each class.
        relevance: Which answers must be the same.

    Returns:
        Index of each frame → the numbers of its objects there and here, where they differ; None if answers
        differ that explanations depend on.
    """
    by_index = {frame.index: frame for frame in frames}
    numbers: dict[int, dict[int, int]] = {}
    for call in calls:
        asked = [by_index[index] for index in call.frames]
        if isinstance(call, RankCall):
            ranking = tracker.rank(
                asked,
                call.probabilities,
                labels,
                call.count,
                listed=call.listed,
                values=call.values,
                are_values=call.are_values,
            )
            ranks = range(ranking.shape[1]) if relevance.ranks is None else sorted(relevance.ranks)
            if not np.array_equal(ranking[:, ranks], call.ranking[:, ranks]):
                return None
            continue
        found = tracker.follow(asked, call.instances, call.certain_score)
        for frame, here, there in zip(asked, found, call.found, strict=True):
            if [place for place, _ in here] != [place for place, _ in there]:
                return None
            numbers[frame.index] = {
                other.track_id: one.track_id
                for (_, one), (_, other) in zip(here, there, strict=True)
                if one.track_id is not None and other.track_id is not None and one.track_id != other.track_id
            }
    if relevance.has_numbers and any(numbers.values()):
        return None
    return {index: changed for index, changed in numbers.items() if changed}
