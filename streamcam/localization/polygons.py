"""Polygons on a frame: made of boxes and corners in pixels, cut off at its edges, and filled."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streamcam.errors import InvalidArgumentError

Mask = NDArray[np.bool_]
Polygon = Sequence[tuple[float, float]]
"""Corners, (x, y) each, as fractions of the frame."""

FORMS = (
    "a box LEFT,TOP,RIGHT,BOTTOM or a polygon X,Y,X,Y,X,Y in pixels, a mask (mask.png), boxes by frame "
    "(boxes.jsonl, or boxes.json in COCO's format), class:NAME, segment, center or motion"
)
"""Every form of a region, for messages."""


def box_corners(left: float, top: float, right: float, bottom: float) -> Polygon:
    """Return the corners of a box."""
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def pixel_corners(numbers: Sequence[float], size: tuple[int, int], name: str) -> Polygon:
    """Convert a box or polygon in pixels to corners in fractions; what lies beyond the frame is cut off.

    Raises:
        InvalidArgumentError: if it is neither, has no area, or none of it lies in the frame.
    """
    is_box = len(numbers) == 4
    if not is_box and (len(numbers) < 6 or len(numbers) % 2):
        raise InvalidArgumentError(f"{name} has {len(numbers)} numbers; give {FORMS}")
    width, height = size
    points = box_corners(*numbers) if is_box else list(zip(numbers[::2], numbers[1::2], strict=True))
    if (is_box and not (numbers[0] < numbers[2] and numbers[1] < numbers[3])) or not _area(points) > 0:
        raise InvalidArgumentError(f"{name} is empty: a box is left, top, right and bottom edge in pixels")
    clipped = _clip([(x / width, y / height) for x, y in points])
    if not _area(clipped) > 0:
        raise InvalidArgumentError(f"{name} is outside the picture, which is {width}x{height} pixels")
    return clipped


def _clip(polygon: Polygon) -> Polygon:
    """Cut a polygon off at the frame's edges.

    Sutherland and Hodgman 1974, "Reentrant Polygon Clipping", https://doi.org/10.1145/360767.360802.
    """
    for axis in (0, 1):
        for edge, sign in ((0.0, 1), (1.0, -1)):
            kept: list[tuple[float, float]] = []
            for start, end in zip(polygon, [*polygon[1:], *polygon[:1]], strict=True):
                before, after = sign * (start[axis] - edge), sign * (end[axis] - edge)
                if before >= 0:
                    kept.append(start)
                if before * after < 0:
                    share = before / (before - after)
                    x, y = (a + share * (b - a) for a, b in zip(start, end, strict=True))
                    kept.append((x, y))
            polygon = kept
    return polygon


def _area(points: Polygon) -> float:
    if not all(math.isfinite(edge) for point in points for edge in point):
        return math.nan
    return abs(
        sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(points, [*points[1:], *points[:1]], strict=True))
        / 2
    )


def fill_polygons(polygons: Sequence[Polygon], shape: tuple[int, int]) -> Mask:
    """Return the cells of a grid whose middle lies in a polygon; the nearest one of a polygon without any."""
    rows, columns = shape
    y, x = (np.arange(rows)[:, None] + 0.5) / rows, (np.arange(columns)[None] + 0.5) / columns
    filled = np.zeros(shape, np.bool_)
    for polygon in polygons:
        inside = _contains(polygon, x, y)
        if not inside.any():
            middle_x, middle_y = np.mean(polygon, axis=0).tolist()
            row, column = min(int(middle_y * rows), rows - 1), min(int(middle_x * columns), columns - 1)
            inside[max(row, 0), max(column, 0)] = True
        filled |= inside
    return filled


def _contains(polygon: Polygon, x: NDArray[np.float64], y: NDArray[np.float64]) -> Mask:
    """Return which points a polygon contains: a ray to the right crosses its edges an odd number of times."""
    inside = np.zeros((y.shape[0], x.shape[1]), np.bool_)
    for (x0, y0), (x1, y1) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        if y0 != y1:
            inside ^= ((y0 <= y) != (y1 <= y)) & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return inside
