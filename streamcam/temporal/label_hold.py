"""Labels that hold: a class gives way only to one that has led for a while, or clearly."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from streamcam.errors import InvalidArgumentError
from streamcam.frames import FloatArray

CLEAR_WIN = 0.2
"""A class that leads by this much in smoothed probability takes over at once."""


class LabelHold:
    """Ranks classes frame by frame, with hysteresis at every rank.

    Probabilities are smoothed with the hold time as time constant, and a class loses its rank to another
    that has had more of them throughout the hold time, or clearly more.
    """

    def __init__(self, hold_s: float) -> None:
        """Begin a video.

        Args:
            hold_s: In seconds; 0 ranks every frame by itself.

        Raises:
            InvalidArgumentError: if it is negative, or not a number.
        """
        if not (math.isfinite(hold_s) and hold_s >= 0):
            raise InvalidArgumentError(f"label hold takes seconds from 0 up, not {hold_s:g}")
        self._hold_s = hold_s
        self._smoothed: FloatArray | None = None
        self._held: list[int] = []
        self._challenged_s: list[float | None] = []
        self._time_s = 0.0

    def restart(self) -> None:
        """Begin another shot: the next frame is ranked by itself."""
        self._smoothed = None

    def update(
        self, probabilities: FloatArray, time_s: float, count: int
    ) -> tuple[NDArray[np.int64], FloatArray]:
        """Take the next frame.

        Args:
            probabilities: float32 (classes,). Where they are not finite, what is held stays.
            time_s: Presentation time in seconds.
            count: How many ranks are wanted.

        Returns:
            The classes held at ranks 0, 1, …, int64 (count,), and the smoothed probabilities of all, float32
            (classes,).
        """
        elapsed_s = max(0.0, time_s - self._time_s)
        finite = bool(np.isfinite(probabilities).all())
        fresh = self._smoothed is None or self._smoothed.shape != probabilities.shape
        if fresh or self._hold_s == 0 or len(self._held) != count:
            self._smoothed = probabilities if finite else None
            self._held = _ranked(probabilities)[:count]
            self._challenged_s = [None] * len(self._held)
        elif finite:
            assert self._smoothed is not None
            weight = np.float32(-math.expm1(-elapsed_s / self._hold_s))
            self._smoothed = self._smoothed + weight * (probabilities - self._smoothed)
            self._defend(self._smoothed, time_s)
        if finite:
            self._time_s = time_s
        shown = probabilities if self._smoothed is None else self._smoothed
        return np.array(self._held, np.int64), shown

    def _defend(self, smoothed: FloatArray, time_s: float) -> None:
        """Let each rank's holder be challenged by the best class that holds no rank above it."""
        ranked = _ranked(smoothed)
        for rank, holder in enumerate(self._held):
            challenger = next(index for index in ranked if index not in self._held[:rank])
            lead = smoothed[challenger] - smoothed[holder]
            since_s = self._challenged_s[rank]
            if lead <= 0:
                self._challenged_s[rank] = None
            elif since_s is None and lead < CLEAR_WIN:
                self._challenged_s[rank] = time_s
            elif lead >= CLEAR_WIN or (since_s is not None and time_s - since_s >= self._hold_s):
                self._take_over(rank, challenger)

    def _take_over(self, rank: int, challenger: int) -> None:
        """Put a class in its rank; who held it moves down to where the class comes from."""
        places = [*self._held, challenger]
        came_from = places.index(challenger)
        places[rank], places[came_from] = challenger, places[rank]
        self._held = places[: len(self._held)]
        self._challenged_s[rank] = None


def _ranked(probabilities: FloatArray) -> list[int]:
    order: list[int] = np.argsort(-probabilities, kind="stable").tolist()
    return order
