"""Steadying maps in time.

Smoothing works on raw maps and on presentation times, so a film looks alike at 10 and at 60 frames a
second, at variable rates and where frames were dropped.
"""

from __future__ import annotations

import math

import numpy as np

from streamcam.errors import InvalidArgumentError
from streamcam.frames import FloatArray


class Smoother:
    """An exponential mean over time: the first-order low-pass filter.

    A map that appears suddenly has reached 63 % of its strength after the time constant.
    """

    def __init__(self, time_constant_s: float) -> None:
        """Assign.

        Args:
            time_constant_s: In seconds; 0 turns smoothing off.

        Raises:
            InvalidArgumentError: if it is negative or not a number.
        """
        if not (math.isfinite(time_constant_s) and time_constant_s >= 0):
            raise InvalidArgumentError(f"smoothing takes seconds from 0 up, not {time_constant_s:g}")
        self._time_constant_s = time_constant_s
        self._state: FloatArray | None = None
        self._time_s = 0.0

    def update(self, heatmap: FloatArray, time_s: float) -> FloatArray:
        """Mix in the map of the next frame.

        Args:
            heatmap: float32 (h, w), raw. A map of another resolution starts afresh; one that is not finite
                leaves the state as it was.
            time_s: Presentation time of its frame, in seconds.

        Returns:
            float32 (h, w), the mean so far, on the same scale.
        """
        if not np.isfinite(heatmap).all():
            return np.zeros_like(heatmap) if self._state is None else self._state
        elapsed_s = max(0.0, time_s - self._time_s)
        self._time_s = time_s
        if self._state is None or self._state.shape != heatmap.shape or self._time_constant_s == 0:
            self._state = heatmap
        else:
            weight = np.float32(-math.expm1(-elapsed_s / self._time_constant_s))
            self._state = self._state + weight * (heatmap - self._state)
        return self._state
