"""From raw maps to the strength that is shown."""

from __future__ import annotations

import math

import numpy as np

from streamcam.frames import FloatArray

LEVEL_S = 4.0
"""Time constant of what a class's maps usually reach, in seconds."""

_FIRST_S = 0.2
"""The first map of a shot counts like this many seconds of it."""


def strongest(heatmap: FloatArray) -> float:
    """Tell how strong a map is at its strongest place, evidence against included."""
    return float(np.abs(heatmap).max())


def scale_to_unit(heatmap: FloatArray, *, signed: bool = False) -> FloatArray:
    """Scale a map so that its strongest place is 1; a map without evidence stays 0.

    Args:
        heatmap: float32 (h, w), finite.
        signed: Whether negative values, evidence against a class, are kept; else they count as none.

    Returns:
        float32 (h, w), 0 to 1; if signed -1 to 1, evidence for and against on one scale.
    """
    peak = strongest(heatmap) if signed else float(heatmap.max())
    if peak <= 0:
        return np.zeros_like(heatmap)
    return limited(heatmap / np.float32(peak), signed=signed)


def limited(heat: FloatArray, *, signed: bool = False) -> FloatArray:
    """Cut heat off at full strength, and at none, or if signed at full strength against."""
    return heat.clip(-1 if signed else 0, 1)


class RunningLevel:
    """What the maps of one class usually reach in one shot: a running robust maximum.

    The mean of the logarithms of the peaks plus one standard deviation, both weighted by an exponential
    window in time. Single frames hardly move it, however strong they are, and frames without evidence do not
    count.
    """

    def __init__(self, time_constant_s: float = LEVEL_S) -> None:
        """Begin a shot.

        Args:
            time_constant_s: Of the window, in seconds.
        """
        self._time_constant_s = time_constant_s
        self._weight = 0.0
        self._mean = 0.0
        self._mean_square = 0.0
        self._time_s = 0.0

    def update(self, peak: float, time_s: float) -> float:
        """Take the next frame's peak.

        Args:
            peak: The strongest value of its map.
            time_s: Its presentation time in seconds.

        Returns:
            The level that it is to be held against, more than 0.
        """
        if peak > 0:
            first = self._weight == 0
            elapsed_s = _FIRST_S if first else max(0.0, time_s - self._time_s)
            self._time_s = time_s
            kept = math.exp(-elapsed_s / self._time_constant_s)
            self._weight = kept * self._weight + 1 - kept
            share = (1 - kept) / self._weight if self._weight else 1.0
            logarithm = math.log(peak)
            self._mean += share * (logarithm - self._mean)
            self._mean_square += share * (logarithm**2 - self._mean_square)
        if self._weight == 0:
            return 1.0
        deviation = math.sqrt(max(0.0, self._mean_square - self._mean**2))
        return math.exp(self._mean + deviation)
