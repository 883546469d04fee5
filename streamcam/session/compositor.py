"""Composing what a window shows: the layouts, fitted into its size."""

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
"""What a window can show of a frame, by name."""

_SMALLEST = 16
"""Sides of a view in pixels; windows below that are not drawn any smaller."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Place:
    """Where one view lies on the canvas, in pixels, all even."""

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
            frame: What is shown.
            stabilized: Its heat; None to show the bare image.
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
        places = _places((image.width, image.height), canvas_size, views)
        small = self._scaled(image, places[0])
        drawn = [self._draw(small, frame, stabilized, settings, layout)]
        if views == 2:
            drawn.insert(0, small)
        if views == 1 and (places[0].width, places[0].height) == canvas_size and drawn[0] is not image:
            return drawn[0]
        return _assembled(drawn, places, canvas_size)

    def _scaled(self, image: Image, place: _Place) -> Image:
        if (image.width, image.height) == (place.width, place.height):
            return image
        return self._resampler.to_size(image, place.width, place.height)

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
            settings = dataclasses.replace(settings, alpha=1.0)
        if stabilized is None:
            return image
        small_frame = dataclasses.replace(frame, image=image)
        return self._overlay(settings).draw(dataclasses.replace(stabilized, frame=small_frame))


def _even(length: float) -> int:
    return max(2 * int(length / 2), _SMALLEST)


def _places(image: tuple[int, int], canvas: tuple[int, int], views: int) -> list[_Place]:
    """Fit equal views into the canvas, beside each other or above each other, whichever shows more."""
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
        _Place(left + column * width, top + row * height, width, height)
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


def _assembled(views: list[Image], places: list[_Place], canvas: tuple[int, int]) -> Image:
    fresh = _black_like(views[0], canvas)
    for view, place in zip(views, places, strict=True):
        for target, source in zip(planes_of(fresh), planes_of(view), strict=True):
            row = place.top * target.shape[0] // fresh.height
            column = place.left * target.shape[1] // fresh.width
            rows, columns = source.shape
            part = target[row : row + rows, column : column + columns]
            part[:] = source[: part.shape[0], : part.shape[1]]
    return fresh
