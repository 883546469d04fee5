"""The legend: a bar of the color map's colors in a corner of the image, from weak heat to strong."""

from __future__ import annotations

import functools
import math

from streamcam.caching import cached_method
from streamcam.media.images import ByteArray, Image, YuvCoding, coding_of, planes_of
from streamcam.overlay.fonts import FontBook, RenderedText
from streamcam.overlay.label_panel import BACKGROUND, BACKGROUND_OPACITY, PLAIN_TEXT
from streamcam.overlay.sprites import Canvas, Sprite, draw_rounded_rectangle

WEAK, STRONG = "weak", "strong"


class LegendPainter:
    """Draws the legend of a color map onto images. Not thread-safe."""

    def __init__(self, colors: ByteArray) -> None:
        """Choose the colors.

        Args:
            colors: Color by strength of the heat, RGB, uint8 (256, 3).
        """
        self._renderer = functools.lru_cache(maxsize=2)(functools.partial(_LegendRenderer, colors))

    def draw(self, image: Image) -> None:
        """Draw the legend into the lower right corner of an image, in place; images too small get none.

        Args:
            image: Planar YUV image.
        """
        renderer = self._renderer(image.width, image.height, image.format.name, coding_of(image))
        sprite, margin = renderer.render()
        height, width = sprite.planes[0].keep.shape
        left = 2 * ((image.width - width - margin) // 2)
        top = 2 * ((image.height - height - margin) // 2)
        if left >= margin and top >= image.height // 2:  # the upper half is for the labels
            sprite.blend(planes_of(image), left, top)


class _LegendRenderer:
    """Renders the legend for images of one size and coding."""

    def __init__(
        self, colors: ByteArray, width: int, height: int, pixel_format: str, coding: YuvCoding
    ) -> None:
        self._colors = colors
        self._size_px = min(max(round(0.026 * min(width, height)), 10), 52)
        self._book = FontBook(self._size_px)
        self._pixel_format = pixel_format
        self._coding = coding

    @cached_method(maxsize=1)
    def render(self) -> tuple[Sprite, int]:
        """Return the legend, and its distance from the image's edges in pixels."""
        space = max(4, 2 * round(0.25 * self._size_px))
        bar_width, bar_height = 2 * round(3 * self._size_px), 2 * max(2, round(0.3 * self._size_px))
        weak, strong = self._book.render(WEAK), self._book.render(STRONG)
        widths = [math.ceil(self._book.measure(text)) for text in (WEAK, STRONG)]
        height = 2 * round(0.85 * self._size_px)
        bar_left = space + 2 * ((widths[0] + space + 1) // 2)
        width = bar_left + bar_width + 2 * ((2 * space + widths[1] + 1) // 2)
        canvas = Canvas(width, height)
        panel = draw_rounded_rectangle(width, height, max(2, space // 2))
        canvas.stamp(panel, 0, 0, BACKGROUND, opacity=BACKGROUND_OPACITY)
        self._stamp(canvas, weak, space)
        self._stamp(canvas, strong, bar_left + bar_width + space)
        for column in range(bar_width):
            red, green, blue = self._colors[round(255 * column / (bar_width - 1))].tolist()
            canvas.fill(bar_left + column, (height - bar_height) // 2, 1, bar_height, (red, green, blue))
        return canvas.to_sprite(self._pixel_format, self._coding), 2 * space

    def _stamp(self, canvas: Canvas, text: RenderedText, left: int) -> None:
        """Draw a text whose small letters, half an em high, are centered."""
        baseline = round((canvas.height + 0.55 * self._size_px) / 2)
        canvas.stamp(text.mask, left - self._book.overhang, baseline - text.ascent, PLAIN_TEXT)
