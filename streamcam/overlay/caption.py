"""The caption: words at the lower edge of the image that say what is shown."""

from __future__ import annotations

import functools
import math

from streamcam.caching import cached_method
from streamcam.media.images import Image, YuvCoding, coding_of, planes_of
from streamcam.overlay.fonts import FontBook
from streamcam.overlay.label_panel import BACKGROUND, BACKGROUND_OPACITY, MARKED_TEXT
from streamcam.overlay.sprites import Canvas, Sprite, draw_rounded_rectangle
from streamcam.overlay.text_sizes import SMALLEST_PX, caption_text_px
from streamcam.overlay.wrapping import wrap_text

_WIDEST = 0.9
_HIGHEST, _HIGHEST_LINE = 0.3, 0.5
"""Shares of the image that a caption may take: of the width, and of the height with several lines or one."""

_LARGEST = 0.1
"""Largest text, as a share of the image's height."""


class CaptionPainter:
    """Draws a caption onto images. Not thread-safe."""

    def __init__(self, text: str, label_size: float) -> None:
        """Choose the words; nothing is measured before the first image.

        Args:
            text: The words.
            label_size: Factor on the usual size of text.
        """
        self._text = text
        self._missing: dict[str, None] = {}
        self._lines = functools.lru_cache(maxsize=4)(
            functools.partial(_CaptionLines, text, label_size=label_size)
        )

    @property
    def missing(self) -> tuple[str, ...]:
        """The characters so far that no font of this system has, in order of appearance."""
        return tuple(self._missing)

    def measure(self, width: int, height: int) -> int:
        """Return how many rows at the lower edge of an image it takes, with the space around; 0 without it.

        Args:
            width: Width of the image in pixels.
            height: Height of the image in pixels.
        """
        if not self._text.strip():
            return 0
        lines = self._lines(width, height)
        return lines.height + 2 * lines.margin if lines.height else 0

    def draw(self, image: Image) -> None:
        """Draw the caption onto an image, in place; images too small get none.

        Args:
            image: Planar YUV image.
        """
        if not self.measure(image.width, image.height):
            return
        lines = self._lines(image.width, image.height)
        sprite = lines.render(image.format.name, coding_of(image))
        left = 2 * ((image.width - lines.width) // 4)
        top = 2 * ((image.height - lines.height - lines.margin) // 2)
        sprite.blend(planes_of(image), left, top)
        self._missing.update(dict.fromkeys(lines.book.missing))


class _CaptionLines:
    """The lines of a caption on images of one size, and their panel. All lengths are in pixels.

    Attributes:
        book: The fonts.
        lines: The lines.
        margin: Distance from the image's edge to the panel, even.
        padding: Distance from the panel's edge to the text, even.
        pitch: Distance from one line to the next.
        width: Width of the panel, even; 0 if nothing fits.
        height: Height of the panel, even; 0 if nothing fits.
    """

    def __init__(self, text: str, width: int, height: int, *, label_size: float) -> None:
        size_px = min(caption_text_px(width, height, label_size), max(SMALLEST_PX, round(_LARGEST * height)))
        self.book = FontBook(size_px)
        self.margin = _even_up(0.4 * size_px)
        self.padding = _even_up(0.5 * size_px)
        widest = _WIDEST * width - 2 * self.padding
        ascent, descent = self.book.measure_height(text)
        self.pitch = max(math.ceil(1.3 * size_px), ascent + descent - math.ceil(0.35 * size_px))
        around = 2 * (self.margin + self.padding)
        most = max(1, int((_HIGHEST * height - around) // self.pitch))
        fits = around + most * self.pitch <= _HIGHEST_LINE * height
        self.lines = wrap_text(self.book, text, widest, most) if fits else []
        lengths = [self.book.measure(line) for line in self.lines]
        self.width = _even_up(max(lengths) + 2 * self.padding) if lengths else 0
        self.height = _even_up(len(lengths) * self.pitch + 2 * self.padding) if lengths else 0

    @cached_method(maxsize=2)
    def render(self, pixel_format: str, coding: YuvCoding) -> Sprite:
        """Draw the panel and its text."""
        canvas = Canvas(self.width, self.height)
        panel = draw_rounded_rectangle(self.width, self.height, max(2, self.padding // 2))
        canvas.stamp(panel, 0, 0, BACKGROUND, opacity=BACKGROUND_OPACITY)
        for number, line in enumerate(self.lines):
            text = self.book.render(line)
            # Capitals, which are 0.7 em high, are centered in the line.
            baseline = round(self.padding + (number + 0.5) * self.pitch + 0.35 * self.book.size_px)
            left = round((self.width - text.mask.shape[1]) / 2)
            canvas.stamp(text.mask, left, baseline - text.ascent, MARKED_TEXT)
        return canvas.to_sprite(pixel_format, coding)


def _even_up(length: float) -> int:
    return 2 * math.ceil(length / 2)
