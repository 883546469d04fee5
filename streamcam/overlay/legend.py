"""The legend: a bar of the color map's colors in a corner of the image, from weak heat to strong."""

from __future__ import annotations

import functools
import math

from streamcam.caching import cached_method
from streamcam.media.images import ByteArray, Image, YuvCoding, coding_of, planes_of
from streamcam.overlay.corners import TOP_LEFT, Corner
from streamcam.overlay.fonts import FontBook, RenderedText
from streamcam.overlay.label_panel import BACKGROUND, BACKGROUND_OPACITY, PLAIN_TEXT
from streamcam.overlay.sprites import Canvas, Sprite, draw_rounded_rectangle
from streamcam.overlay.text_sizes import tag_text_px

WEAK, STRONG = "weak", "strong"


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

    def draw(self, image: Image, *, inset: int = 0) -> None:
        """Draw the legend into its corner of an image, in place; images too small get none.

        Args:
            image: Planar YUV image.
            inset: Number of rows at the lower edge that are kept free.
        """
        renderer = self._renderer(image.width, image.height, image.format.name, coding_of(image))
        sprite, margin = renderer.render()
        height, width = sprite.planes[0].keep.shape
        size = (image.width, image.height)
        left, top = self._corner.place(size, (width, height), margin, inset)
        # The other half is for the labels.
        is_apart = top >= image.height // 2 if self._corner.is_bottom else top + height <= image.height // 2
        if 2 * margin + width <= image.width and is_apart:
            sprite.blend(planes_of(image), left, top)


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
