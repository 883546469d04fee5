"""Gradients of criteria by the scores: by hand, and autograd's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from streamcam.explain.compiled.criteria import CRITERIA, weights_of
from streamcam.explain.methods import METHODS
from streamcam.explain.objectives import Objective
from streamcam.models import Output


def test_scores_are_weighed_by_class() -> None:
    weights = weights_of("gradcam", np.zeros((2, 3), np.float32), np.array([2, 0]), against=1)
    np.testing.assert_array_equal(weights, [[0, -1, 1], [1, -1, 0]])


def test_the_only_other_class_is_subtracted() -> None:
    """Of two classes, the criterion is their difference, whatever the weight of the reference."""
    scores = np.array([[3.0, 1.0]], np.float32)
    np.testing.assert_allclose(weights_of("finercam", scores, np.array([0])), [[1, -1]], atol=1e-6)


@pytest.mark.parametrize("against", [None, 4])
@pytest.mark.parametrize("classes", [2, 3, 7, 50])
@pytest.mark.parametrize("method", CRITERIA)
def test_gradients_are_autograds(method: str, classes: int, against: int | None) -> None:
    scores = torch.randn(6, classes, generator=torch.Generator().manual_seed(classes)) * 3
    scores.requires_grad_()
    chosen = torch.arange(6) % classes
    against = None if against is None else against % classes
    criterion = METHODS[method].criterion
    assert criterion is not None
    (expected,) = torch.autograd.grad(criterion(Objective(chosen, against), Output(scores)).sum(), scores)
    found = weights_of(method, scores.detach().numpy(), chosen.numpy(), against)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(found).max() > 0


def test_every_criterion_is_a_methods() -> None:
    assert {name for name, row in METHODS.items() if row.criterion is not None} == set(CRITERIA)
