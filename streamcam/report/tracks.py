"""The paths of boxes through a video: of detected objects, or around the heat."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from streamcam.evidence import Evidence
    from streamcam.explanations import Explanation

Box = tuple[float, float, float, float]
"""Left, top, right and bottom edge, as fractions of the frame."""


@dataclasses.dataclass(frozen=True, slots=True)
class Track:
    """One object, or one area of heat, from its first frame to its last."""

    number: int
    boxes: dict[int, Box]
    """Row of an explained frame → its box there, in order."""
    labels: dict[int, str]
    """Row → its class there; of heat it is what is explained."""

    @property
    def label(self) -> str:
        """The class that it mostly has."""
        return Counter(self.labels.values()).most_common(1)[0][0]

    @property
    def moved(self) -> float:
        """How far its center is from where it began, at most; the frame's width and height are 1."""
        centers = np.array(
            [((left + right) / 2, (top + bottom) / 2) for left, top, right, bottom in self.boxes.values()]
        )
        return float(np.hypot(*(centers - centers[0]).T).max())


def follow_boxes(evidence: Evidence, explanations: tuple[Explanation, ...]) -> tuple[Track, ...]:
    """Return the paths of boxes that have numbers, those in the most frames first.

    Boxes around the heat where a render looked for them, else the objects that the network found.

    Args:
        evidence: The evidence.
        explanations: The explanations of its explained frames.
    """
    found = list(_heat_boxes(evidence, explanations)) or list(_objects(explanations))
    tracks: dict[int, Track] = {}
    for number, label, row, box in found:
        track = tracks.setdefault(number, Track(number, {}, {}))
        track.boxes[row], track.labels[row] = box, label
    return tuple(sorted(tracks.values(), key=lambda track: (-len(track.boxes), track.number)))


def _heat_boxes(
    evidence: Evidence, explanations: tuple[Explanation, ...]
) -> Iterator[tuple[int, str, int, Box]]:
    rows = {explanation.frame_index: row for row, explanation in enumerate(explanations)}
    labels = {one.index: one.label for one in evidence.classes}
    for each in evidence.heat_boxes:
        row = rows.get(int(each["frame"]))
        if row is not None and each["track_id"] >= 0:
            left, top, right, bottom = each["box"].tolist()
            label = labels.get(int(each["target"]), "heat")
            yield int(each["track_id"]), label, row, (left, top, right, bottom)


def _objects(explanations: tuple[Explanation, ...]) -> Iterator[tuple[int, str, int, Box]]:
    for row, explanation in enumerate(explanations):
        for instance in explanation.instances:
            if instance.track_id is not None and not instance.is_region:
                yield instance.track_id, instance.label, row, instance.box
