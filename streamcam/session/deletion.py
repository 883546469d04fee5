"""The probability of a class without the heat: measured now and then while a session runs."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from streamcam.errors import InvalidArgumentError
from streamcam.explanations import Explanation, Prediction
from streamcam.frames import FloatArray, Frame
from streamcam.overlay.label_panel import format_percentage

SHARE_OF_TIME = 0.1
"""Share of the explaining thread's time that measuring may take."""

_EVERY_S = 0.25
"""A value is measured no more often than this: nobody reads faster."""

_SMOOTHED_S = 1.0
"""Time constant of the smoothing of what is shown, in seconds."""


@dataclasses.dataclass(frozen=True, slots=True)
class Deletion:
    """The probability of a class, and what is left of it when the hottest part of the frame is removed."""

    index: int
    """Index of the class."""
    label: str
    probability: float
    """With the whole frame, smoothed over a second."""
    without: float
    """Without the hottest part, smoothed likewise."""
    at_s: float
    """When it was measured last, on the monotonic clock."""
    count: int = 1
    """How often it was measured."""

    @property
    def words(self) -> str:
        """How much is left, for people: "71 %, without heat 9 %"."""
        before, after = format_percentage(self.probability), format_percentage(self.without)
        return f"{before}, without heat {after}"

    def followed_by(self, newer: Deletion) -> Deletion:
        """Return a newer measurement, smoothed with this one where it is of the same class."""
        if newer.index != self.index:
            return newer
        weight = 1 - math.exp(-max(newer.at_s - self.at_s, 0.0) / _SMOOTHED_S)
        return dataclasses.replace(
            newer,
            probability=self.probability + weight * (newer.probability - self.probability),
            without=self.without + weight * (newer.without - self.without),
            count=self.count + newer.count,
        )

    def record(self) -> dict[str, Any]:
        """Return it by name, as in the statistics file."""
        return {
            "class": self.index,
            "label": self.label,
            "probability": round(self.probability, 4),
            "without": round(self.without, 4),
            "measured": self.count,
        }


class _Network(Protocol):
    @property
    def clip_s(self) -> float:
        """Length of the network's clips in seconds; 0 if it takes single images."""

    def probabilities_without(self, frame: Frame, heatmap: FloatArray) -> FloatArray:
        """Return the probabilities of a frame without its hottest part, float32 (classes,)."""


class DeletionMeter:
    """Measures deletion on frames that were just explained, where time allows. Belongs to one thread.

    Attributes:
        is_on: Whether to measure; set by any thread.
    """

    def __init__(self, streams: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin, turned off.

        Args:
            streams: Number of streams, which take turns.
            clock: Returns monotonic seconds.
        """
        self.is_on = False
        self._clock = clock
        self._due_s = -math.inf
        self._measured_s = [-math.inf] * streams

    def measure(
        self, network: _Network, explained: Sequence[tuple[int, Frame, Explanation]]
    ) -> tuple[int, Deletion] | None:
        """Measure one of the frames that were explained last, if it is on and time.

        Args:
            network: What explained them.
            explained: Index of the stream, frame and explanation of each.

        Returns:
            Index of the stream, and what was measured; None if it is not time, or there is no heat.

        Raises:
            InvalidArgumentError: if nothing like that can be measured of what is explained.
        """
        began_s = self._clock()
        if not self.is_on or began_s < self._due_s:
            return None
        if network.clip_s:
            raise InvalidArgumentError("what is left without the heat is measured of images, not of clips")
        for stream, frame, explanation in sorted(explained, key=lambda each: self._measured_s[each[0]]):
            target = explanation.targets[0] if explanation.targets else None
            if target is None or target.index in explanation.flags:
                continue
            _check(target)
            left = network.probabilities_without(frame, explanation.heatmaps[target.index])
            after = float(left[target.index])
            now_s = self._measured_s[stream] = self._clock()
            self._due_s = now_s + max(_EVERY_S, (now_s - began_s) * (1 / SHARE_OF_TIME - 1))
            if not math.isfinite(after):
                return None
            return stream, Deletion(target.index, target.label, target.probability, after, now_s)
        return None


def _check(target: Prediction) -> None:
    if target.index < 0 or math.isnan(target.probability):
        raise InvalidArgumentError(
            f"what is left without the heat is measured of classes, and {target.label!r} is none"
        )
