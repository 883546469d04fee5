"""Check that a network in reduced precision keeps the labels and maps of float32."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from streamcam.explain.hooks import ForwardPass, HookedNetwork, with_cast_weights
from streamcam.explain.methods.gradients import gradcam
from streamcam.frames import FloatArray
from streamcam.models import Layer, Model
from streamcam.models.layouts import Layout

PROBABILITY_BOUND = 0.02
"""Largest change of a probability."""
MARGIN_BOUND = 0.01
"""Lead in probability below which the best class may change."""
CORRELATION_BOUND = 0.999
"""Least correlation of each map with that in float32."""


def keeps_bounds(reduced: ForwardPass, exact: ForwardPass, model: Model, layout: Layout | None) -> bool:
    """Return whether labels, probabilities and Grad-CAM maps are within the bounds above.

    What is not finite in float32 must not become finite, and is not compared otherwise.

    Args:
        reduced: Result in reduced precision.
        exact: Result in float32, for the same images.
        model: The model, for the probabilities.
        layout: How the first kept layer's output lies on the image; None if there is none, and so no map.
    """
    was, now = (model.probabilities(run.scores.detach()) for run in (exact, reduced))
    if not torch.equal(was.isfinite(), now.isfinite()):
        return False
    comparable = was.isfinite().all(dim=1)
    if (now - was)[comparable].abs().gt(PROBABILITY_BOUND).any():
        return False
    if _count_changed(was, now, MARGIN_BOUND):
        return False
    if layout is None:
        return True
    return bool(_map_correlations(reduced, exact, was, layout).ge(CORRELATION_BOUND).all())


def compare_maps(
    reduced: ForwardPass, exact: ForwardPass, model: Model, layout: Layout, margin: float
) -> tuple[list[float], int]:
    """Compare Grad-CAM maps and labels in reduced precision with those of float32.

    Args:
        reduced: As for `keeps_bounds`, like the others.
        exact: Result in float32.
        model: The model.
        layout: How the kept layer's output lies on the image.
        margin: Lead in probability below which the best class may change.

    Returns:
        The correlation of each map that is not even, and the number of labels that changed.
    """
    was, now = (model.probabilities(run.scores.detach()) for run in (exact, reduced))
    return _map_correlations(reduced, exact, was, layout).tolist(), _count_changed(was, now, margin)


def _count_changed(was: torch.Tensor, now: torch.Tensor, margin: float) -> int:
    """Count images whose best class changed though it had led by a margin; what is not finite is left out."""
    best, *second = was.topk(min(2, was.shape[1]), dim=1).values.unbind(dim=1)
    comparable = was.isfinite().all(dim=1)
    clear = comparable & (best - second[0] >= margin) if second else comparable
    return int((now.argmax(dim=1) != was.argmax(dim=1))[clear].sum())


def _map_correlations(
    reduced: ForwardPass, exact: ForwardPass, was: torch.Tensor, layout: Layout
) -> torch.Tensor:
    """Return the correlation of each map of the best class, of finite images whose map is not even."""
    classes = was.argmax(dim=1)
    # On the processor: Apple's devices have no float64.
    maps = [_gradcam(run, classes, layout).flatten(1).cpu().double() for run in (reduced, exact)]
    return _correlation(*maps)[was.isfinite().all(dim=1).cpu() & (maps[1].std(dim=1) > 0)]


def close_to(values: FloatArray, expected: FloatArray, tolerance: float) -> bool:
    """Return whether values agree wherever they are finite, to a fraction of the largest of them."""
    finite = np.isfinite(expected)
    if values.shape != expected.shape or not np.array_equal(finite, np.isfinite(values)):
        return False
    largest = float(np.abs(expected[finite]).max(initial=1e-6))
    return bool(np.abs(values[finite] - expected[finite]).max(initial=0.0) <= tolerance * largest)


def hooked_network(
    model: Model,
    layers: Sequence[Layer],
    dtypes: Sequence[torch.dtype],
    inputs: Callable[[], torch.Tensor],
) -> HookedNetwork:
    """Set up a network in the first of several precisions that keeps the bounds.

    Args:
        model: The model, on its device.
        layers: The layers to keep.
        dtypes: Number formats, the preferred one first; the last is not checked.
        inputs: Makes the inputs to check with, as `Model.prepare` does.
    """
    *candidates, last = dtypes
    exact = _network(model, layers, last)
    layout = layers[0].layout if layers else None
    if candidates:
        batch = inputs()
        expected = exact.run(batch)
        for dtype in candidates:
            network = _network(model, layers, dtype)
            if keeps_bounds(network.run(batch), expected, model, layout):
                return network
    return exact


def _network(model: Model, layers: Sequence[Layer], dtype: torch.dtype) -> HookedNetwork:
    if dtype != torch.float32:
        model = with_cast_weights(model, dtype)
    return HookedNetwork(model, layers, dtype)


def _gradcam(forward_pass: ForwardPass, classes: torch.Tensor, layout: Layout) -> torch.Tensor:
    scores = forward_pass.scores.gather(1, classes.view(-1, 1)).sum()
    activations = forward_pass.layer_outputs[0]
    if scores.requires_grad:
        (gradients,) = torch.autograd.grad(
            scores, activations, retain_graph=True, allow_unused=True, materialize_grads=True
        )
    else:
        gradients = torch.zeros_like(activations)
    folded = [layout.fold(values, forward_pass.size) for values in (activations.detach(), gradients)]
    return gradcam(*folded).relu()


def _correlation(some: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Pearson's correlation of each row, (N,)."""
    some, others = (rows - rows.mean(dim=1, keepdim=True) for rows in (some, others))
    return nn.functional.cosine_similarity(some, others)
