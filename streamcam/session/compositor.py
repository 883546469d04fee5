"""Layouts of a frame and its heat, fitted into the window's size."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from streamcam.explanations import StabilizedFrame
from streamcam.frames import Frame
from streamcam.media.images import Image, blank_like, coding_of, planes_of
from streamcam.media.scaling import Resampler
from streamcam.overlay.overlay import Overlay, OverlaySettings

LAYOUTS = ("overlay", "side by side", "heat only")
"""Names of what a window can show of a frame."""

_SMALLEST = 16
"""Smallest side of a view in pixels; smaller windows show a scaled-down view of this size."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Rectangle:
    """The position and size of one view on the canvas, in pixels, all even."""

    left: int
    top: int
    width: int
    height: int


class Compositor:
    """Draws frames and their heat in one of `LAYOUTS`. Belongs to one thread."""

    def __init__(self) -> None:
        self._resampler = Resampler()
        self._overlay = functools.lru_cache(maxsize=4)(Overlay)

    def compose(
        self,
        frame: Frame,
        stabilized: StabilizedFrame | None,
        settings: OverlaySettings,
        layout: str = LAYOUTS[0],
        size: tuple[int, int] | None = None,
    ) -> Image:
        """Draw one canvas.

        Args:
            frame: The frame to show.
            stabilized: Its heat; None to show the bare frame.
            settings: How the heat looks.
            layout: One of `LAYOUTS`.
            size: (width, height) of the canvas in pixels; None for what the views need at the frame's size.

        Returns:
            A fresh image, with black where no view lies.
        """
        image = frame.image
        views = 2 if layout == "side by side" else 1
        if size is None:
            size = (views * image.width, image.height)
        canvas_size = (_even(size[0]), _even(size[1]))
        rectangles = _arrange((image.width, image.height), canvas_size, views)
        small = self._scale(image, rectangles[0])
        drawn = [self._draw(small, frame, stabilized, settings, layout)]
        if views == 2:
            drawn.insert(0, small)
        if (
            views == 1
            and (rectangles[0].width, rectangles[0].height) == canvas_size
            and drawn[0] is not image
        ):
            return drawn[0]
        return _assemble(drawn, rectangles, canvas_size)

    def _scale(self, image: Image, rectangle: _Rectangle) -> Image:
        if (image.width, image.height) == (rectangle.width, rectangle.height):
            return image
        return self._resampler.to_size(image, rectangle.width, rectangle.height)

    def _draw(
        self,
        image: Image,
        frame: Frame,
        stabilized: StabilizedFrame | None,
        settings: OverlaySettings,
        layout: str,
    ) -> Image:
        """Draw the heat at the view's own size, so that labels stay readable in small windows."""
        if layout == "heat only":
            image = _black_like(image)
            settings = dataclasses.replace(settings, alpha=1.0, blend="even")
        if stabilized is None:
            return image
        small_frame = dataclasses.replace(frame, image=image)
        return self._overlay(settings).draw(dataclasses.replace(stabilized, frame=small_frame))


def _even(length: float) -> int:
    return max(2 * int(length / 2), _SMALLEST)


def _arrange(image: tuple[int, int], canvas: tuple[int, int], views: int) -> list[_Rectangle]:
    """Fit equal views into the canvas, beside each other or above each other, whichever makes them larger."""
    options = [(views, 1), (1, views)] if views > 1 else [(1, 1)]
    scale, (columns, rows) = max(
        (min(canvas[0] / columns / image[0], canvas[1] / rows / image[1]), (columns, rows))
        for columns, rows in options
    )
    width = min(_even(scale * image[0] + 0.5), canvas[0])
    height = min(_even(scale * image[1] + 0.5), canvas[1])
    left = 2 * ((canvas[0] - columns * width) // 4)
    top = 2 * ((canvas[1] - rows * height) // 4)
    return [
        _Rectangle(left + column * width, top + row * height, width, height)
        for row in range(rows)
        for column in range(columns)
    ]


def _black_like(image: Image, size: tuple[int, int] | None = None) -> Image:
    width, height = size or (image.width, image.height)
    fresh = blank_like(image, width=width, height=height)
    levels = coding_of(image).encode_rgb(np.zeros(3, np.float32))
    for plane, level in zip(planes_of(fresh), levels, strict=True):
        plane[:] = round(float(level))
    return fresh


def _assemble(views: list[Image], rectangles: list[_Rectangle], canvas: tuple[int, int]) -> Image:
    fresh = _black_like(views[0], canvas)
    for view, rectangle in zip(views, rectangles, strict=True):
        for target, source in zip(planes_of(fresh), planes_of(view), strict=True):
            row = rectangle.top * target.shape[0] // fresh.height
            column = rectangle.left * target.shape[1] // fresh.width
            rows, columns = source.shape
            part = target[row : row + rows, column : column + columns]
            part[:] = source[: part.shape[0], : part.shape[1]]
    return fresh
