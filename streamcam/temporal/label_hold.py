"""Label ranking with hysteresis: a class is replaced only by one that has led for a while, or clearly."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streamcam.errors import InvalidArgumentError
from streamcam.frames import FloatArray

CLEAR_LEAD = 0.2
"""A class that leads by this much smoothed probability takes over at once."""


class NumberSmoothing:
    """Smooths numbers over time, with a time constant."""

    def __init__(self, time_constant_s: float) -> None:
        """Start a video.

        Args:
            time_constant_s: In seconds; 0 leaves numbers as they are.
        """
        self._time_constant_s = time_constant_s
        self._smoothed: FloatArray | None = None
        self._time_s = 0.0

    def restart(self) -> None:
        """Start a new shot: the next numbers stay as they are."""
        self._smoothed = None

    def restore(self, smoothed: FloatArray, time_s: float) -> None:
        """Go on from numbers that `update` returned, NaN where they are not known."""
        self._smoothed, self._time_s = smoothed, time_s

    def continues(self, numbers: FloatArray) -> bool:
        """Return whether the next numbers are smoothed with earlier ones."""
        is_first = self._smoothed is None or self._smoothed.shape != numbers.shape
        return not is_first and self._time_constant_s > 0

    def update(self, numbers: FloatArray, time_s: float) -> FloatArray:
        """Return the next numbers smoothed; those that are not finite change nothing.

        Args:
            numbers: float32 (count,).
            time_s: Presentation time in seconds.
        """
        finite = bool(np.isfinite(numbers).all())
        elapsed_s = max(0.0, time_s - self._time_s)
        if not self.continues(numbers):
            self._smoothed = numbers if finite else None
        elif finite:
            assert self._smoothed is not None
            before = np.where(np.isnan(self._smoothed), numbers, self._smoothed)
            weight = np.float32(-math.expm1(-elapsed_s / self._time_constant_s))
            self._smoothed = before + weight * (numbers - before)
        if finite:
            self._time_s = time_s
        return numbers if self._smoothed is None else self._smoothed


class LabelHold:
    """Ranks classes frame by frame, with hysteresis at every rank.

    Probabilities are smoothed with the hold time as time constant. A class loses its rank to another that was
    more probable throughout the hold time, or is more probable by `CLEAR_LEAD`.
    """

    def __init__(self, hold_s: float) -> None:
        """Start a video.

        Args:
            hold_s: Hold time in seconds; 0 ranks every frame by itself.

        Raises:
            InvalidArgumentError: if the hold time is negative or not finite.
        """
        if not (math.isfinite(hold_s) and hold_s >= 0):
            raise InvalidArgumentError(f"`label_hold_s` takes seconds from 0 up, not {hold_s:g}")
        self._hold_s = hold_s
        self._smoothing = NumberSmoothing(hold_s)
        self._last: FloatArray | None = None
        self._last_s = 0.0
        self._held: list[int] = []
        self._challenged_since_s: list[float | None] = []

    def restart(self) -> None:
        """Start a new shot: the next frame is ranked by itself."""
        self._smoothing.restart()
        self._last = None

    def update(
        self, probabilities: FloatArray, time_s: float, count: int, between_s: Sequence[float] = ()
    ) -> tuple[NDArray[np.int64], FloatArray]:
        """Rank the classes of the next explained frame.

        Args:
            probabilities: Probability of every class, float32 (classes,). If they are not finite, ranks stay
                as they were.
            time_s: Presentation time in seconds.
            count: Number of ranks.
            between_s: Times of the frames since the last one that were not explained. They count as if the
                probabilities had changed evenly.

        Returns:
            The class at each rank, int64 (count,), best first, and the smoothed probabilities, float32
            (classes,).
        """
        last, last_s = self._last, self._last_s
        if np.isfinite(probabilities).all():
            if last is not None and last.shape == probabilities.shape and time_s > last_s:
                for each_s in between_s:
                    share = np.float32((each_s - last_s) / (time_s - last_s))
                    self._update(last + share * (probabilities - last), each_s, count)
            self._last, self._last_s = probabilities, time_s
        return self._update(probabilities, time_s, count)

    def _update(
        self, probabilities: FloatArray, time_s: float, count: int
    ) -> tuple[NDArray[np.int64], FloatArray]:
        if len(self._held) != count:
            self._smoothing.restart()
        continues = self._smoothing.continues(probabilities)
        smoothed = self._smoothing.update(probabilities, time_s)
        if not continues:
            self._held = _rank(probabilities)[:count]
            self._challenged_since_s = [None] * len(self._held)
        elif np.isfinite(probabilities).all():
            self._challenge_ranks(smoothed, time_s)
        return np.array(self._held, np.int64), smoothed

    def _challenge_ranks(self, smoothed: FloatArray, time_s: float) -> None:
        """Compare each rank's holder with the best class that holds no higher rank."""
        ranked = _rank(smoothed)
        for rank, holder in enumerate(self._held):
            challenger = next(index for index in ranked if index not in self._held[:rank])
            lead = smoothed[challenger] - smoothed[holder]
            since_s = self._challenged_since_s[rank]
            if lead <= 0:
                self._challenged_since_s[rank] = None
            elif since_s is None and lead < CLEAR_LEAD:
                self._challenged_since_s[rank] = time_s
            elif lead >= CLEAR_LEAD or (since_s is not None and time_s - since_s >= self._hold_s):
                self._swap(rank, challenger)

    def _swap(self, rank: int, challenger: int) -> None:
        """Put a class at a rank; the previous holder moves down to where that class was."""
        places = [*self._held, challenger]
        previous_rank = places.index(challenger)
        places[rank], places[previous_rank] = challenger, places[rank]
        self._held = places[: len(self._held)]
        self._challenged_since_s[rank] = None


def _rank(probabilities: FloatArray) -> list[int]:
    order: list[int] = np.argsort(-probabilities, kind="stable").tolist()
    return order
