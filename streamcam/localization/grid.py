"""Heatmaps on the whole frame: as a grid of cells that lies evenly on it."""

from __future__ import annotations

import functools

import numpy as np

from streamcam.frames import FloatArray, Region

MAX_CELLS = 320
"""Most cells along a side of the grid; a smaller frame has a cell a pixel."""


def grid_shape(size: tuple[int, int]) -> tuple[int, int]:
    """Return the rows and columns of the grid on a frame of a size, (width, height) in pixels."""
    shrink = max(1.0, max(size) / MAX_CELLS)
    width, height = size
    return max(1, round(height / shrink)), max(1, round(width / shrink))


def place_on_frame(heat: FloatArray, region: Region, size: tuple[int, int]) -> FloatArray:
    """Enlarge a heatmap by linear interpolation to a grid that covers the whole frame.

    Args:
        heat: Heatmap, float32 (h, w).
        region: Part of the frame that it covers; what lies outside the frame is left out.
        size: Size of the frame, (width, height) in pixels.

    Returns:
        float32 (rows, columns), zero where the frame is not covered.
    """
    rows, columns = grid_shape(size)
    down = _weights(heat.shape[0], rows, region.top, region.bottom)
    across = _weights(heat.shape[1], columns, region.left, region.right)
    return np.asarray(down @ heat @ across.T, np.float32)


@functools.lru_cache(maxsize=16)
def _weights(cells: int, places: int, start: float, stop: float) -> FloatArray:
    """Return the weight of each cell of a map in each place of a grid along one side of the frame.

    Args:
        cells: Number of cells, evenly spread from `start` to `stop`.
        places: Number of places, evenly spread from 0 to 1.
        start: Where the map begins.
        stop: Where it ends.

    Returns:
        float32 (places, cells); rows sum to 1, or to 0 where the map does not reach.
    """
    middle = (np.arange(places) + 0.5) / places
    where = ((middle - start) / (stop - start) * cells - 0.5).clip(0, cells - 1)
    first = np.minimum(where.astype(np.int64), max(cells - 2, 0))
    share = where - first
    weights = np.zeros((places, cells), np.float32)
    row = np.arange(places)
    weights[row, first] = 1 - share
    weights[row, np.minimum(first + 1, cells - 1)] += share.astype(np.float32)
    weights[(middle < start) | (middle > stop)] = 0
    return weights
