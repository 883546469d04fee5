"""Smoothing in time, on values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from streamcam.frames import FloatArray
from streamcam.temporal.smoothing import CausalSmoother


def flat(value: float, shape: tuple[int, int] = (2, 3)) -> FloatArray:
    return np.full(shape, value, np.float32)


def test_the_first_map_is_shown_as_it_is() -> None:
    np.testing.assert_array_equal(CausalSmoother(0.5).update(flat(3), 10.0), flat(3))


def test_after_the_time_constant_a_step_has_reached_63_percent() -> None:
    smoother = CausalSmoother(0.4)
    smoother.update(flat(0), 0.0)
    np.testing.assert_allclose(smoother.update(flat(1), 0.4), flat(1 - 1 / math.e), rtol=1e-6)


@pytest.mark.parametrize(
    ("time_constants", "reached"), [(0.5, 0.3935), (1, 0.6321), (2, 0.8647), (5, 0.9933)]
)
def test_step_response(time_constants: float, reached: float) -> None:
    """The first-order low-pass filter's: 1 - exp(-t / tau)."""
    smoother = CausalSmoother(2.0)
    smoother.update(flat(10), 0.0)
    smoothed = smoother.update(flat(20), 2.0 * time_constants)
    np.testing.assert_allclose(smoothed, flat(10 + 10 * reached), atol=1e-3)


def test_a_fading_map_falls_as_a_rising_one_rises() -> None:
    smoother = CausalSmoother(0.4)
    smoother.update(flat(1), 0.0)
    np.testing.assert_allclose(smoother.update(flat(0), 0.4), flat(1 / math.e), rtol=1e-6)


@pytest.mark.parametrize("times", [[0.3, 0.4, 1.0], [0.999, 1.0], [0.1 * n for n in range(1, 11)], [1.0]])
def test_many_irregular_steps_come_to_the_same_as_one(times: list[float]) -> None:
    """So that a video looks alike at every frame rate, and where frames were dropped."""
    smoother = CausalSmoother(0.7)
    smoother.update(flat(4), 0.0)
    for time_s in times:
        smoothed = smoother.update(flat(8), time_s)
    np.testing.assert_allclose(smoothed, flat(8 - 4 * math.exp(-1 / 0.7)), rtol=1e-6)


def test_every_place_is_smoothed_by_itself() -> None:
    smoother = CausalSmoother(1.0)
    smoother.update(np.array([[0, 8]], np.float32), 0.0)
    smoothed = smoother.update(np.array([[4, 8]], np.float32), math.log(2))
    np.testing.assert_allclose(smoothed, [[2, 8]], rtol=1e-6)


def test_without_a_time_constant_every_map_is_shown_as_it_is() -> None:
    smoother = CausalSmoother(0)
    for value in (1, 7, 3):
        np.testing.assert_array_equal(smoother.update(flat(value), value / 25), flat(value))


def test_a_very_small_time_constant_does_not_overflow() -> None:
    smoother = CausalSmoother(1e-300)
    smoother.update(flat(1), 0.0)
    np.testing.assert_array_equal(smoother.update(flat(2), 1e6), flat(2))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("time_constant_s", [0, 1.0])
def test_a_map_that_is_not_finite_leaves_the_state(bad: float, time_constant_s: float) -> None:
    smoother = CausalSmoother(time_constant_s)
    broken = flat(5)
    broken[0, 0] = bad
    assert smoother.update(broken, 0.0) is None
    smoother.update(flat(2), 1.0)
    np.testing.assert_array_equal(smoother.update(broken, 1.5), flat(2))
    np.testing.assert_array_equal(smoother.update(None, 2.0), flat(2))


def test_time_goes_on_while_maps_are_not_finite() -> None:
    smoother = CausalSmoother(1.0)
    smoother.update(flat(0), 0.0)
    smoother.update(flat(math.nan), 0.5)
    np.testing.assert_allclose(smoother.update(flat(1), 1.0), flat(1 - 1 / math.e), rtol=1e-6)


def test_another_resolution_starts_afresh() -> None:
    smoother = CausalSmoother(1.0)
    smoother.update(flat(1), 0.0)
    np.testing.assert_array_equal(smoother.update(flat(9, (3, 4)), 0.1), flat(9, (3, 4)))


def test_two_maps_of_one_instant_count_once() -> None:
    smoother = CausalSmoother(1.0)
    smoother.update(flat(1), 3.0)
    np.testing.assert_array_equal(smoother.update(flat(9), 3.0), flat(1))


def test_time_that_jumps_back_goes_on_from_there() -> None:
    smoother = CausalSmoother(1.0)
    smoother.update(flat(0), 100.0)
    np.testing.assert_array_equal(smoother.update(flat(1), 2.0), flat(0))
    np.testing.assert_allclose(smoother.update(flat(1), 3.0), flat(1 - 1 / math.e), rtol=1e-6)


def test_the_maps_given_stay_as_they_are() -> None:
    first, second = flat(1), flat(2)
    smoother = CausalSmoother(1.0)
    smoother.update(first, 0.0)
    smoothed = smoother.update(second, 1.0)
    assert smoothed.dtype == np.float32
    np.testing.assert_array_equal(first, flat(1))
    np.testing.assert_array_equal(second, flat(2))


def test_heat_is_carried_along_before_the_next_map_is_mixed_in() -> None:
    smoother = CausalSmoother(0.5)
    smoother.update(np.array([[0, 0, 8, 0, 0, 0, 0]], np.float32), 0.0)
    shift = np.zeros((1, 7, 2), np.float32)
    shift[..., 0] = -2  # what is to be here lies two cells to the left
    moved = smoother.update(None, 0.1, shift)
    np.testing.assert_allclose(moved, [[0, 0, 0, 0, 8, 0, 0]], atol=1e-6)
    mixed = smoother.update(np.array([[0, 0, 0, 0, 0, 0, 8]], np.float32), math.log(2) / 2, shift)
    np.testing.assert_allclose(mixed, [[0, 0, 0, 0, 0, 0, 8]], atol=1e-5)
