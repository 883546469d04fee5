"""Smoothing in time, with nothing known of what comes.

It works on presentation times, so a video looks alike at 10 and at 60 frames a second, at variable rates and
where frames were dropped.
"""

from __future__ import annotations

import math

import numpy as np

from streamcam.frames import FloatArray
from streamcam.temporal.flow import carried


class Smoother:
    """An exponential mean over time: the first-order low-pass filter.

    A map that appears suddenly has reached 63 % of its strength after the time constant.

    Attributes:
        state: The mean so far, float32 (h, w); None before the first map.
    """

    def __init__(self, time_constant_s: float) -> None:
        """Assign.

        Args:
            time_constant_s: In seconds; 0 turns smoothing off.
        """
        self.state: FloatArray | None = None
        self._time_constant_s = time_constant_s
        self._time_s = 0.0

    def update(
        self, heatmap: FloatArray | None, time_s: float, shift: FloatArray | None = None
    ) -> FloatArray | None:
        """Mix in the map of the next frame.

        Args:
            heatmap: float32 (h, w). A map of another resolution starts afresh; where there is none, or it is
                not finite, the state stays as it was.
            time_s: Presentation time of its frame, in seconds.
            shift: What carries the mean along before the map is mixed in; see `streamcam.temporal.flow`.

        Returns:
            float32 (h, w), the mean so far, on the same scale; None while there was no map.
        """
        if self.state is not None and shift is not None and shift.shape[:2] == self.state.shape:
            self.state = carried(self.state, shift)
        if heatmap is None or not np.isfinite(heatmap).all():
            return self.state
        elapsed_s = max(0.0, time_s - self._time_s)
        self._time_s = time_s
        if self.state is None or self.state.shape != heatmap.shape or self._time_constant_s == 0:
            self.state = heatmap
        else:
            weight = np.float32(-math.expm1(-elapsed_s / self._time_constant_s))
            self.state = self.state + weight * (heatmap - self.state)
        return self.state
