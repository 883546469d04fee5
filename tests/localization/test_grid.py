"""Heatmaps on the grid of the whole frame."""

from __future__ import annotations

import numpy as np
import pytest

from streamcam.frames import Region
from streamcam.localization.grid import MAX_CELLS, place_on_frame


def test_values_between_two_cells_lie_on_a_line() -> None:
    """Two cells over 8 pixels have their middles at 2 and 6; pixels have theirs at 0.5, 1.5 and so on."""
    grid = place_on_frame(np.array([[0, 1]], np.float32), Region(), (8, 2))
    assert grid.shape == (2, 8)
    np.testing.assert_allclose(grid[0], [0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1], atol=1e-6)
    np.testing.assert_array_equal(grid[0], grid[1])


def test_what_a_center_crop_left_out_has_no_heat() -> None:
    grid = place_on_frame(np.ones((2, 2), np.float32), Region(0.25, 0, 0.75, 1), (8, 4))
    assert grid.tolist() == [[0, 0, 1, 1, 1, 1, 0, 0]] * 4


def test_the_bars_of_a_padded_input_lie_outside_the_frame() -> None:
    """A frame twice as wide as high was padded to a square: the middle half of the map lies on it."""
    heat = np.array([[9, 9], [1, 2], [3, 4], [9, 9]], np.float32)
    grid = place_on_frame(heat, Region(0, -0.5, 1, 1.5), (4, 2))
    np.testing.assert_allclose(grid[:, [0, -1]], [[1, 2], [3, 4]])


@pytest.mark.parametrize(("size", "shape"), [((1920, 1080), (180, 320)), ((1080, 1920), (320, 180))])
def test_the_grid_of_a_large_frame_has_its_shape(size: tuple[int, int], shape: tuple[int, int]) -> None:
    grid = place_on_frame(np.ones((7, 12), np.float32), Region(), size)
    assert grid.shape == shape
    assert max(shape) == MAX_CELLS
    np.testing.assert_allclose(grid, 1, atol=1e-6)


def test_a_map_of_one_cell_covers_its_region() -> None:
    assert place_on_frame(np.full((1, 1), 3, np.float32), Region(), (4, 2)).tolist() == [[3] * 4] * 2
