"""Lines: contours of heatmaps, and drawing onto planar YUV."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streamcam.frames import FloatArray, Region
from streamcam.media.images import PlaneArray

_CELLS = 128
"""Maps are resized to at most this many cells along a side before a contour is traced."""

_BORDER = 6
"""Cells added around a map, wider than the line is thick."""


def trace_contour(
    heat: FloatArray, level: float, region: Region, size: tuple[int, int]
) -> list[NDArray[np.float64]]:
    """Trace where a heatmap reaches a level.

    Args:
        heat: Heatmap, float32 (h, w), 0 to 1.
        level: Level, above 0.
        region: Part of the image that the heatmap covers.
        size: Size of the image in pixels, (width, height).

    Returns:
        Closed lines, (N, 1, 2) each, (x, y) in pixels of the image.
    """
    if heat.max() < level:
        return []
    width, height = (region.right - region.left) * size[0], (region.bottom - region.top) * size[1]
    cells = tuple(min(_CELLS, max(1, round(side))) for side in (width, height))
    fine = cv2.resize(heat, cells, interpolation=cv2.INTER_LINEAR)
    # With a border, lines that reach an edge of the map are closed outside it.
    border = _BORDER
    fine = cv2.copyMakeBorder(fine, border, border, border, border, cv2.BORDER_REPLICATE)
    hot = (fine >= level).view(np.uint8)
    contours, _ = cv2.findContours(hot, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    below, above = -1, 1
    lines = []
    for contour in contours:
        x, y = contour[:, 0, 0], contour[:, 0, 1]
        left, right = (fine[y, (x + by).clip(0, fine.shape[1] - 1)] for by in (below, above))
        upper, lower = (fine[(y + by).clip(0, fine.shape[0] - 1), x] for by in (below, above))
        slope = np.stack([right - left, lower - upper], -1) / 2
        missing = (level - fine[y, x]) / np.maximum((slope**2).sum(-1), np.float32(1e-6))
        # From the centers of hot cells to where the heat is exactly at the level, at most one cell away.
        points = contour[:, 0] + (slope * missing[:, None]).clip(-1, 1) - (border - 0.5)
        scale = (width / cells[0], height / cells[1])
        lines.append((points * scale + (region.left * size[0], region.top * size[1]))[:, None])
    return lines


def draw_lines(
    plane: PlaneArray,
    lines: Sequence[NDArray[Any]],
    steps: tuple[int, int],
    value: int,
    thickness: int,
) -> None:
    """Draw closed lines, (N, 1, 2) in pixels each, onto a plane with this many pixels per sample, (x, y)."""
    if not lines:
        return
    # Lines of a huge box are clipped far outside, where 16ths of a pixel still fit 32 bits.
    points = [np.rint((line.clip(-1e6, 1e6) / steps - 0.5) * 16).astype(np.int32) for line in lines]
    if plane.itemsize == 1:
        cv2.polylines(plane, points, True, (value,), thickness, cv2.LINE_AA, shift=4)
        return
    # OpenCV draws antialiased lines in 8 bits only.
    cover = np.zeros(plane.shape, np.uint8)
    cv2.polylines(cover, points, True, (255,), thickness, cv2.LINE_AA, shift=4)
    # In a flat array of truth values, numpy finds them in a fraction of the time.
    where = np.unravel_index(np.flatnonzero(cover > 0), cover.shape)
    share = cover[where] / np.float32(255)
    plane[where] = np.rint(plane[where] + share * (np.float32(value) - plane[where]))
