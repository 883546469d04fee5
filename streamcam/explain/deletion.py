"""Deletion: the image without its hottest part."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from streamcam.frames import FloatArray

REMOVED = 0.2
"""Share of the image that is removed."""


def remove_hottest(
    pixels: NDArray[np.uint8], heatmap: FloatArray, mean: Sequence[float], share: float = REMOVED
) -> NDArray[np.uint8]:
    """Return an image whose hottest part has the mean color, as in the first steps of deletion.

    Petsiuk et al. 2018, "RISE: Randomized Input Sampling for Explanation of Black-box Models",
    https://arxiv.org/abs/1806.07421.

    Args:
        pixels: The network's input, uint8 (H, W, C); channels beyond the third stay as they are.
        heatmap: The raw map of the same image, float32 (h, w), which is enlarged bilinearly.
        mean: Mean of each channel, on a scale of 0 to 1, three or one.
        share: Share of the pixels that is removed, 0 to 1.

    Returns:
        uint8 (H, W, C), a fresh array.
    """
    rows, columns = pixels.shape[:2]
    enlarged = cv2.resize(heatmap, (columns, rows), interpolation=cv2.INTER_LINEAR)
    count = round(share * rows * columns)
    hottest = np.argsort(-enlarged, axis=None, kind="stable")[:count]
    changed = pixels.copy()
    color = np.broadcast_to(np.round(255 * np.asarray(mean)), 3)
    changed.reshape(rows * columns, -1)[hottest, :3] = color.astype(np.uint8)
    return changed
