"""Peaks of heat: the places to point at, as networks that segment by prompts take them."""

from __future__ import annotations

import cv2
import numpy as np

from streamcam.frames import FloatArray

LEAST_DISTANCE = 0.1
"""Least distance of two peaks along either side, as a share of the grid's longer side."""


def find_peaks(grid: FloatArray, threshold: float, count: int) -> list[tuple[float, float, float]]:
    """Find the strongest local maxima of heat, some distance apart.

    Args:
        grid: Heat, float32 (rows, columns).
        threshold: Least share of the maximum that a peak reaches.
        count: The most peaks to return.

    Returns:
        x and y of each, as fractions of the grid's width and height, and its heat; strongest first. A level
        summit counts once, at its middle.
    """
    highest = float(grid.max())
    if not highest > 0:
        return []
    rows, columns = grid.shape
    reach = max(1, round(LEAST_DISTANCE * max(rows, columns)))
    around = cv2.dilate(grid, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    rounding = np.float32(1e-5 * highest)
    is_summit = (grid >= around - rounding) & (grid >= np.float32(threshold * highest))
    number, areas, _, centers = cv2.connectedComponentsWithStats(is_summit.view(np.uint8), connectivity=8)
    heats = [float(grid[areas == place].max()) for place in range(number)]
    peaks: list[tuple[float, float, float]] = []
    for place in sorted(range(1, number), key=lambda each: (-heats[each], each)):
        x, y = centers[place].tolist()
        far = all(max(abs(x - other[0]), abs(y - other[1])) > reach for other in peaks)
        if far and len(peaks) < count:
            peaks.append((x, y, float(heats[place])))
    return [((x + 0.5) / columns, (y + 0.5) / rows, heat) for x, y, heat in peaks]
