"""Smoothing in time that trails nothing: forward and backward, with a bounded look ahead."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from streamcam.frames import FloatArray
from streamcam.temporal.flow import moved

REACH = 2.0
"""How many time constants are looked ahead, and back; the window falls to zero there."""

INSTANT_S = 1e-9
"""Times that are closer are the same."""


@dataclasses.dataclass(frozen=True, slots=True)
class Moment:
    """What is known of one frame of a shot."""

    time_s: float
    """Its presentation time in seconds."""
    maps: Mapping[int, FloatArray]
    """Slot → map, float32 (h, w), finite; without those that are missing."""
    back: Mapping[int, FloatArray]
    """Slot → what carries heat here from the frame before; empty where heat stays in place."""
    forth: Mapping[int, FloatArray]
    """Slot → what carries heat from here to the frame before."""


def mean_around(
    moments: Sequence[Moment], index: int, slot: int, time_constant_s: float, reach_s: float
) -> FloatArray | None:
    """Average the maps around one moment, weighted by ``exp(-|t| / time constant)``.

    That is an exponential mean run forward and backward. Less the window's value at `REACH` time constants,
    so that it ends at zero and no map enters or leaves it suddenly. Each map counts for the time between its
    neighbours, so that the rate of the frames does not matter, even where it changes.

    Args:
        moments: Of one shot, in order.
        index: Which of them.
        slot: Which map of each.
        time_constant_s: More than 0.
        reach_s: How far the window reaches to both sides, where that is less than its `REACH`.

    Returns:
        float32 (h, w); the nearest map where the window holds none; None where there is none at all.
    """
    here_s = moments[index].time_s
    known = [number for number, moment in enumerate(moments) if slot in moment.maps]
    if not known:
        return None
    reach_s = min(reach_s, REACH * time_constant_s) + INSTANT_S
    inside = [number for number in known if abs(moments[number].time_s - here_s) <= reach_s]
    weights = _weights([moments[number].time_s - here_s for number in inside], time_constant_s)
    total = sum(weights)
    if total <= 0:
        nearest = min(known, key=lambda number: abs(moments[number].time_s - here_s))
        inside, weights, total = [nearest], [1.0], 1.0
    shares = {number: weight / total for number, weight in zip(inside, weights, strict=True)}
    before = _gathered(moments, range(min(inside[0], index), index + 1), slot, shares, forward=True)
    after = _gathered(moments, range(max(inside[-1], index), index, -1), slot, shares, forward=False)
    if after is not None:
        after = moved(after, moments[index + 1].forth.get(slot))
    return before if after is None else after if before is None else before + after


def _weights(times_s: Sequence[float], time_constant_s: float) -> list[float]:
    """Weights of samples at times relative to the window's middle; the trapezoid rule."""
    least = math.exp(-REACH)
    weights = []
    for number, time_s in enumerate(times_s):
        before_s = times_s[max(number - 1, 0)]
        after_s = times_s[min(number + 1, len(times_s) - 1)]
        height = max(0.0, math.exp(-abs(time_s) / time_constant_s) - least)
        weights.append(height * (after_s - before_s) / 2)
    return weights


def _gathered(
    moments: Sequence[Moment], numbers: range, slot: int, shares: Mapping[int, float], *, forward: bool
) -> FloatArray | None:
    """Add up weighted maps from the farthest to the nearest, each carried along on the way."""
    total: FloatArray | None = None
    for number in numbers:
        if total is not None:
            shift = moments[number].back.get(slot) if forward else moments[number + 1].forth.get(slot)
            total = moved(total, shift)
        if number in shares:
            share = np.float32(shares[number]) * moments[number].maps[slot]
            total = share if total is None else total + share
    return total
