"""Thumbnails: small gray images of whole frames, in which cuts and motion are found.

They are made from the luma plane, which the decoder provides for every frame, explained or not. The
network's input would not do: it exists only for explained frames, and a cropped one does not see what moves
in from the side.
"""

from __future__ import annotations

import cv2
import numpy as np

from streamcam.media.images import ByteArray, Image, bits_of, planes_of

LONG_SIDE = 192
"""A thumbnail's longer side in pixels."""
MIN_SHORT_SIDE = 64
"""Lower limit of its shorter side in pixels."""

_OVERSAMPLING = 2
"""Rows and columns are skipped down to this many times the thumbnail's size; the rest is averaged."""


def make_thumbnail(image: Image) -> ByteArray:
    """Shrink an image's luma to a thumbnail.

    Args:
        image: Planar YUV image.

    Returns:
        uint8 (h, w), of a size that depends only on the image's. The thumbnail of a long, thin image is less
        so: read positions in it as fractions.
    """
    luma = planes_of(image)[0]
    height, width = luma.shape
    scale = LONG_SIDE / max(height, width)
    size = max(MIN_SHORT_SIDE, round(width * scale)), max(MIN_SHORT_SIDE, round(height * scale))
    step_x, step_y = (
        max(1, length // (_OVERSAMPLING * target))
        for length, target in zip(luma.shape[::-1], size, strict=True)
    )
    small = cv2.resize(luma[::step_y, ::step_x], size, interpolation=cv2.INTER_AREA)
    return np.right_shift(small, bits_of(image.format.name) - 8, dtype=small.dtype).astype(np.uint8)
