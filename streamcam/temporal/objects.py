"""Objects over time: the same number for the same object in every frame."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from streamcam.explanations import Instance
from streamcam.temporal.box_motion import Box, BoxMotion

LOST_S = 2.0
"""An object that was not found for this many seconds is another one when it is found again."""

_LEAST_OVERLAP = 0.1
"""Least overlap of a box with where its object is expected."""

_LEAST_OVERLAP_UNCERTAIN = 0.4
"""The same for objects that are not certain: what is found beside one is often a part of it, or both."""

_OTHER_CLASS = 0.7
"""Factor of the overlap where the class differs: networks waver between car and truck."""

_LEAST_SCORE = 1e-3
"""Lower scores count as this."""


@dataclasses.dataclass(slots=True)
class _Track:
    number: int
    class_index: int
    time_s: float
    motion: BoxMotion

    @classmethod
    def begin(cls, number: int, instance: Instance, time_s: float) -> _Track:
        motion = BoxMotion(instance.box, max(instance.score, _LEAST_SCORE))
        return cls(number, instance.class_index, time_s, motion)

    def move(self, instance: Instance, time_s: float) -> None:
        score = max(instance.score, _LEAST_SCORE)
        self.motion.update(instance.box, score, time_s - self.time_s)
        self.class_index, self.time_s = instance.class_index, time_s


class ObjectTracker:
    """Numbers objects by where their boxes overlap from frame to frame.

    As in Zhang et al. 2022, "ByteTrack: Multi-Object Tracking by Associating Every Detection Box",
    https://arxiv.org/abs/2110.06864, objects that are certain are matched first and may begin a track; those
    that are not may only continue one. Boxes are expected where a Kalman filter predicts them, and the pairs
    that overlap most are matched first.
    """

    def __init__(self) -> None:
        """Start a video: the first object has number 1."""
        self._tracks: list[_Track] = []
        self._last_number = 0

    def restart(self) -> None:
        """Start a shot: its objects are others, with new numbers."""
        self._tracks = []

    def update(
        self, instances: Sequence[Instance], time_s: float, certain_score: float
    ) -> list[tuple[int, Instance]]:
        """Number the objects of the next frame.

        Args:
            instances: What was found.
            time_s: The frame's presentation time in seconds.
            certain_score: Score from which an object may begin a track.

        Returns:
            The objects on a track, with their numbers in `Instance.track_id`, and the index of each among
            `instances`, in their order.
        """
        self._tracks = [track for track in self._tracks if time_s - track.time_s <= LOST_S]
        free = list(self._tracks)
        numbered: dict[int, Instance] = {}
        certain = [index for index, one in enumerate(instances) if one.score >= certain_score]
        uncertain = [index for index, one in enumerate(instances) if one.score < certain_score]
        for indices, least in ((certain, _LEAST_OVERLAP), (uncertain, _LEAST_OVERLAP_UNCERTAIN)):
            for index, track in _match(instances, indices, free, time_s, least):
                track.move(instances[index], time_s)
                free.remove(track)
                numbered[index] = dataclasses.replace(instances[index], track_id=track.number)
        for index in certain:
            if index not in numbered:
                numbered[index] = self._begin(instances[index], time_s)
        return sorted(numbered.items())

    def restore(self, instances: Sequence[Instance], time_s: float) -> None:
        """Continue as if `update` had returned these objects."""
        self._tracks = [track for track in self._tracks if time_s - track.time_s <= LOST_S]
        known = {track.number: track for track in self._tracks}
        for instance in sorted(instances, key=lambda one: one.track_id or 0):
            number = instance.track_id
            if number is None:
                continue
            if number in known:
                known[number].move(instance, time_s)
            else:
                self._tracks.append(_Track.begin(number, instance, time_s))
                self._last_number = max(self._last_number, number)

    def _begin(self, instance: Instance, time_s: float) -> Instance:
        self._last_number += 1
        self._tracks.append(_Track.begin(self._last_number, instance, time_s))
        return dataclasses.replace(instance, track_id=self._last_number)


def _match(
    instances: Sequence[Instance],
    indices: Sequence[int],
    tracks: Sequence[_Track],
    time_s: float,
    least: float,
) -> list[tuple[int, _Track]]:
    """Pair objects with tracks, those that overlap most first."""
    pairs = []
    for track in tracks:
        expected = track.motion.expected(time_s - track.time_s)
        for index in indices:
            share = 1.0 if instances[index].class_index == track.class_index else _OTHER_CLASS
            overlap = share * overlap_of(expected, instances[index].box)
            if overlap >= least:
                pairs.append((overlap, index, track))
    matched: dict[int, _Track] = {}
    for _, index, track in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2].number)):
        if index not in matched and all(track is not other for other in matched.values()):
            matched[index] = track
    return list(matched.items())


def overlap_of(one: Box, other: Box) -> float:
    """Return the intersection of two boxes divided by their union, 0 to 1."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / (_area(one) + _area(other) - both)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
