"""The strongest places of heat."""

from __future__ import annotations

import numpy as np
import pytest

from streamcam.localization.peaks import find_peaks


def test_peaks_come_strongest_first_with_their_heat() -> None:
    grid = np.zeros((20, 40), np.float32)
    grid[4, 30], grid[15, 9], grid[10, 20] = 0.5, 1, 0.1
    expected = [(9.5 / 40, 15.5 / 20, 1.0), (30.5 / 40, 4.5 / 20, 0.5)]
    assert find_peaks(grid, 0.2, 5) == expected  # the third lies below the threshold
    assert find_peaks(grid, 0.2, 1) == expected[:1]
    assert find_peaks(grid, 0.2, 0) == []


def test_places_near_a_peak_are_no_peaks() -> None:
    grid = np.zeros((20, 40), np.float32)
    grid[10, 10], grid[10, 14], grid[10, 15] = 1, 0.9, 0.8  # a tenth of 40 cells is 4
    assert [(x * 40, heat) for x, _, heat in find_peaks(grid, 0.2, 5)] == [(10.5, 1)]


def test_a_level_summit_counts_once_at_its_middle() -> None:
    grid = np.zeros((20, 20), np.float32)
    grid[4:7, 2:16] = 0.75
    assert find_peaks(grid, 0.2, 5) == [(9 / 20, 5.5 / 20, 0.75)]


@pytest.mark.parametrize("value", [0, -1, np.nan])
def test_a_map_without_heat_has_no_peaks(value: float) -> None:
    assert find_peaks(np.full((4, 4), value, np.float32), 0.2, 3) == []
