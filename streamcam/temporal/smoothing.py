"""Temporal smoothing of heatmaps: causal (past frames only) and zero-phase (past and future frames).

Both filters work on presentation times, so a video looks the same at 10 and at 60 frames a second, at
variable frame rates and where frames were dropped.
"""

from __future__ import annotations

import bisect
import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from streamcam.frames import FloatArray
from streamcam.temporal.flow import warp

WINDOW_TIME_CONSTANTS = 2.0
"""Half-width of the zero-phase window in time constants; its weight falls to zero there."""

TIME_TOLERANCE_S = 1e-9
"""Times closer than this are considered equal."""


class CausalSmoother:
    """Exponential moving average of one heatmap over time (a first-order low-pass filter).

    A map that appears suddenly reaches 63 % of its strength after one time constant.

    Attributes:
        state: The current average, float32 (h, w); None before the first map.
    """

    def __init__(self, time_constant_s: float) -> None:
        """Create a smoother without history.

        Args:
            time_constant_s: Time constant in seconds; 0 turns smoothing off.
        """
        self.state: FloatArray | None = None
        self._time_constant_s = time_constant_s
        self._time_s = 0.0

    def update(
        self, heatmap: FloatArray | None, time_s: float, displacement: FloatArray | None = None
    ) -> FloatArray | None:
        """Add the map of the next frame to the average.

        Args:
            heatmap: Map of the frame, float32 (h, w). A map of another resolution restarts the average; None
                or a map that is not finite leaves it unchanged.
            time_s: Presentation time of the frame in seconds.
            displacement: Motion since the last frame, by which the average is warped first; see
                `streamcam.temporal.flow.warp`.

        Returns:
            The average, float32 (h, w), on the scale of the maps; None before the first map.
        """
        if self.state is not None and displacement is not None and displacement.shape[:2] == self.state.shape:
            self.state = warp(self.state, displacement)
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


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class TimedMaps:
    """The maps of one frame of a shot, and the motion between it and the previous frame."""

    time_s: float
    """Presentation time in seconds."""
    maps: Mapping[int, FloatArray]
    """Slot → map, float32 (h, w), finite; missing maps are left out."""
    is_explained: bool
    """Whether the network saw the frame: only then do missing maps say anything."""
    from_previous: Mapping[int, FloatArray]
    """Slot → displacement that warps heat from the previous frame to this one; empty without motion."""
    to_previous: Mapping[int, FloatArray]
    """Slot → displacement that warps heat from this frame to the previous one."""


def average_zero_phase(
    samples: Sequence[TimedMaps], index: int, slot: int, time_constant_s: float, half_width_s: float
) -> FloatArray | None:
    """Average the maps before and after a frame, weighted by ``exp(-|t| / time constant)``.

    This is an exponential average run forward and backward in time. The window's value at
    `WINDOW_TIME_CONSTANTS` is subtracted, so that weights end at zero and no map enters or leaves suddenly.
    Each map counts for the time between its neighbors, so the result does not depend on the frame rate, even
    if it varies. A frame that was not explained counts too, with the maps before and after it, each the more
    the nearer it is: the result is that of explaining every frame if maps changed evenly in between.

    Args:
        samples: Maps of the frames of one shot, in order.
        index: Index of the frame in `samples`.
        slot: Key of the map in each sample.
        time_constant_s: Time constant in seconds, above 0.
        half_width_s: Upper limit of the window's half-width in seconds.

    Returns:
        The average, float32 (h, w); the nearest map if the window holds none; None if there is none at all.
    """
    center_s = samples[index].time_s
    known = [number for number, sample in enumerate(samples) if slot in sample.maps]
    if not known:
        return None
    half_width_s = min(half_width_s, WINDOW_TIME_CONSTANTS * time_constant_s) + TIME_TOLERANCE_S
    shares = _compute_shares(samples, slot, center_s, time_constant_s, half_width_s)
    if not shares:
        shares = {min(known, key=lambda number: abs(samples[number].time_s - center_s)): 1.0}
    first, last = min(shares), max(shares)
    before = _accumulate(samples, range(min(first, index), index + 1), slot, shares, forward=True)
    after = _accumulate(samples, range(max(last, index), index, -1), slot, shares, forward=False)
    if after is not None:
        after = warp(after, samples[index + 1].to_previous.get(slot))
    return before if after is None else after if before is None else before + after


def _compute_shares(
    samples: Sequence[TimedMaps], slot: int, center_s: float, time_constant_s: float, half_width_s: float
) -> dict[int, float]:
    """Compute the share of each map in the average: index in `samples` → share; empty if there is none."""
    inside = [
        number
        for number, sample in enumerate(samples)
        if abs(sample.time_s - center_s) <= half_width_s and (slot in sample.maps or not sample.is_explained)
    ]
    known = [number for number in inside if slot in samples[number].maps]
    if not known:
        return {}
    weights = _compute_weights([samples[number].time_s - center_s for number in inside], time_constant_s)
    shares = dict.fromkeys(known, 0.0)
    for number, weight in zip(inside, weights, strict=True):
        place = bisect.bisect_left(known, number)
        before, after = known[max(place - 1, 0)], known[min(place, len(known) - 1)]
        span_s = samples[after].time_s - samples[before].time_s
        of_after = (samples[number].time_s - samples[before].time_s) / span_s if span_s > 0 else 1.0
        if number in shares or before == after:
            shares[after] += weight
        else:
            shares[before] += (1 - of_after) * weight
            shares[after] += of_after * weight
    total = sum(shares.values())
    return {number: share / total for number, share in shares.items()} if total > 0 else {}


def _compute_weights(times_s: Sequence[float], time_constant_s: float) -> list[float]:
    """Compute the weights of samples at times relative to the window's center, by the trapezoid rule."""
    offset = math.exp(-WINDOW_TIME_CONSTANTS)
    weights = []
    for number, time_s in enumerate(times_s):
        before_s = times_s[max(number - 1, 0)]
        after_s = times_s[min(number + 1, len(times_s) - 1)]
        height = max(0.0, math.exp(-abs(time_s) / time_constant_s) - offset)
        weights.append(height * (after_s - before_s) / 2)
    return weights


def _accumulate(
    samples: Sequence[TimedMaps], numbers: range, slot: int, shares: Mapping[int, float], *, forward: bool
) -> FloatArray | None:
    """Sum weighted maps from the farthest frame to the nearest, warping the sum from frame to frame."""
    total: FloatArray | None = None
    for number in numbers:
        if total is not None:
            step = samples[number].from_previous if forward else samples[number + 1].to_previous
            total = warp(total, step.get(slot))
        if number in shares:
            share = np.float32(shares[number]) * samples[number].maps[slot]
            total = share if total is None else total + share
    return total
