"""Interventions: ways to take a part of an image away and leave the rest as it is."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from streamcam.media.images import ByteArray

_BLUR = 0.1
"""Standard deviation of the blur, as a share of the image's shorter side."""

_GRAY = 128

_TILES = 16
"""Tiles along the longer side that are shuffled."""

_INPAINTED_SIDE = 256
"""Longer side, in pixels, at which images are inpainted: the fill is smooth, and larger takes seconds."""

_INPAINT_RADIUS = 3


def blur(image: ByteArray, part: NDArray[np.bool_]) -> ByteArray:
    """Blur a part of an image: textures and small shapes go, colors stay.

    Args:
        image: RGB, uint8 (H, W, 3).
        part: The part, bool (H, W), as for the others.

    Returns:
        A fresh image, equal to the given one outside the part.
    """
    soft = cv2.GaussianBlur(image, (0, 0), _BLUR * min(image.shape[:2]))
    return _with_part(image, part, np.asarray(soft, np.uint8))


def replace(image: ByteArray, part: NDArray[np.bool_]) -> ByteArray:
    """Replace a part of an image by middle gray."""
    return _with_part(image, part, np.full_like(image, _GRAY))


def shuffle(image: ByteArray, part: NDArray[np.bool_]) -> ByteArray:
    """Shuffle the tiles of an image in a part of it: colors and textures stay, shapes and places go."""
    rows, columns = image.shape[:2]
    side = max(1, max(rows, columns) // _TILES)
    places = [(y, x) for y in range(0, rows - side + 1, side) for x in range(0, columns - side + 1, side)]
    inside = [place for place in places if part[place[0] : place[0] + side, place[1] : place[1] + side].all()]
    shuffled = image.copy()
    order = np.random.default_rng(0).permutation(len(inside))
    for (y, x), number in zip(inside, order.tolist(), strict=True):
        from_y, from_x = inside[number]
        shuffled[y : y + side, x : x + side] = image[from_y : from_y + side, from_x : from_x + side]
    return shuffled


def inpaint(image: ByteArray, part: NDArray[np.bool_]) -> ByteArray:
    """Inpaint a part of an image from what surrounds it.

    Telea 2004, "An Image Inpainting Technique Based on the Fast Marching Method", as in OpenCV, at a smaller
    size.
    """
    rows, columns = image.shape[:2]
    shrink = max(1.0, max(rows, columns) / _INPAINTED_SIDE)
    size = (max(1, round(columns / shrink)), max(1, round(rows / shrink)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    # A cell that holds any of the part is filled: what is to go must not seep in from the edge.
    hole = cv2.resize(part.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
    if hole.all():
        return replace(image, part)
    filled = cv2.inpaint(small, hole.view(np.uint8), _INPAINT_RADIUS, cv2.INPAINT_TELEA)
    large = cv2.resize(filled, (columns, rows), interpolation=cv2.INTER_LINEAR)
    return _with_part(image, part, np.asarray(large, np.uint8))


def _with_part(image: ByteArray, part: NDArray[np.bool_], other: ByteArray) -> ByteArray:
    return np.asarray(np.where(part[..., None], other, image), np.uint8)


INTERVENTIONS: dict[str, Callable[[ByteArray, NDArray[np.bool_]], ByteArray]] = {
    "blurred": blur,
    "replaced": replace,
    "shuffled": shuffle,
    "inpainted": inpaint,
}
"""Name → what it does to a part of an image."""
