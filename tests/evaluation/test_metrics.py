"""Metrics on images small enough to work them out by hand."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable

import numpy as np
import pytest
from numpy.typing import NDArray

from streamcam.evaluation.heat import as_heat, blur
from streamcam.evaluation.metric_inputs import MetricInputs
from streamcam.evaluation.metrics import METRICS, asks_again
from streamcam.evaluation.metrics.imputation import impute
from streamcam.evaluation.metrics.masking import (
    adcc,
    arcc,
    coherency,
    complexity,
    drop,
    increase,
)
from streamcam.evaluation.metrics.pointing import energy, pointing
from streamcam.evaluation.metrics.removal import deletion, insertion, road, road_least, road_most
from streamcam.evaluation.metrics.steadiness import randomization, sensitivity, stability

Array = NDArray[np.float32]

IMAGE = np.array([[[0.4, 0.3], [0.2, 0.1]]], np.float32)
TRUE = IMAGE[0]
"""Heat that is right: each pixel counts by its value."""
FALSE = 0.5 - TRUE


def array(values: object) -> Array:
    return np.array(values, np.float32)


def score(images: Iterable[Array]) -> Array:
    """The network: the sum of the pixels is the probability."""
    return array([image.sum() for image in images])


@pytest.mark.parametrize(
    ("heat", "expected"),
    [(TRUE, (0 + 0.4 + 0.7 + 0.9 + 1) / 4 - 1 / 8), (FALSE, (0 + 0.1 + 0.3 + 0.6 + 1) / 4 - 1 / 8)],
)
def test_insertion_is_the_area_under_the_probability(heat: Array, expected: float) -> None:
    black = np.zeros_like(IMAGE)
    assert insertion(heat, IMAGE, black, score, 1.0, 0.0, steps=4) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("heat", "expected"),
    [(TRUE, (1 + 0.6 + 0.3 + 0.1 + 0) / 4 - 1 / 8), (FALSE, (1 + 0.9 + 0.7 + 0.4 + 0) / 4 - 1 / 8)],
)
def test_deletion_is_the_area_under_the_probability(heat: Array, expected: float) -> None:
    assert deletion(heat, IMAGE, score, 1.0, 0.0, steps=4) == pytest.approx(expected)


def test_pixels_of_equal_heat_come_in_their_order() -> None:
    flat = np.full((2, 2), 0.5, np.float32)
    assert deletion(flat, IMAGE, score, 1.0, 0.0, steps=4) == pytest.approx(
        deletion(TRUE, IMAGE, score, 1.0, 0.0, steps=4)
    )


def test_a_missing_pixel_is_the_weighted_mean_of_its_neighbors() -> None:
    image = array([[[1, 2, 3], [4, 99, 6], [7, 8, 9]]])
    missing = np.zeros((3, 3), np.bool_)
    missing[1, 1] = True
    filled = impute(image, missing, tolerance=1e-7)
    assert filled[0, 1, 1] == pytest.approx((2 + 4 + 6 + 8) / 6 + (1 + 3 + 7 + 9) / 12)
    assert filled[0][~missing].tolist() == image[0][~missing].tolist()
    corner = np.zeros((3, 3), np.bool_)
    corner[0, 0] = True  # three neighbors: 1/6, 1/6 and 1/12 of 5/12
    assert impute(image, corner, tolerance=1e-7)[0, 0, 0] == pytest.approx((2 * 2 + 2 * 4 + 99) / 5)


def test_a_slope_is_filled_in_exactly_whatever_is_missing() -> None:
    slope = np.broadcast_to(np.linspace(0, 1, 60, dtype=np.float32), (2, 40, 60)).copy()
    missing = np.zeros((40, 60), np.bool_)
    missing[8:32, 10:50] = True
    given = np.where(missing, np.float32(7), slope)
    np.testing.assert_allclose(impute(given, missing, tolerance=1e-6), slope, atol=2e-3)
    assert not impute(given, np.ones_like(missing)).any()
    assert impute(given, np.zeros_like(missing)).tolist() == given.tolist()


def test_road_compares_what_is_lost_without_the_hottest_and_without_the_coldest() -> None:
    image = np.zeros((1, 10, 10), np.float32)
    image[0, :5] = 0.02  # the probability is the sum: 1
    hot_above = np.linspace(1, 0, 100, dtype=np.float32).reshape(10, 10)
    most = road_most(hot_above, image, score, 1.0, noise=0)
    least = road_least(hot_above, image, score, 1.0, noise=0)
    # At percentile 60 the upper four rows go: they are filled in with the 0.02 of the fifth. At 40 and 20 the
    # rows 1 to 6 and 1 to 8 go, and only 0 is left to fill them in; cold rows gain by 0.02 from above.
    assert most == pytest.approx((0 + 0 - 1 - 1) / 4, abs=0.01)
    assert least == pytest.approx((0 + 0 + 1 + 1) / 4, abs=0.01)
    assert road(least, most) == pytest.approx((least - most) / 2)
    assert road_most(1 - hot_above, image, score, 1.0, noise=0) == pytest.approx(least)


def test_noise_upon_imputed_pixels_is_the_same_every_time() -> None:
    image = np.random.default_rng(0).random((3, 12, 12), np.float32)
    heat = np.random.default_rng(1).random((12, 12), np.float32)
    first = road_most(heat, image, score, 1.0)
    assert first == road_most(heat, image, score, 1.0)
    assert first != road_most(heat, image, score, 1.0, noise=0)


def test_drop_and_increase() -> None:
    assert drop(0.8, 0.2) == pytest.approx(0.75)
    assert drop(0.2, 0.8) == 0
    assert math.isnan(drop(0.0, 0.0))
    assert (increase(0.2, 0.8), increase(0.8, 0.2), increase(0.5, 0.5)) == (1, 0, 0)


def test_coherency_is_a_correlation_from_0_to_1() -> None:
    assert coherency(TRUE, TRUE) == pytest.approx(1)
    assert coherency(TRUE, FALSE) == pytest.approx(0)
    assert coherency(TRUE, np.zeros_like(TRUE)) == 0.5


def test_complexity_is_the_mean_of_the_heat() -> None:
    assert complexity(TRUE) == pytest.approx(0.25)


def test_the_composites_are_harmonic_means() -> None:
    assert adcc(0.5, 0.75, 0.8) == pytest.approx(3 / (1 / 0.5 + 1 / 0.25 + 1 / 0.2))
    assert arcc(0.5, 0.75, 0.1) == pytest.approx(3 / (1 / 0.5 + 1 / 0.25 + 1 / 0.2), abs=1e-6)
    assert arcc(1.0, 0.0, 0.5) == pytest.approx(1)
    assert arcc(1.0, 0.0, -0.1) == pytest.approx(0, abs=1e-6)


def test_pointing_and_energy() -> None:
    grid, region = array([[0, 3], [1, 0]]), np.array([[False, True], [False, False]])
    assert pointing(grid, region) == 1
    assert pointing(grid, ~region) == 0
    assert pointing(array([[3, 3], [0, 0]]), region) == 1  # one of the hottest is enough
    assert energy(grid, region) == pytest.approx(0.75)


def test_sensitivity_is_the_largest_change_as_a_share() -> None:
    base = array([[3, 4]])
    assert sensitivity(base, [array([[3, 4]]), array([[3, 2]]), array([[3, 5]])]) == pytest.approx(2 / 5)


def test_stability_and_randomization_are_correlations() -> None:
    assert stability(TRUE, 2 * TRUE + 1) == pytest.approx(1)
    assert stability(TRUE, FALSE) == pytest.approx(-1)
    squares = TRUE**2  # the same order
    assert randomization(TRUE, [squares, FALSE, np.zeros_like(TRUE)]) == pytest.approx((1 - 1 + 0) / 3)


# --- Heat and the table ----------------------------------------------------------------------------------


def test_heat_is_enlarged_and_scaled() -> None:
    heat = as_heat(array([[1, 3]]), (2, 4))
    assert heat is not None
    np.testing.assert_allclose(heat, [[0, 0.25, 0.75, 1]] * 2)


@pytest.mark.parametrize("values", [[[0, 0]], [[2, 2]], [[1, math.nan]], [[1, math.inf]]])
def test_a_map_that_shows_nothing_is_no_heat(values: list[list[float]]) -> None:
    assert as_heat(array(values), (4, 4)) is None


def test_blurring_keeps_the_mean_of_a_flat_image() -> None:
    np.testing.assert_allclose(blur(np.full((3, 224, 300), 0.3, np.float32)), 0.3, rtol=1e-5)


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_needs_what_there_is(name: str) -> None:
    row = METRICS[name]
    known = {*dir(MetricInputs), "raw_map", "random_maps", *(each.replace("-", "_") for each in METRICS)}
    assert set(row.needs) <= known
    assert row.better in ("higher", "lower")
    assert (inspect.getdoc(row.function) or "").splitlines()[0].endswith(".")


def test_what_needs_further_maps_is_known() -> None:
    again = {name for name in METRICS if asks_again(name)}
    assert again == {"coherency", "adcc", "arcc", "sensitivity", "stability", "randomization"}
