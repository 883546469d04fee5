"""Holding reduced precision to float32: what passes, and what does not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from streamcam.explain.hooks import ForwardPass
from streamcam.explain.precision_check import keeps_bounds
from streamcam.models import Classifier, InputSpec, Output
from streamcam.models.check_images import check_images
from streamcam.models.labels import numbered_labels
from streamcam.models.layouts import Layout

LAYOUT = Layout("nchw", (2, 2))
CLASSIFIER = Classifier("probe", nn.Identity(), numbered_labels(2), InputSpec(8, 8), "none")


def run(channels: list[list[float]], gap: float = 0.0) -> ForwardPass:
    """Two channels of four places; each is one class's logit, and the first class leads by ``gap``."""
    leaf = torch.tensor(channels).view(1, 2, 2, 2).requires_grad_()
    return ForwardPass(Output(leaf.mean(dim=(2, 3)) + torch.tensor([gap, 0.0])), (leaf,), (8, 8))


ONE = [[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0]]


def test_what_stays_the_same_passes() -> None:
    assert keeps_bounds(run(ONE), run(ONE), CLASSIFIER, LAYOUT)


# Near a gap of nothing a probability moves by a quarter of what the gap moves by.
@pytest.mark.parametrize(("gap", "passes"), [(0.079, True), (0.081, False)])
def test_a_probability_may_move_by_two_hundredths(gap: float, passes: bool) -> None:
    assert keeps_bounds(run(ONE, gap), run(ONE), CLASSIFIER, LAYOUT) is passes


# A lead of 0.016 in logits is one of 0.008 in probabilities, and one of 0.024 is 0.012.
@pytest.mark.parametrize(("lead", "passes"), [(0.016, True), (0.024, False)])
def test_the_best_class_may_change_only_where_it_hardly_led(lead: float, passes: bool) -> None:
    assert keeps_bounds(run(ONE, -0.01), run(ONE, lead), CLASSIFIER, LAYOUT) is passes


@pytest.mark.parametrize(("moved", "passes"), [(0.05, True), (0.2, False)])
def test_a_map_may_change_by_little(moved: float, passes: bool) -> None:
    # Deviations from the mean are -1.5, -0.5, 0.5, 1.5; adding (m, -m, -m, m), at right angles to them, makes
    # the correlation 1 / sqrt(1 + 4 m² / 5): 0.9990 at 0.05, 0.984 at 0.2. The logit, a mean, stays.
    changed = [[1.0 + moved, 2.0 - moved, 3.0 - moved, 4.0 + moved], ONE[1]]
    assert keeps_bounds(run(changed, 1.0), run(ONE, 1.0), CLASSIFIER, LAYOUT) is passes


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_any_more_fails(value: float) -> None:
    broken = [[value, 2.0, 3.0, 4.0], ONE[1]]
    assert not keeps_bounds(run(broken), run(ONE), CLASSIFIER, LAYOUT)


def test_what_was_no_number_before_must_be_none_now() -> None:
    broken = [[float("nan"), 2.0, 3.0, 4.0], ONE[1]]
    assert keeps_bounds(run(broken), run(broken), CLASSIFIER, LAYOUT)
    assert not keeps_bounds(run(ONE), run(broken), CLASSIFIER, LAYOUT)


def test_a_map_of_nothing_has_no_correlation_to_reach() -> None:
    flat = [[0.0] * 4, [0.0] * 4]
    assert keeps_bounds(run(flat), run(flat), CLASSIFIER, LAYOUT)


def test_check_images_are_the_same_every_time_and_differ_from_each_other() -> None:
    images = check_images(64, 96)
    assert (images.shape, images.dtype) == ((8, 64, 96, 3), np.uint8)
    np.testing.assert_array_equal(images, check_images(64, 96))
    assert len({image.tobytes() for image in images}) == 8
    assert all(20 < image.std() < 90 for image in images)  # neither flat nor all black and white
