"""Tags: short texts on a background of one color, and the colors of lines beside them."""

from __future__ import annotations

import math

import numpy as np

from streamcam.caching import cached_method
from streamcam.media.images import YuvCoding, has_alpha
from streamcam.overlay.fonts import FontBook, RenderedText
from streamcam.overlay.sprites import Canvas, Rgb, Sprite
from streamcam.overlay.text_sizes import tag_text_px

_DARK_TEXT: Rgb = (12, 14, 18)
_LIGHT_TEXT: Rgb = (255, 255, 255)
_LIGHT_COLOR = 140.0
"""Colors of at least this luma get dark text."""


class TagRenderer:
    """Renders tags for images of one size and coding, and keeps them.

    Attributes:
        book: The fonts, which list the characters that are missing.
        height: Height of every tag in pixels, even.
    """

    def __init__(
        self, label_size: float, width: int, height: int, pixel_format: str, coding: YuvCoding
    ) -> None:
        """Choose the size of the text.

        Args:
            label_size: Factor on the usual size of text.
            width: Width of the images in pixels.
            height: Height of the images in pixels.
            pixel_format: Their pixel format.
            coding: Their coding.
        """
        text_size = tag_text_px(width, height, label_size)
        self.book = FontBook(text_size)
        self._padding = _even_up(0.3 * text_size)
        self.height = _even_up(1.3 * text_size)
        self._pixel_format = pixel_format
        self._coding = coding

    @cached_method(maxsize=128)
    def render(self, text: str, color: Rgb, room: int) -> Sprite | None:
        """Draw text on a background; None if not even one letter fits into that many columns."""
        text = self.book.truncate(text, room - 2 * self._padding)
        if not text:
            return None
        rendered = self.book.render(text)
        width = _even_up(self.book.measure(text) + 2 * self._padding)
        if width > room:
            return None
        canvas = Canvas(width, self.height)
        canvas.fill(0, 0, width, self.height, color)
        luma = 0.2126 * color[0] + 0.7152 * color[1] + 0.0722 * color[2]
        ink = _DARK_TEXT if luma >= _LIGHT_COLOR else _LIGHT_TEXT
        canvas.stamp(rendered.mask, self._padding - self.book.overhang, self._text_top(rendered), ink)
        return canvas.to_sprite(self._pixel_format, self._coding)

    def _text_top(self, rendered: RenderedText) -> int:
        """Return the row of a text's upper edge that centers its capitals, which are 0.7 em high."""
        baseline = round((self.height + 0.7 * self.book.size_px) / 2)
        return baseline - rendered.ascent

    @cached_method(maxsize=64)
    def encode_color(self, color: Rgb) -> tuple[int, ...]:
        """Return a color's Y, Cb and Cr in code values, and full alpha for images that have it."""
        yuv = np.rint(self._coding.encode_rgb(np.array(color, np.float32)))
        values: list[int] = yuv.clip(0, self._coding.highest).astype(int).tolist()
        return (*values, self._coding.highest) if has_alpha(self._pixel_format) else tuple(values)


def _even_up(length: float) -> int:
    return 2 * math.ceil(length / 2)
