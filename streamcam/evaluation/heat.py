"""Raw maps as heat on the network's input: what metrics change pixels by."""

from __future__ import annotations

import cv2
import numpy as np

from streamcam.frames import FloatArray


def as_heat(raw_map: FloatArray, size: tuple[int, int]) -> FloatArray | None:
    """Scale a map to 0..1 on the network's input, as pytorch-grad-cam does.

    Args:
        raw_map: Float32 (h, w), not negative.
        size: Rows and columns of the network's input.

    Returns:
        Float32 (rows, columns) from 0 to 1, enlarged bilinearly; None if the map shows nothing, because it is
        the same everywhere, or not finite.
    """
    if not np.isfinite(raw_map).all():
        return None
    enlarged = cv2.resize(raw_map, size[::-1], interpolation=cv2.INTER_LINEAR)
    lowest, highest = float(enlarged.min()), float(enlarged.max())
    if highest - lowest <= 1e-12 * max(highest, 1e-30):
        return None
    return np.asarray((enlarged - lowest) / (highest - lowest), np.float32)


def blur(image: FloatArray) -> FloatArray:
    """Blur the network's input as RISE does: by 5 pixels, of an image of 224.

    Args:
        image: Float32 (C, H, W).
    """
    scale = min(image.shape[1:]) / 224
    side = 2 * max(1, round(5 * scale)) + 1
    return np.stack([cv2.GaussianBlur(plane, (side, side), 5 * scale) for plane in image])
