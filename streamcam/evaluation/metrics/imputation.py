"""Imputation: the missing pixels of an image, filled in from those around them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from streamcam.frames import FloatArray

_KERNEL = np.array([[1, 2, 1], [2, 0, 2], [1, 2, 1]], np.float32) / 12
"""The weight of each neighbor of a pixel."""

_SMALLEST = 8
"""Pixels along the shorter side below which images are not halved any further."""

TOLERANCE = 1e-3
"""How far an equation may be from holding, as a share of the largest value: what that leaves of an error is
as small as the noise that is put on imputed pixels."""

_MOST_STEPS = 2000


def impute(image: FloatArray, missing: NDArray[np.bool_], *, tolerance: float = TOLERANCE) -> FloatArray:
    r"""Fill in missing pixels so that each is the weighted mean of its neighbors.

    Rong et al. 2022, "A Consistent and Efficient Evaluation Strategy for Attribution Methods",
    https://arxiv.org/abs/2202.00449, with 1/6 for the pixels beside, above and below and 1/12 for those at
    the corners, divided by the sum of those inside the image:

    .. math:: x_p \sum_{q} w_{pq} = \sum_{q} w_{pq} x_q

    The equations are solved by conjugate gradients, beginning with the solution of the image at half the
    size.

    Args:
        image: Float32 (C, H, W).
        missing: Which pixels are missing, bool (H, W).
        tolerance: How far the equations may be from holding, as a share of the image's largest value.

    Returns:
        Float32 (C, H, W), a fresh array; zero if every pixel is missing.
    """
    if not missing.any():
        return image.copy()
    if missing.all():
        return np.zeros_like(image)
    return _solve(image * (~missing), missing, tolerance)


def _solve(known: FloatArray, missing: NDArray[np.bool_], tolerance: float) -> FloatArray:
    """Fill in an image that is zero where pixels are missing."""
    unknown = missing.astype(np.float32)
    totals = _around(np.ones_like(unknown))
    diagonal = unknown / totals
    solution = known + unknown * _guess(known, missing, tolerance)
    # The matrix is symmetric and positive definite on the missing pixels: conjugate gradients, each channel
    # by itself, scaled by the diagonal.
    limit = tolerance * max(float(np.abs(known).max()), 1e-30)
    for plane in solution:
        _improve(plane, unknown, totals, diagonal, limit)
    return solution


def _improve(
    plane: FloatArray, unknown: FloatArray, totals: FloatArray, diagonal: FloatArray, limit: float
) -> None:
    """Improve the solution of one channel, in its place, until every equation holds within a limit."""
    residual = unknown * (_around(plane) - totals * plane)
    scaled = diagonal * residual
    direction = scaled.copy()
    energy = float(np.vdot(residual, scaled))
    for _ in range(_MOST_STEPS):
        if max(float(residual.max()), -float(residual.min())) <= limit:
            break
        product = totals * direction
        product -= _around(direction)
        product *= unknown
        step = np.float32(energy / max(float(np.vdot(direction, product)), 1e-30))
        plane += step * direction
        product *= step
        residual -= product
        np.multiply(diagonal, residual, out=scaled)
        last, energy = energy, float(np.vdot(residual, scaled))
        direction *= np.float32(energy / max(last, 1e-30))
        direction += scaled


def _guess(known: FloatArray, missing: NDArray[np.bool_], tolerance: float) -> FloatArray:
    """Return the solution of the image at half the size, enlarged."""
    rows, columns = missing.shape
    weight: FloatArray = (~missing).astype(np.float32)
    if min(rows, columns) < 2 * _SMALLEST:
        mean = np.asarray(known.sum(axis=(1, 2), keepdims=True) / weight.sum(), np.float32)
        return np.broadcast_to(mean, known.shape)
    size = (columns // 2, rows // 2)
    shares = _resize(weight[None], size, cv2.INTER_AREA)[0]
    hole = shares <= 0
    sums = _resize(known, size, cv2.INTER_AREA)
    smaller = np.asarray(sums / np.where(hole, np.float32(1), shares), np.float32)
    filled = _solve(smaller, hole, tolerance) if hole.any() else smaller
    return _resize(filled, (columns, rows), cv2.INTER_LINEAR)


def _resize(planes: FloatArray, size: tuple[int, int], interpolation: int) -> FloatArray:
    resized = [cv2.resize(plane, size, interpolation=interpolation) for plane in planes]
    return np.asarray(np.stack(resized), np.float32)


def _around(plane: FloatArray) -> FloatArray:
    """Add up the weighted neighbors of every pixel, as far as they are inside."""
    return np.asarray(cv2.filter2D(plane, -1, _KERNEL, borderType=cv2.BORDER_CONSTANT), np.float32)
