"""Scaling of raw maps to displayed strength."""

from __future__ import annotations

import math

import numpy as np

from streamcam.frames import FloatArray

LEVEL_TIME_CONSTANT_S = 4.0
"""Time constant of a class's running level in seconds."""

_FIRST_MAP_S = 0.2
"""The first map of a shot counts like this many seconds of it."""


def find_peak(heatmap: FloatArray) -> float:
    """Return the largest absolute value of a map, so that evidence against a class counts too."""
    return float(np.abs(heatmap).max())


def scale_to_peak(heatmap: FloatArray, *, signed: bool = False) -> FloatArray:
    """Scale a map so that its strongest value is 1; a map without evidence stays 0.

    Args:
        heatmap: Map, float32 (h, w), finite.
        signed: Whether negative values (evidence against a class) are kept; otherwise they become 0.

    Returns:
        float32 (h, w), 0 to 1; if signed -1 to 1, evidence for and against on the same scale.
    """
    peak = find_peak(heatmap) if signed else float(heatmap.max())
    if peak <= 0:
        return np.zeros_like(heatmap)
    return clip_heat(heatmap / np.float32(peak), signed=signed)


def clip_heat(heat: FloatArray, *, signed: bool = False) -> FloatArray:
    """Clip heat to 0 to 1, or to -1 to 1 if signed."""
    return heat.clip(-1 if signed else 0, 1)


class RunningLevel:
    """The level that one class's maps usually reach in a shot: a running robust maximum.

    It is the mean of the logarithms of the peaks plus one standard deviation, both weighted by an exponential
    window in time. Single frames hardly move it, however strong they are, and frames without evidence do not
    count.
    """

    def __init__(self, time_constant_s: float = LEVEL_TIME_CONSTANT_S) -> None:
        """Start a shot.

        Args:
            time_constant_s: Time constant of the window in seconds.
        """
        self._time_constant_s = time_constant_s
        self._weight = 0.0
        self._mean = 0.0
        self._mean_square = 0.0
        self._time_s = 0.0

    def update(self, peak: float, time_s: float) -> float:
        """Add the next frame's peak.

        Args:
            peak: Largest value of its map.
            time_s: Presentation time in seconds.

        Returns:
            The level by which the map is divided, above 0.
        """
        if peak > 0:
            is_first = self._weight == 0
            elapsed_s = _FIRST_MAP_S if is_first else max(0.0, time_s - self._time_s)
            self._time_s = time_s
            decay = math.exp(-elapsed_s / self._time_constant_s)
            self._weight = decay * self._weight + 1 - decay
            share = (1 - decay) / self._weight if self._weight else 1.0
            logarithm = math.log(peak)
            self._mean += share * (logarithm - self._mean)
            self._mean_square += share * (logarithm**2 - self._mean_square)
        if self._weight == 0:
            return 1.0
        deviation = math.sqrt(max(0.0, self._mean_square - self._mean**2))
        return math.exp(self._mean + deviation)
