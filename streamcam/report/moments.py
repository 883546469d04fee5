"""Moments to look at first: where labels change, confidence falls, or the heat jumps."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streamcam.frames import FloatArray

_MOST = 8
_WINDOW_S = 1.0
"""Changes within this time are sudden."""
_OF_ONE_KIND = 4
_APART_S = _WINDOW_S
"""Moments that are nearer to a more striking one are left out: they may be the same."""
_LEAST_FALL = 0.15
_LEAST_JUMP = 0.2
"""Of the heat's center, with the frame's width and height as 1."""
_LABEL_CHANGE = 0.3
"""How striking a change of the label is in itself, beside a fall of confidence by as much."""


class Stretch(Protocol):
    """Rows from `begin` to before `end`."""

    @property
    def begin(self) -> int:
        """The first row."""

    @property
    def end(self) -> int:
        """The last row plus one."""


@dataclasses.dataclass(frozen=True, slots=True)
class Moment:
    """Something that happens suddenly."""

    row: int
    """Of which explained frame."""
    kind: str
    """``"label"``, ``"confidence"`` or ``"heat"``."""
    text: str
    """A sentence."""
    weight: float
    """How striking it is, mostly 0 to 1."""


def find_moments(
    times_s: NDArray[np.float64],
    shown: Sequence[str],
    confidence: FloatArray,
    centers: FloatArray,
    shots: Sequence[Stretch],
) -> tuple[Moment, ...]:
    """Find sudden changes within shots, the most striking first.

    Args:
        times_s: Time of each explained frame, float64 (N,).
        shown: Class shown first in each.
        confidence: Its probability, float32 (N,).
        centers: Center of the heat, float32 (N, 2).
        shots: The shots; what changes at a cut is no surprise.
    """
    found: list[Moment] = []
    for shot in shots:
        rows = range(shot.begin, shot.end)
        found += _label_changes(rows, shown, confidence)
        found += _falls(rows, times_s, shown, confidence)
        found += _jumps(rows, times_s, centers)
    chosen: list[Moment] = []
    for moment in sorted(found, key=lambda one: (-one.weight, one.row)):
        alike = sum(other.kind == moment.kind for other in chosen)
        apart = all(abs(times_s[moment.row] - times_s[other.row]) >= _APART_S for other in chosen)
        if apart and alike < _OF_ONE_KIND:
            chosen.append(moment)
    return tuple(chosen[:_MOST])


def _label_changes(rows: range, shown: Sequence[str], confidence: FloatArray) -> Iterator[Moment]:
    for row in rows[1:]:
        if shown[row] != shown[row - 1]:
            before, after = shown[row - 1] or "nothing", shown[row] or "nothing"
            change = abs(float(confidence[row]) - float(confidence[row - 1]))
            text = (
                f"{before} becomes {after} ({_percent(confidence[row - 1])} to {_percent(confidence[row])})."
            )
            yield Moment(row, "label", text, _LABEL_CHANGE + (change if np.isfinite(change) else 0))


def _falls(
    rows: range, times_s: NDArray[np.float64], shown: Sequence[str], confidence: FloatArray
) -> Iterator[Moment]:
    begin = rows.start
    for row in rows:
        while times_s[row] - times_s[begin] > _WINDOW_S:
            begin += 1
        window = confidence[begin : row + 1]
        if not np.isfinite(window).all():
            continue
        highest = float(window.max())
        fall = highest - float(confidence[row])
        if fall >= _LEAST_FALL:
            name = shown[row] or "nothing"
            text = f"Confidence in {name} falls from {_percent(highest)} to {_percent(confidence[row])}."
            yield Moment(row, "confidence", text, fall)


def _jumps(rows: range, times_s: NDArray[np.float64], centers: FloatArray) -> Iterator[Moment]:
    begin = rows.start
    for row in rows:
        while times_s[row] - times_s[begin] > _WINDOW_S:
            begin += 1
        jump = float(np.hypot(*(centers[row] - centers[begin])))
        if jump >= _LEAST_JUMP:
            text = f"The heat's center moves by {_percent(jump)} of the frame within {_WINDOW_S:g} s."
            yield Moment(row, "heat", text, jump)


def _percent(value: float) -> str:
    return f"{100 * float(value):.0f} %" if 0 <= value <= 1 else f"{float(value):.3g}"
