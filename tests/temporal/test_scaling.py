"""From raw maps to the strength that is shown, on values worked out by hand."""

from __future__ import annotations

import numpy as np

from streamcam.frames import FloatArray
from streamcam.temporal.scaling import scale_to_unit


def flat(value: float) -> FloatArray:
    return np.full((2, 3), value, np.float32)


def test_scaling_makes_the_strongest_place_1() -> None:
    scaled = scale_to_unit(np.array([[0, 1], [2, 4]], np.float32))
    assert scaled.dtype == np.float32
    np.testing.assert_array_equal(scaled, [[0, 0.25], [0.5, 1]])


def test_a_map_without_evidence_stays_without() -> None:
    np.testing.assert_array_equal(scale_to_unit(flat(0)), flat(0))


def test_evidence_against_a_class_is_no_heat() -> None:
    np.testing.assert_array_equal(scale_to_unit(np.array([[-8, 1, 2]], np.float32)), [[0, 0.5, 1]])
    np.testing.assert_array_equal(scale_to_unit(flat(-1)), flat(0))


def test_the_faintest_map_scales_too() -> None:
    faintest = float(np.finfo(np.float32).smallest_subnormal)
    np.testing.assert_array_equal(scale_to_unit(flat(faintest)), flat(1))


def test_evidence_against_is_kept_on_one_scale_where_it_is_asked_for() -> None:
    scaled = scale_to_unit(np.array([[-8, 1, 2]], np.float32), signed=True)
    np.testing.assert_array_equal(scaled, [[-1, 0.125, 0.25]])
    np.testing.assert_array_equal(scale_to_unit(flat(0), signed=True), flat(0))
