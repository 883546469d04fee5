"""Holding a network in reduced precision to what it gives in float32."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from streamcam.explain.hooks import ForwardPass, HookedNetwork, with_cast_weights
from streamcam.explain.methods.gradients import gradcam
from streamcam.frames import FloatArray
from streamcam.models import Classifier, Layer
from streamcam.models.layouts import Layout

PROBABILITY_BOUND = 0.02
"""How far a probability may move."""
MARGIN_BOUND = 0.01
"""Only a best class that leads by less than this may change."""
CORRELATION_BOUND = 0.999
"""What each map's correlation must reach."""

_IMAGES = 8
_CONTRAST = 45.0


def keeps_bounds(found: ForwardPass, expected: ForwardPass, classifier: Classifier, layout: Layout) -> bool:
    """Tell whether labels, probabilities and Grad-CAM maps stayed within the bounds above.

    What is not finite in float32 must not become finite, and is not compared otherwise.

    Args:
        found: What the network gave in reduced precision.
        expected: What it gave in float32, for the same images.
        classifier: Makes probabilities of logits.
        layout: How the first kept layer's output lies on the image.
    """
    was, now = (classifier.probabilities(run.logits.detach()) for run in (expected, found))
    if not torch.equal(was.isfinite(), now.isfinite()):
        return False
    comparable = was.isfinite().all(dim=1)
    if (now - was)[comparable].abs().gt(PROBABILITY_BOUND).any():
        return False
    leading = was.topk(2, dim=1).values
    clear = comparable & (leading[:, 0] - leading[:, 1] >= MARGIN_BOUND)
    classes = was.argmax(dim=1)
    if (now.argmax(dim=1) != classes)[clear].any():
        return False
    # On the processor: Apple's devices have no float64.
    maps = [_gradcam(run, classes, layout).flatten(1).cpu().double() for run in (found, expected)]
    correlation = _correlation(*maps)
    mapped = comparable.cpu() & (maps[1].std(dim=1) > 0)
    return bool(correlation[mapped].ge(CORRELATION_BOUND).all())


def close_to(found: FloatArray, expected: FloatArray, tolerance: float) -> bool:
    """Tell whether values agree wherever they are finite, to a share of the largest of them."""
    finite = np.isfinite(expected)
    if found.shape != expected.shape or not np.array_equal(finite, np.isfinite(found)):
        return False
    largest = float(np.abs(expected[finite]).max(initial=1e-6))
    return bool(np.abs(found[finite] - expected[finite]).max(initial=0.0) <= tolerance * largest)


def hooked_network(
    classifier: Classifier,
    layers: Sequence[Layer],
    dtypes: Sequence[torch.dtype],
    inputs: Callable[[], torch.Tensor],
) -> HookedNetwork:
    """Set a network up in the first of several precisions that keeps the bounds.

    Args:
        classifier: On its device.
        layers: The layers to keep.
        dtypes: The preferred one first; the last is held to nothing.
        inputs: Makes what it is tried on, float32 (N, C, H, W), normalised.
    """
    *tried, last = dtypes
    exact = _network(classifier, layers, last)
    layout = layers[0].layout
    if tried and layout is not None:
        batch = inputs()
        expected = exact.run(batch)
        for dtype in tried:
            network = _network(classifier, layers, dtype)
            if keeps_bounds(network.run(batch), expected, classifier, layout):
                return network
    return exact


def _network(classifier: Classifier, layers: Sequence[Layer], dtype: torch.dtype) -> HookedNetwork:
    if dtype != torch.float32:
        classifier = with_cast_weights(classifier, dtype)
    return HookedNetwork(classifier, layers, dtype)


def _gradcam(forward_pass: ForwardPass, classes: torch.Tensor, layout: Layout) -> torch.Tensor:
    scores = forward_pass.logits.gather(1, classes.view(-1, 1)).sum()
    (gradients,) = torch.autograd.grad(scores, forward_pass.outputs[0], retain_graph=True)
    folded = [
        layout.fold(values, forward_pass.size) for values in (forward_pass.outputs[0].detach(), gradients)
    ]
    return gradcam(*folded).relu()


def _correlation(some: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Pearson's correlation of each row, (N,)."""
    some, others = (rows - rows.mean(dim=1, keepdim=True) for rows in (some, others))
    return nn.functional.cosine_similarity(some, others)


def check_images(height: int, width: int) -> NDArray[np.uint8]:
    """Make the images that a network is tried on, the same ones every time.

    Like photographs they hold the more contrast the coarser it is, and their colours go together: networks
    take them for velvet or coral, with all degrees of certainty.

    Returns:
        RGB, uint8 (8, height, width, 3).
    """
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    frequency = np.hypot(rows, columns)
    frequency[0, 0] = np.inf  # the mean is chosen below
    images = []
    for seed in range(_IMAGES):
        chance = np.random.default_rng(seed)
        phases = chance.normal(size=(2, 4, *frequency.shape))
        shared, *own = phases[0] + 1j * phases[1]
        spectra = [(shared + 0.5 * one) / frequency ** chance.uniform(0.8, 1.4) for one in own]
        planes = np.fft.irfft2(spectra, s=(height, width), axes=(1, 2))
        planes *= _CONTRAST / planes.std(axis=(1, 2), keepdims=True)
        colours = chance.uniform(70, 180, (3, 1, 1))
        images.append(np.clip(planes + colours, 0, 255).astype(np.uint8).transpose(1, 2, 0))
    return np.ascontiguousarray(images)
