"""The Kalman filter of boxes, against numbers worked out by hand."""

from __future__ import annotations

import pytest

from streamcam.temporal.box_motion import BoxMotion


def test_the_first_motion_is_believed_by_its_share_of_the_variance() -> None:
    motion = BoxMotion((0.0, 0.0, 0.2, 0.2), 0.9)
    motion.update((0.1, 0.0, 0.3, 0.2), 0.9, 1.0)
    # Of a box of 0.2: noise 0.01, speed 0.2 a second, and it changes by 0.12 a second, all of these squared.
    noise, speed, drift = 0.01**2, 0.2**2, 0.12**2
    of_value, of_both = noise + speed + drift / 3, speed + drift / 2
    center = 0.1 + 0.1 * of_value / (of_value + noise)
    velocity = 0.1 * of_both / (of_value + noise)
    left, top, right, bottom = motion.expected(0.5)
    assert (left + right) / 2 == pytest.approx(center + 0.5 * velocity)
    assert (right - left, top, bottom) == pytest.approx((0.2, 0.0, 0.2))


def test_a_steady_speed_is_learned_and_the_size_follows() -> None:
    motion = BoxMotion((0.0, 0.4, 0.2, 0.6), 0.9)
    for step in range(1, 41):
        motion.update((0.01 * step, 0.4, 0.01 * step + 0.3, 0.6), 0.9, 0.1)
    left, top, right, bottom = motion.expected(1.0)
    assert (left, right) == pytest.approx((0.5, 0.8), abs=0.01)
    assert (top, bottom) == pytest.approx((0.4, 0.6), abs=0.002)


def test_a_box_that_is_less_certain_than_before_counts_less() -> None:
    sure, unsure = BoxMotion((0.4, 0.4, 0.6, 0.6), 0.9), BoxMotion((0.4, 0.4, 0.6, 0.6), 0.9)
    for motion, score in ((sure, 0.9), (unsure, 0.3)):
        for _ in range(1, 10):
            motion.update((0.4, 0.4, 0.6, 0.6), 0.9, 0.04)
        motion.update((0.3, 0.4, 0.6, 0.7), score, 0.04)
    assert sure.expected(0.5)[0] < 0.35
    assert unsure.expected(0.5)[0] > 0.39
    # Where it was never more certain, it counts in full.
    low = BoxMotion((0.4, 0.4, 0.6, 0.6), 0.3)
    for _ in range(1, 10):
        low.update((0.4, 0.4, 0.6, 0.6), 0.3, 0.04)
    low.update((0.3, 0.4, 0.6, 0.7), 0.3, 0.04)
    assert low.expected(0.5) == pytest.approx(sure.expected(0.5))
