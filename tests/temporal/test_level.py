"""From raw maps to the strength that is shown, on values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from streamcam.frames import FloatArray
from streamcam.temporal.level import RunningLevel, clip_heat, find_peak, scale_to_peak


def flat(value: float) -> FloatArray:
    return np.full((2, 3), value, np.float32)


def test_scaling_makes_the_strongest_place_1() -> None:
    scaled = scale_to_peak(np.array([[0, 1], [2, 4]], np.float32))
    assert scaled.dtype == np.float32
    np.testing.assert_array_equal(scaled, [[0, 0.25], [0.5, 1]])


def test_a_map_without_evidence_stays_without() -> None:
    np.testing.assert_array_equal(scale_to_peak(flat(0)), flat(0))


def test_evidence_against_a_class_is_no_heat() -> None:
    np.testing.assert_array_equal(scale_to_peak(np.array([[-8, 1, 2]], np.float32)), [[0, 0.5, 1]])
    np.testing.assert_array_equal(scale_to_peak(flat(-1)), flat(0))


def test_the_faintest_map_scales_too() -> None:
    faintest = float(np.finfo(np.float32).smallest_subnormal)
    np.testing.assert_array_equal(scale_to_peak(flat(faintest)), flat(1))


def test_evidence_against_is_kept_on_one_scale_where_it_is_asked_for() -> None:
    scaled = scale_to_peak(np.array([[-8, 1, 2]], np.float32), signed=True)
    np.testing.assert_array_equal(scaled, [[-1, 0.125, 0.25]])
    np.testing.assert_array_equal(scale_to_peak(flat(0), signed=True), flat(0))


def test_strength_beyond_full_is_cut_off() -> None:
    values = np.array([[-2, -0.5, 0.5, 2]], np.float32)
    np.testing.assert_array_equal(clip_heat(values), [[0, 0, 0.5, 1]])
    np.testing.assert_array_equal(clip_heat(values, signed=True), [[-1, -0.5, 0.5, 1]])
    assert find_peak(values) == 2


def test_the_first_frame_is_its_own_level() -> None:
    assert RunningLevel().update(3.5, 100.0) == pytest.approx(3.5)


def test_steady_peaks_are_the_level() -> None:
    level = RunningLevel()
    assert [level.update(8.0, number / 25) for number in range(50)] == pytest.approx([8.0] * 50)


def test_the_level_is_the_peaks_geometric_mean_and_one_standard_deviation() -> None:
    """Peaks 1 and e^2 in turn, for long: logarithms 0 and 2 have the mean 1 and the deviation 1."""
    level = RunningLevel()
    for number in range(5000):
        found = level.update(math.exp(2 * (number % 2)), number / 25)
    assert math.log(found) == pytest.approx(2, abs=0.02)


def test_one_strong_frame_hardly_moves_it() -> None:
    level = RunningLevel()
    for number in range(250):
        level.update(1.0, number / 25)
    assert level.update(10.0, 10.0) < 1.4
    for number in range(251, 300):
        found = level.update(1.0, number / 25)
    assert found < 1.3


def test_it_follows_within_its_time_constant() -> None:
    """After 4 s at 4, having been at 1: logarithms of which 63 % are ln 4 and the rest 0."""
    level = RunningLevel()
    for number in range(2501):
        level.update(1.0, number / 25)
    for number in range(2501, 2601):
        found = level.update(4.0, number / 25)
    share = 1 - 1 / math.e
    expected = share * math.log(4) + math.log(4) * math.sqrt(share * (1 - share))
    assert math.log(found) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("rate", [12.5, 25, 50])
def test_the_level_does_not_depend_on_the_rate_of_frames(rate: float) -> None:
    level = RunningLevel()
    for number in range(round(3 * rate) + 1):
        found = level.update(1.0 if number <= rate else 2.0, number / rate)
    assert found == pytest.approx(2.25, abs=0.02)


def test_frames_without_evidence_do_not_count() -> None:
    level = RunningLevel()
    assert level.update(0.0, 0.0) == 1
    level.update(5.0, 1.0)
    assert level.update(0.0, 2.0) == pytest.approx(5)
