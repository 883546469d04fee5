"""Boxes around heat, on maps whose boxes can be read off."""

from __future__ import annotations

import numpy as np
import pytest

from streamcam.errors import InvalidArgumentError, UnknownNameError
from streamcam.frames import FloatArray
from streamcam.localization import LocalizationSettings, Localizer
from streamcam.localization.boxes import find_boxes


def two_blobs() -> FloatArray:
    """8 rows and 20 columns: 12 cells of heat 1, and 4 cells of heat 0.5 apart from them: 14 in all."""
    grid = np.zeros((8, 20), np.float32)
    grid[1:4, 2:6] = 1
    grid[5:7, 15:17] = 0.5
    return grid


def test_the_largest_area_has_a_box_with_its_share_of_the_heat() -> None:
    (found,) = find_boxes(two_blobs(), 0.3, "largest")
    assert found.box == (2 / 20, 1 / 8, 6 / 20, 4 / 8)
    assert found.share == pytest.approx(12 / 14)
    assert found.mask.shape == (3, 4)
    assert found.mask.all()


def test_each_area_has_a_box_where_all_are_asked_for() -> None:
    first, second = find_boxes(two_blobs(), 0.3, "all")
    assert first.box == (2 / 20, 1 / 8, 6 / 20, 4 / 8)
    assert second.box == (15 / 20, 5 / 8, 17 / 20, 7 / 8)
    assert (first.share, second.share) == (pytest.approx(12 / 14), pytest.approx(2 / 14))


def test_heat_below_the_threshold_is_outside() -> None:
    assert len(find_boxes(two_blobs(), 0.5, "all")) == 2  # exactly at the threshold is inside
    assert len(find_boxes(two_blobs(), 0.51, "all")) == 1


def test_a_speck_has_no_box_of_its_own() -> None:
    grid = two_blobs()
    grid[0, 10] = 0.6  # of 14.6, less than a twentieth
    assert len(find_boxes(grid, 0.3, "all")) == 2


def test_areas_that_touch_at_a_corner_are_one_and_its_mask_leaves_others_out() -> None:
    grid = np.zeros((4, 4), np.float32)
    grid[0, 0] = grid[1, 1] = grid[2, 0] = 1
    grid[0, 3] = 1  # alone
    grid[0, 1] = 0.1  # in the box, and below the threshold
    (found,) = find_boxes(grid, 0.5, "largest")
    assert found.box == (0, 0, 2 / 4, 3 / 4)
    assert found.mask.tolist() == [[True, False], [False, True], [True, False]]
    assert found.share == pytest.approx(3.1 / 4.1)


def test_evidence_against_counts_as_none() -> None:
    grid = two_blobs()
    grid[7, :] = -1
    (found,) = find_boxes(grid, 0.3, "largest")
    assert found.share == pytest.approx(12 / 14)


@pytest.mark.parametrize("value", [0, -1, np.nan, np.inf])
def test_a_map_without_heat_has_no_box(value: float) -> None:
    assert find_boxes(np.full((4, 4), value, np.float32), 0.2, "all") == []


@pytest.mark.parametrize("threshold", [0, 1, -0.1, float("nan")])
def test_a_threshold_that_is_no_share_is_refused(threshold: float) -> None:
    with pytest.raises(InvalidArgumentError, match=r"`threshold` is a share of the strongest heat"):
        Localizer(LocalizationSettings(threshold=threshold))


def test_an_unknown_choice_of_components_and_fewer_than_no_points_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="choice of components 'biggest'"):
        Localizer(LocalizationSettings(components="biggest"))
    with pytest.raises(InvalidArgumentError, match="`points` counts places from 0, not -1"):
        Localizer(LocalizationSettings(points=-1))
