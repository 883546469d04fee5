"""The legend: what the colors of the heat mean, weak to strong or by class, in a corner of the image."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np

from streamcam.caching import cached_method
from streamcam.media.images import ByteArray, Image, YuvCoding, coding_of, planes_of
from streamcam.overlay.corners import TOP_LEFT, Corner
from streamcam.overlay.fonts import FontBook
from streamcam.overlay.label_panel import BACKGROUND, BACKGROUND_OPACITY, PLAIN_TEXT
from streamcam.overlay.layouts import Rectangle
from streamcam.overlay.sprites import Canvas, Rgb, Sprite, draw_rounded_rectangle
from streamcam.overlay.text_sizes import tag_text_px

WEAK, STRONG = "weak", "strong"

_MOST_EM = 12
"""Names of classes are cut to this length, in em."""


class LegendPainter:
    """Draws the legend of a color map onto images. Not thread-safe."""

    def __init__(self, colors: ByteArray, label_size: float = 1.0, labels: Corner = TOP_LEFT) -> None:
        """Choose the colors.

        Args:
            colors: Color by strength of the heat, RGB, uint8 (256, 3).
            label_size: Factor on the usual size of text.
            labels: Corner of the label panel, in the other half of the image.
        """
        # At the upper left below labels: a live session has its statistics at the right.
        self._corner = Corner(is_right=not labels.is_bottom, is_bottom=not labels.is_bottom)
        self._renderer = functools.lru_cache(maxsize=2)(
            functools.partial(_LegendRenderer, colors, label_size)
        )

    def draw(self, image: Image, classes: Sequence[tuple[str, Rgb]] = (), *, inset: int = 0) -> None:
        """Draw the legend into its corner of an image, in place; images too small get none.

        Args:
            image: Planar YUV image.
            classes: Name and color of each class, where they are shown in one color each; of those that have
                no room the last are left out.
            inset: Number of rows at the lower edge that are kept free.
        """
        sprite, place = self._place(image, classes, inset)
        if place is not None:
            sprite.blend(planes_of(image), place.left, place.top)

    def measure(
        self, image: Image, classes: Sequence[tuple[str, Rgb]] = (), *, inset: int = 0
    ) -> Rectangle | None:
        """Return where `draw` puts the legend; None if it draws none."""
        return self._place(image, classes, inset)[1]

    def _place(
        self, image: Image, classes: Sequence[tuple[str, Rgb]], inset: int
    ) -> tuple[Sprite, Rectangle | None]:
        """Return the legend and where it lies; it has no place if there is no room."""
        renderer = self._renderer(image.width, image.height, image.format.name, coding_of(image))
        rows = renderer.count_rows(image.height // 2 - inset)
        sprite, margin = renderer.render(tuple(classes[: max(1, rows)]))
        height, width = sprite.planes[0].keep.shape
        size = (image.width, image.height)
        left, top = self._corner.place(size, (width, height), margin, inset)
        # The other half is for the labels.
        is_apart = top >= image.height // 2 if self._corner.is_bottom else top + height <= image.height // 2
        has_room = 2 * margin + width <= image.width and is_apart
        return sprite, Rectangle(left, top, width, height) if has_room else None


class _LegendRenderer:
    """Renders the legend for images of one size and coding."""

    def __init__(
        self,
        colors: ByteArray,
        label_size: float,
        width: int,
        height: int,
        pixel_format: str,
        coding: YuvCoding,
    ) -> None:
        self._colors = colors
        self._size_px = tag_text_px(width, height, label_size)
        self._book = FontBook(self._size_px)
        self._pixel_format = pixel_format
        self._coding = coding

    def count_rows(self, height: int) -> int:
        """Return how many classes there is room for in this height, in pixels."""
        return (height - 2 * self._space) // self._row_height

    @property
    def _space(self) -> int:
        return max(4, 2 * round(0.25 * self._size_px))

    @property
    def _row_height(self) -> int:
        return 2 * round(0.85 * self._size_px)

    @cached_method(maxsize=16)
    def render(self, classes: tuple[tuple[str, Rgb], ...]) -> tuple[Sprite, int]:
        """Return the legend, and its distance from the image's edges in pixels."""
        space, row_height = self._space, self._row_height
        bar_width, bar_height = 2 * round(3 * self._size_px), 2 * max(2, round(0.3 * self._size_px))
        longest = _MOST_EM * self._size_px
        colored = [("", _shades(color), self._book.truncate(name, longest)) for name, color in classes]
        rows = colored or [(WEAK, self._colors, STRONG)]
        texts = [weak for weak, _, _ in rows], [strong for _, _, strong in rows]
        widths = [math.ceil(max(self._book.measure(text) if text else 0 for text in side)) for side in texts]
        bar_left = space + 2 * ((widths[0] + space + 1) // 2) if widths[0] else space
        width = bar_left + bar_width + 2 * ((2 * space + widths[1] + 1) // 2)
        canvas = Canvas(width, len(rows) * row_height)
        panel = draw_rounded_rectangle(width, canvas.height, max(2, space // 2))
        canvas.stamp(panel, 0, 0, BACKGROUND, opacity=BACKGROUND_OPACITY)
        for number, (weak, colors, strong) in enumerate(rows):
            top = number * row_height
            self._stamp(canvas, weak, space, top)
            self._stamp(canvas, strong, bar_left + bar_width + space, top)
            for column in range(bar_width):
                red, green, blue = colors[round(255 * column / (bar_width - 1))].tolist()
                bar_top = top + (row_height - bar_height) // 2
                canvas.fill(bar_left + column, bar_top, 1, bar_height, (red, green, blue))
        return canvas.to_sprite(self._pixel_format, self._coding), 2 * space

    def _stamp(self, canvas: Canvas, text: str, left: int, top: int) -> None:
        """Draw a text whose small letters, half an em high, are centered in its row."""
        if text:
            rendered = self._book.render(text)
            baseline = top + round((self._row_height + 0.55 * self._size_px) / 2)
            canvas.stamp(rendered.mask, left - self._book.overhang, baseline - rendered.ascent, PLAIN_TEXT)


def _shades(color: Rgb) -> ByteArray:
    """Return the shades of one color, from that of the background on, as a color map, uint8 (256, 3)."""
    strength = np.linspace(0, 1, 256)[:, None]
    mixed = strength * np.array(color) + (1 - strength) * np.array(BACKGROUND)
    shades: ByteArray = np.rint(mixed).astype(np.uint8)
    return shades
