"""Pictures of an audit: a frame with its heat, and the same frame changed in every way."""

from __future__ import annotations

import dataclasses
import io

import cv2
import numpy as np
import PIL.Image

from streamcam.explanations import Explanation, Prediction
from streamcam.localization.polygons import Mask
from streamcam.media.images import ByteArray
from streamcam.overlay import OverlaySettings

_LONG_SIDE = 640
"""Of a picture, in pixels."""
_QUALITY = 85


def draw_heat(image: ByteArray, explanation: Explanation, target: Prediction, region: Mask) -> ByteArray:
    """Draw the heat of one target, and the outline of the region.

    Args:
        image: RGB, uint8 (H, W, 3).
        explanation: Its explanation.
        target: One of its targets.
        region: The region of interest, bool (H, W).

    Returns:
        A fresh image.
    """
    one = dataclasses.replace(
        explanation, targets=(target,), heatmaps={target.index: explanation.heatmaps[target.index]}, flags={}
    )
    drawn = one.draw(image, OverlaySettings(labels=False, boxes=False))
    lines, _ = cv2.findContours(region.view(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    width = max(1, round(max(image.shape) / _LONG_SIDE))
    for color, thickness in (((0, 0, 0), 3 * width), ((255, 255, 255), width)):
        cv2.drawContours(drawn, lines, -1, color, thickness)
    return drawn


def encode_picture(image: ByteArray) -> bytes:
    """Encode an image, RGB, uint8 (H, W, 3), as a JPEG file of at most 640 pixels a side."""
    picture = PIL.Image.fromarray(image)
    picture.thumbnail((_LONG_SIDE, _LONG_SIDE), PIL.Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()
