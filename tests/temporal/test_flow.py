"""Motion: found in views, and heat carried along by it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

from streamcam.frames import FloatArray, Region
from streamcam.temporal.flow import (
    FlowEstimator,
    compute_displacement,
    normalize_contrast,
    shift_box,
    upsample,
    upsampling_factor,
    warp,
)

WHOLE = Region()


def blob(x: float, y: float = 14.0, shape: tuple[int, int] = (28, 48), width: float = 4.0) -> FloatArray:
    """Heat around one place, in cells."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * width**2)).astype(np.float32)


def peak_of(heat: FloatArray) -> tuple[int, int]:
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    return int(column), int(row)


def shifts(right: float, down: float, shape: tuple[int, int] = (28, 48)) -> FloatArray:
    return np.broadcast_to(np.array([right, down], np.float32), (*shape, 2))


def view(left: int = 0, top: int = 0, gain: float = 1.0) -> NDArray[np.uint8]:
    """A window of 192x108 on a photograph."""
    window = skimage.data.camera()[100 + top : 208 + top, 100 + left : 292 + left]
    return (window * gain).clip(0, 255).astype(np.uint8)


# --- refining and carrying -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "factor"),
    [((7, 12), 4), ((7, 7), 4), ((14, 24), 2), ((28, 50), 1), ((224, 398), 1), ((1, 1), 4)],
)
def test_coarse_maps_are_refined_and_fine_ones_are_not(shape: tuple[int, int], factor: int) -> None:
    assert upsampling_factor(shape) == factor
    assert upsample(np.ones(shape, np.float32)).shape == (shape[0] * factor, shape[1] * factor)


def test_refining_is_linear_and_keeps_even_maps_even() -> None:
    chance = np.random.default_rng(1)
    one, other = (chance.normal(size=(7, 12)).astype(np.float32) for _ in range(2))
    np.testing.assert_allclose(upsample(one + 2 * other), upsample(one) + 2 * upsample(other), atol=1e-5)
    np.testing.assert_allclose(upsample(np.full((7, 12), 3, np.float32)), 3, rtol=1e-6)


def test_carrying_moves_heat_to_where_it_is_asked_for() -> None:
    np.testing.assert_allclose(warp(blob(20), shifts(-3, 0)), blob(23), atol=1e-5)
    assert peak_of(warp(blob(20), shifts(-2, 5))) == (22, 9)


def test_carrying_is_linear_and_keeps_even_heat_even() -> None:
    chance = np.random.default_rng(2)
    one, other = (chance.normal(size=(28, 48)).astype(np.float32) for _ in range(2))
    shift = chance.normal(size=(28, 48, 2)).astype(np.float32) * 5
    np.testing.assert_allclose(
        warp(one - 3 * other, shift), warp(one, shift) - 3 * warp(other, shift), atol=1e-4
    )
    np.testing.assert_allclose(warp(np.full((28, 48), 2, np.float32), shift), 2, rtol=1e-5)


@pytest.mark.parametrize("step", [0.01, 0.03, 0.2, 0.5])
def test_small_steps_go_as_far_as_they_say(step: float) -> None:
    """And blur little: 25 steps of a fifth of a cell, a second's worth, cost a tenth of the peak."""
    heat = blob(14)
    for _ in range(25):
        heat = warp(heat, shifts(-step, 0))
    center = float((heat.sum(axis=0) * np.arange(48)).sum() / heat.sum())
    assert center - 14 == pytest.approx(25 * step, rel=0.02, abs=0.01)
    assert heat.max() > 0.84


# --- finding ---------------------------------------------------------------------------------------------


def test_the_motion_of_an_image_is_found() -> None:
    """The window goes 6 pixels right and 3 down, so what it shows comes from further right and down."""
    motion = FlowEstimator().estimate(view(6, 3), view())
    inside = motion[20:-20, 20:-20]
    np.testing.assert_allclose(np.median(inside, axis=(0, 1)), [6 / 192, 3 / 108], atol=0.002)


def test_a_change_of_exposure_is_no_motion() -> None:
    motion = FlowEstimator().estimate(view(gain=0.6), view())
    assert np.abs(motion).mean() < 0.002


def test_views_of_other_shapes_have_no_motion_between_them() -> None:
    square = np.asarray(cv2.resize(view(), (192, 192)), np.uint8)
    np.testing.assert_array_equal(
        FlowEstimator().estimate(view(), square), np.zeros((108, 192, 2), np.float32)
    )


def test_evened_views_have_one_brightness_and_contrast() -> None:
    for gain in (0.4, 0.9):
        even = normalize_contrast(view(gain=gain))
        assert even.mean() == pytest.approx(128, abs=8)
        assert even.std() == pytest.approx(44, abs=6)
    np.testing.assert_array_equal(normalize_contrast(np.full((64, 64), 16, np.uint8)), 128)


# --- from motion to shifts of heat -----------------------------------------------------------------------


def test_motion_of_the_whole_image_shifts_heat_as_far() -> None:
    motion = np.broadcast_to(np.array([0.1, -0.05], np.float32), (108, 192, 2))
    np.testing.assert_allclose(compute_displacement(motion, blob(20), WHOLE, 4), shifts(4.8, -1.4), atol=1e-4)


def test_heat_follows_what_is_under_it_and_keeps_together() -> None:
    """A box in the middle moves; heat on it reaches beyond its edges, and goes with it as a whole."""
    motion = np.zeros((108, 192, 2), np.float32)
    motion[36:72, 72:120, 0] = 0.02
    near = blob(23.5, 13.5)
    shift = compute_displacement(motion, near, WHOLE, 4)
    assert shift[14, 24, 0] == pytest.approx(0.96, abs=0.1)
    assert shift[14, 31, 0] > 0.7, "beyond the box, where the heat has fallen to a fifth"


def test_what_passes_elsewhere_does_not_pull_heat_along() -> None:
    motion = np.zeros((108, 192, 2), np.float32)
    motion[:, 150:, 0] = 0.05
    shift = compute_displacement(motion, blob(12), WHOLE, 4)
    assert np.abs(shift[10:18, 6:18]).max() < 0.02


@pytest.mark.parametrize(
    "region", [Region(0.25, 0, 0.75, 1), Region(0, -0.5, 1, 1.5), Region(0.25, 0.25, 0.5, 0.5)]
)
def test_a_region_s_heat_is_shifted_by_the_motion_inside_it(region: Region) -> None:
    """To the right of the middle the image moves by a hundredth of its width, to the left not at all."""
    motion = np.zeros((108, 192, 2), np.float32)
    motion[:, 96:, 0] = 0.01
    even = np.ones((28, 28), np.float32)
    shift = compute_displacement(motion, even, region, 1)
    across = region.right - region.left
    middle = (0.5 - region.left) / across * 28
    right = shift[:, min(27, round(middle) + 4) :, 0]
    if middle < 24:
        np.testing.assert_allclose(right, 0.28 / across, rtol=0.05)
    left = shift[:, : max(0, round(middle) - 4), 0]
    np.testing.assert_allclose(left, 0, atol=0.01)
    np.testing.assert_allclose(shift[..., 1], 0, atol=1e-6)


def test_heat_travels_with_a_photograph() -> None:
    """All of it together: ten frames of a pan, and the heat is where the thing is that it was on."""
    estimator, heat = FlowEstimator(), blob(36, 10)
    for step in range(10):
        motion = estimator.estimate(view(4 * step + 4, 0), view(4 * step, 0))
        heat = warp(heat, compute_displacement(motion, heat, WHOLE, 4))
    column, row = peak_of(heat)
    assert (column, row) == (pytest.approx(26, abs=1), pytest.approx(10, abs=1))


# --- boxes ------------------------------------------------------------------------------------------------


def test_a_box_is_shifted_by_the_median_motion_inside_it() -> None:
    flow = np.zeros((100, 200, 2), np.float32)
    flow[40:60, 80:120] = [-0.1, 0.05]  # further left and down before
    box = shift_box((0.4, 0.35, 0.6, 0.65), flow)
    assert box == pytest.approx((0.5, 0.3, 0.7, 0.6))


@pytest.mark.parametrize("left", [-0.5, 1.2])
def test_a_box_outside_the_image_moves_with_the_nearest_pixel(left: float) -> None:
    flow = np.full((10, 10, 2), 0.1, np.float32)
    assert shift_box((left, 0, left + 0.2, 1), flow) == pytest.approx((left - 0.1, -0.1, left + 0.1, 0.9))


def test_a_box_of_no_size_moves_with_the_pixel_under_it() -> None:
    flow = np.full((10, 10, 2), 0.1, np.float32)
    assert shift_box((0.5, 0.5, 0.5, 0.5), flow) == pytest.approx((0.4, 0.4, 0.4, 0.4))
