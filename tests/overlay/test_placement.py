"""Where maps lie on planes and how they are upsample_linear, on values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from streamcam.frames import FloatArray, Region
from streamcam.overlay.placement import (
    MAX_CUBIC_FACTOR,
    Scratch,
    Span,
    locate_region,
    upsample_cubic,
    upsample_linear,
)


def noise(rows: int = 7, columns: int = 12) -> FloatArray:
    return np.random.default_rng(0).random((rows, columns), dtype=np.float32)


# --- enlarging by curves ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pixels", "times"),
    [((432, 768), 7), ((7 * 20, 12 * 40), 5), ((7 * 15, 12 * 15), 3), ((7 * 11, 12 * 99), 1), ((7, 12), 1)],
)
def test_a_curve_gives_a_value_for_four_pixels_or_more(pixels: tuple[int, int], times: int) -> None:
    """An odd number of them, so that one is the map's own."""
    heat = noise()
    curved = upsample_cubic(heat, pixels)
    assert curved.dtype == np.float32
    assert curved.shape == (7 * times, 12 * times)
    middle = times // 2
    np.testing.assert_allclose(curved[middle::times, middle::times], heat, atol=1e-6)


def test_curves_do_not_swing_beyond_the_values_around() -> None:
    heat = noise()
    curved = upsample_cubic(heat, (1080, 1920))
    middle = MAX_CUBIC_FACTOR // 2
    for row, column in np.ndindex(6, 11):
        corners = heat[row : row + 2, column : column + 2]
        start, left = row * MAX_CUBIC_FACTOR + middle, column * MAX_CUBIC_FACTOR + middle
        between = curved[start : start + MAX_CUBIC_FACTOR, left : left + MAX_CUBIC_FACTOR]
        assert between.min() >= corners.min() - 1e-6
        assert between.max() <= corners.max() + 1e-6


def test_even_heat_stays_even() -> None:
    flat = np.full((7, 12), 0.3, np.float32)
    np.testing.assert_allclose(upsample_cubic(flat, (1080, 1920)), 0.3, atol=1e-6)


def test_a_hot_spot_is_round() -> None:
    """By straight lines its corners have a quarter of its heat halfway to the next cell, its sides a half."""
    heat = np.zeros((5, 5), np.float32)
    heat[2, 2] = 1
    curved = upsample_cubic(heat, (1000, 1000))
    center = 2 * MAX_CUBIC_FACTOR + MAX_CUBIC_FACTOR // 2
    # The two points lie alike far from the center: 3 steps along a side, 2 along each of both (2.83).
    side, corner = curved[center, center + 3], curved[center + 2, center + 2]
    assert corner == pytest.approx(side, abs=0.07)


# --- enlarging by straight lines --------------------------------------------------------------------------


def test_cell_centers_fall_on_the_centers_of_what_they_cover() -> None:
    wide = upsample_linear(np.array([[0, 1]], np.float32), Span(0, 1, 1), Span(0, 8, 8), Scratch(), "x")
    np.testing.assert_allclose(wide, [[0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1]], atol=1e-6)


def test_what_lies_beyond_the_plane_is_cut() -> None:
    values = np.array([[0], [1], [2], [3]], np.float32)
    seen = upsample_linear(values, Span(-2, 6, 4), Span(0, 1, 1), Scratch(), "x")
    np.testing.assert_allclose(seen[:, 0], [0.75, 1.25, 1.75, 2.25], atol=1e-6)


def test_arrays_are_used_again_for_the_same_use_shape_and_type_only() -> None:
    scratch = Scratch()
    first = scratch.array("a", (2, 3), np.uint8)
    assert scratch.array("a", (2, 3), np.uint8) is first
    for other in (
        scratch.array("b", (2, 3), np.uint8),
        scratch.array("a", (3, 2), np.uint8),
        scratch.array("a", (2, 3), np.float32),
    ):
        assert other is not first


# --- spans ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edges", "wanted"),
    [((0.0, 1.0), (0, 18)), ((0.25, 0.75), (4, 14)), ((-0.5, 1.5), (-8, 28)), ((1.2, 1.4), (22, 26))],
)
def test_regions_start_and_end_where_a_chroma_sample_does(
    edges: tuple[float, float], wanted: tuple[int, int]
) -> None:
    """Of 18 lines, chroma has 9: 0.25 of them is 2.25, so 2 of them and 4 of luma; halves are rounded up."""
    region = Region(0, edges[0], 1, edges[1])
    rows, columns = locate_region(region, (18, 32), (18, 32), (9, 16))
    halves, _ = locate_region(region, (18, 32), (9, 16), (9, 16))
    assert (rows.start, rows.stop) == wanted
    assert (halves.start * 2, halves.stop * 2) == wanted
    assert (columns.start, columns.stop) == (0, 32)


def test_a_span_beside_the_plane_is_empty() -> None:
    for start, stop in ((20, 30), (-9, -2), (5, 5)):
        assert Span(start, stop, 10).inside_length == 0
    assert Span(-3, 4, 10).inside == slice(0, 4)
    assert Span(7, 15, 10).inside_length == 3


def test_arrays_are_used_again_and_those_of_sizes_long_gone_are_not_kept() -> None:
    scratch = Scratch()
    array = scratch.array("heat", (2, 3), np.uint8)
    for size in range(1, 100):
        scratch.array("heat", (size, 50), np.uint8)
        assert scratch.array("heat", (2, 3), np.uint8) is array
    assert len(scratch._arrays) < 20
