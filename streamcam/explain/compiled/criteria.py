"""The gradients of what methods differentiate by the scores, where that is not a sum of scores.

What comes before the scores is compiled for any weights of them, so these gradients are all that is left of a
criterion of `streamcam.explain.objectives`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from streamcam.frames import FloatArray


def finer_weights(
    scores: FloatArray,
    weights: FloatArray,
    classes: NDArray[np.int64],
    *,
    references: int = 3,
    gamma: float = 1.0,
) -> FloatArray:
    r"""Return the gradient of `streamcam.explain.objectives.finer`.

    With the target t, the reference classes r, :math:`p = softmax(s)`, :math:`d_r = t - \gamma s_r` and
    :math:`F = \sum_r p_r d_r / \sum_r p_r`:

    .. math::
        \frac{\partial F}{\partial s} = \frac{1}{\sum_r p_r} \sum_r p_r \left(
        \frac{\partial t}{\partial s} - \gamma e_r + (d_r - F) (e_r - p) \right)

    Args:
        scores: float32 (N, classes).
        weights: Of the scores in the target, float32 (N, classes).
        classes: The class of each image, int64 (N,).
        references: As for `finer`.
        gamma: As for `finer`.

    Returns:
        float32 (N, classes).
    """
    values = scores.astype(np.float64)
    rows = np.arange(len(values))[:, None]
    target = (values * weights).sum(axis=1, keepdims=True)
    distances = np.abs(values - target)
    distances[rows, classes[:, None]] = np.inf
    nearest = np.argsort(distances, axis=1, kind="stable")[:, : min(references, values.shape[1] - 1)]
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    chosen = probabilities[rows, nearest]
    total = chosen.sum(axis=1, keepdims=True) + 1e-9
    differences = target - gamma * values[rows, nearest]
    criterion = (chosen * differences).sum(axis=1, keepdims=True) / total
    slopes = chosen * (differences - criterion) / total
    gradient = weights * (chosen.sum(axis=1, keepdims=True) / total)
    gradient -= slopes.sum(axis=1, keepdims=True) * probabilities
    gradient[rows, nearest] += slopes - gamma * chosen / total
    return np.asarray(gradient, np.float32)


CRITERIA: dict[str, Callable[[FloatArray, FloatArray, NDArray[np.int64]], FloatArray]] = {
    "finercam": finer_weights
}
"""Name of a method with a criterion of its own → its gradient by the scores."""


def weights_of(
    method: str, scores: FloatArray, classes: NDArray[np.int64], against: int | None = None
) -> FloatArray:
    """Return the weight of each score in what a method differentiates.

    Args:
        method: Name of the method.
        scores: float32 (N, classes).
        classes: The class that is explained of each image, int64 (N,).
        against: The class that it is compared with; None for none.

    Returns:
        float32 (N, classes).
    """
    weights = np.zeros_like(scores)
    weights[np.arange(len(weights)), classes] = 1
    if against is not None:
        weights[:, against] -= 1
    return CRITERIA[method](scores, weights, classes) if method in CRITERIA else weights
