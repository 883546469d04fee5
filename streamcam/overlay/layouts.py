"""Layouts: which views of a frame lie beside each other on one canvas, and where."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from streamcam.media.images import Image, blank_like, coding_of, planes_of

LAYOUTS: dict[str, tuple[str, ...]] = {
    "overlay": ("overlay",),
    "side-by-side": ("original", "overlay"),
    "heat": ("heat",),
    "mask": ("mask",),
    "spotlight": ("spotlight",),
    "contours": ("contours",),
    "swipe": ("swipe",),
    "original": ("original",),
}
"""Name → the views, from `streamcam.overlay.views.VIEWS`, that lie on a canvas."""


@dataclasses.dataclass(frozen=True, slots=True)
class Rectangle:
    """The position and size of one view on a canvas, in pixels; left and top are even."""

    left: int
    top: int
    width: int
    height: int

    def overlaps(self, other: Rectangle) -> bool:
        """Return whether both have a part in common."""
        return (
            self.left < other.left + other.width
            and other.left < self.left + self.width
            and self.top < other.top + other.height
            and other.top < self.top + self.height
        )


def arrange(image: tuple[int, int], canvas: tuple[int, int], views: int) -> list[Rectangle]:
    """Fit equal views into a canvas, beside each other or above each other, whichever makes them larger.

    Args:
        image: Size of an image, (width, height) in pixels.
        canvas: Size of the canvas, (width, height) in pixels.
        views: Number of views.

    Returns:
        A rectangle for each view, from left to right and from top to bottom.
    """
    options = [(views, 1), (1, views)] if views > 1 else [(1, 1)]
    scale, (columns, rows) = max(
        (min(canvas[0] / columns / image[0], canvas[1] / rows / image[1]), (columns, rows))
        for columns, rows in options
    )
    width, height = image if scale == 1 else (_even_down(scale * side + 0.5) for side in image)
    width, height = min(width, canvas[0]), min(height, canvas[1])
    across, down = (side + side % 2 for side in (width, height))
    left = max(0, 2 * ((canvas[0] - columns * across) // 4))
    top = max(0, 2 * ((canvas[1] - rows * down) // 4))
    return [
        Rectangle(left + column * across, top + row * down, width, height)
        for row in range(rows)
        for column in range(columns)
    ]


def measure_canvas(width: int, height: int, layout: str) -> tuple[int, int]:
    """Return the size of a canvas that holds a layout's views side by side at full size.

    Args:
        width: Width of the frame in pixels.
        height: Height of the frame in pixels.
        layout: A name in `LAYOUTS`.

    Returns:
        (width, height) in pixels; those of the frame for a single view.
    """
    views = len(LAYOUTS[layout])
    return (width, height) if views == 1 else (views * (width + width % 2), height)


def assemble(views: Sequence[Image], rectangles: Sequence[Rectangle], canvas: tuple[int, int]) -> Image:
    """Put views onto a black canvas.

    Args:
        views: Planar YUV images of one format and coding, one for each rectangle and of its size.
        rectangles: Where they lie.
        canvas: Size of the canvas, (width, height) in pixels.
    """
    fresh = black_like(views[0], canvas)
    for view, rectangle in zip(views, rectangles, strict=True):
        for target, source in zip(planes_of(fresh), planes_of(view), strict=True):
            row = rectangle.top * target.shape[0] // fresh.height
            column = rectangle.left * target.shape[1] // fresh.width
            rows, columns = source.shape
            part = target[row : row + rows, column : column + columns]
            part[:] = source[: part.shape[0], : part.shape[1]]
    return fresh


def black_like(image: Image, size: tuple[int, int] | None = None) -> Image:
    """Make a black image with the format and coding of another.

    Args:
        image: Planar YUV image.
        size: (width, height) in pixels; that of the image if None.
    """
    width, height = size or (image.width, image.height)
    fresh = blank_like(image, width=width, height=height)
    coding = coding_of(image)
    levels = [*coding.encode_rgb(np.zeros(3, np.float32)), coding.highest]  # and opaque
    for plane, level in zip(planes_of(fresh), levels, strict=False):
        plane[:] = round(float(level))
    return fresh


def _even_down(length: float) -> int:
    return 2 * int(length / 2)
