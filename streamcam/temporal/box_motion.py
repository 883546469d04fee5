"""Where the box of a moving object is expected next: a Kalman filter for each of its four numbers."""

from __future__ import annotations

import math

Box = tuple[float, float, float, float]

_NOISE = 0.05
"""Standard deviation of a found box's center, width and height, as a share of its size."""

_FIRST_SPEED = 1.0
"""Standard deviation of the speed of a new object, in sizes of its box a second."""

_ACCELERATION = 0.6
"""How much speed changes by itself: its standard deviation after a second, in sizes of the box a second."""

_GROWTH = 0.25
"""How much width and height change by themselves in a second: likewise, as a share of the size."""


class BoxMotion:
    """A center that moves at a speed that changes little, and a width and a height that change little.

    As in ByteTrack (Zhang et al. 2022, https://arxiv.org/abs/2110.06864) noise is in proportion to the box.
    Boxes of objects that are found with less certainty than before count less, after Du et al. 2021,
    "GIAOTracker", https://arxiv.org/abs/2202.11983: something hides a part of them, and the box covers the
    rest, or both.
    """

    def __init__(self, box: Box, score: float) -> None:
        """Begin with a box at rest.

        Args:
            box: Left, top, right and bottom edge as fractions of the frame.
            score: How certain the object is, above 0.
        """
        x, y, width, height = _centered(box)
        size = _size(width, height)
        self._best_score = score
        self._center = [_Moving(value, size) for value in (x, y)]
        self._extent = [_Steady(value, size) for value in (width, height)]

    def expected(self, elapsed_s: float) -> Box:
        """Return where the box is that many seconds after it was last found."""
        x, y = (one.value + one.speed * elapsed_s for one in self._center)
        width, height = (one.value for one in self._extent)
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2

    def update(self, box: Box, score: float, elapsed_s: float) -> None:
        """Note that it was found.

        Args:
            box: As at the beginning.
            score: Likewise.
            elapsed_s: Seconds since it was found before.
        """
        x, y, width, height = _centered(box)
        size = _size(width, height)
        self._best_score = max(self._best_score, score)
        noise = (_NOISE * size) ** 2 * (self._best_score / score) ** 4
        for center, value in zip(self._center, (x, y), strict=True):
            center.update(value, noise, (_ACCELERATION * size) ** 2, elapsed_s)
        for extent, value in zip(self._extent, (width, height), strict=True):
            extent.update(value, noise, (_GROWTH * size) ** 2, elapsed_s)


class _Moving:
    """A value and its speed, with their variances and covariance."""

    def __init__(self, value: float, size: float) -> None:
        self.value, self.speed = value, 0.0
        self._variances = (_NOISE * size) ** 2, 0.0, (_FIRST_SPEED * size) ** 2

    def update(self, found: float, noise: float, drift: float, elapsed_s: float) -> None:
        of_value, of_both, of_speed = self._variances
        of_value += 2 * elapsed_s * of_both + elapsed_s**2 * of_speed + drift * elapsed_s**3 / 3
        of_both += elapsed_s * of_speed + drift * elapsed_s**2 / 2
        of_speed += drift * elapsed_s
        gain, speed_gain = of_value / (of_value + noise), of_both / (of_value + noise)
        difference = found - self.value - self.speed * elapsed_s
        self.value = found - (1 - gain) * difference
        self.speed += speed_gain * difference
        self._variances = (1 - gain) * of_value, (1 - gain) * of_both, of_speed - speed_gain * of_both


class _Steady:
    """A value and its variance."""

    def __init__(self, value: float, size: float) -> None:
        self.value, self._variance = value, (_NOISE * size) ** 2

    def update(self, found: float, noise: float, drift: float, elapsed_s: float) -> None:
        variance = self._variance + drift * elapsed_s
        gain = variance / (variance + noise)
        self.value += gain * (found - self.value)
        self._variance = (1 - gain) * variance


def _centered(box: Box) -> tuple[float, float, float, float]:
    """Return center x and y, width and height."""
    left, top, right, bottom = box
    return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top


def _size(width: float, height: float) -> float:
    return math.sqrt(max(width * height, 1e-12))
