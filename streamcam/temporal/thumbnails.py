"""Views: small grey images of whole frames, to see cuts and motion in.

They are taken from the luma plane that the decoder has made anyway, for every frame, explained or not. The
network's own input would not do: it exists only for frames that are explained, and a cropped one does not
see what moves in from the side.
"""

from __future__ import annotations

import cv2
import numpy as np

from streamcam.media.images import ByteArray, Image, bits_of, planes_of

LONG_SIDE = 192
SHORT_SIDE = 64
"""A view's sides in pixels: the long one has the first, the short one at least the second."""

_OVERSAMPLED = 2
"""Rows and columns are skipped down to this many times the view's; the rest is averaged."""


def view_of(image: Image) -> ByteArray:
    """Make the view of an image.

    Args:
        image: Planar YUV.

    Returns:
        uint8 (h, w), of a size that depends on the image's own only. Where an image is long and thin, its
        view is less so: positions in it are to be read as fractions.
    """
    luma = planes_of(image)[0]
    height, width = luma.shape
    scale = LONG_SIDE / max(height, width)
    size = max(SHORT_SIDE, round(width * scale)), max(SHORT_SIDE, round(height * scale))
    across, down = (
        max(1, length // (_OVERSAMPLED * own)) for length, own in zip(luma.shape[::-1], size, strict=True)
    )
    small = cv2.resize(luma[::down, ::across], size, interpolation=cv2.INTER_AREA)
    return np.right_shift(small, bits_of(image.format.name) - 8, dtype=small.dtype).astype(np.uint8)
