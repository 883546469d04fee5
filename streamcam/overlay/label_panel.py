"""The label panel: what the network sees, in words, in a corner of the image.

What a panel is made of (its background, each label, each percentage, each bar) is rasterised once, as a
sprite in the image's own YUV, and from then on only blended into the few rows and columns it covers. On
video the percentages change with nearly every frame and the labels with many, so a panel kept whole would
seldom be used twice.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence

from streamcam.media.images import Image, YuvCoding, coding_of, planes_of
from streamcam.overlay.font_files import chosen_face
from streamcam.overlay.fonts import FontBook
from streamcam.overlay.sprites import Canvas, Rgb, Sprite, rounded_rectangle, triangle

BACKGROUND: Rgb = (12, 14, 18)
BACKGROUND_OPACITY = 3 / 4
MARKED_TEXT: Rgb = (255, 255, 255)
PLAIN_TEXT: Rgb = (210, 214, 220)
ACCENT: Rgb = (255, 190, 60)
PLAIN_BAR: Rgb = (180, 186, 194)
BAR_TRACK: Rgb = (76, 80, 88)

WIDEST_PERCENTAGE = "100 %"

_MAX_HEIGHT_SHARE = 0.45
_MAX_WIDTH_SHARE = 0.6  # the rest of the image is what the heat is to be seen on
_LONG_LABEL = 18  # times the text's height: about 25 letters and a percentage, whatever their share


@dataclasses.dataclass(frozen=True, slots=True)
class LabelLine:
    """One class as the panel shows it."""

    text: str
    probability: float
    """0 to 1."""
    marked: bool = False
    """Whether this is a class whose heat is shown."""
    colour: Rgb | None = None
    """The colour of its heat, where each class has one."""


def percentage(probability: float) -> str:
    """Write a probability in whole percents, and as "<1 %" where that would look like none.

    What is not a number is written as a question mark: a network that fails must not stop the video.
    """
    if math.isnan(probability):
        return "? %"
    return "<1 %" if probability < 0.01 else f"{_whole_percents(probability)} %"


def _whole_percents(probability: float) -> int:
    return 0 if math.isnan(probability) else math.floor(100 * min(max(probability, 0.0), 1.0) + 0.5)


@dataclasses.dataclass(frozen=True, slots=True)
class _Caption:
    """What a line says of its class, whatever its probability."""

    text: str
    marked: bool
    colour: Rgb | None

    @property
    def ink(self) -> Rgb:
        return MARKED_TEXT if self.marked else PLAIN_TEXT

    @property
    def bar_colour(self) -> Rgb:
        return self.colour or (ACCENT if self.marked else PLAIN_BAR)


@dataclasses.dataclass(frozen=True, slots=True)
class _Measures:
    """The lengths in pixels that depend on the image's size alone.

    All that shift things against each other are even, as two columns or rows share one chroma value.
    """

    text: int
    margin: int
    """From the image's edge to the panel's."""
    padding: int
    """From the panel's edge to what it holds."""
    gap: int
    """Between two columns."""
    marker: int
    """Side of the square that holds a marker."""
    bar: int
    """Height of a probability bar, and of the gap above it; 0 where it would be too thin to read."""
    radius: int
    """Of the panel's corners."""
    widest: int
    """How wide the panel may be."""

    @classmethod
    def of_image(cls, width: int, height: int) -> _Measures:
        text = min(max(round(0.032 * min(width, height)), 10), 64)
        margin = _even(0.5 * text)
        return cls(
            text=text,
            margin=margin,
            padding=_even(0.45 * text),
            gap=_even(0.4 * text),
            marker=round(0.55 * text),
            bar=_even(0.1 * text) if text >= 15 else 0,
            radius=round(0.3 * text),
            widest=_even(
                min(width - 2 * margin, max(_MAX_WIDTH_SHARE * width, _LONG_LABEL * text)), math.floor
            ),
        )


@dataclasses.dataclass(frozen=True, slots=True)
class _Layout:
    """What a panel shows and where, in pixels from its upper left corner. All lengths are even."""

    shown: tuple[int, ...]
    """Which of the lines are drawn, ascending."""
    width: int
    height: int
    label_left: int
    label_width: int
    percentage_width: int
    """0 where percentages do not fit beside the labels."""

    @property
    def right(self) -> int:
        """The right edge of the percentages and of the bars."""
        return self.label_left + self.label_width + self.percentage_width


def _even(length: float, rounding: Callable[[float], int] = round) -> int:
    """Round to an even number."""
    return 2 * rounding(length / 2)


class _Workshop:
    """Lays panels out for images of one size and coding, and makes and keeps the sprites for them."""

    def __init__(self, width: int, height: int, pixel_format: str, coding: YuvCoding) -> None:
        self.measures = _Measures.of_image(width, height)
        self.book = FontBook(self.measures.text)
        self.band = _even(1.25 * self.measures.text, math.ceil)
        """Height of a line of text; only the tallest scripts reach beyond it, over what surrounds it."""
        self.baseline = round(0.95 * self.measures.text)
        """From the top of a line to its baseline."""
        self.rise = _even(self.book.ascent - self.baseline, math.ceil)
        """From the top of a sprite that holds text to the top of its line."""
        self.pitch = self.band + 4 * self.measures.bar
        """From one line to the next."""
        self._mask_top = self.rise + self.baseline - self.book.ascent
        self._text_height = _even(self._mask_top + self.book.ascent + self.book.descent, math.ceil)
        around = 2 * self.measures.padding
        share = max(_MAX_HEIGHT_SHARE * height, self.pitch + around)  # one line is worth more than its share
        room = min(share, height - 2 * self.measures.margin) - around
        self._most_lines = max(math.floor(room / self.pitch), 0)
        self._pixel_format = pixel_format
        self._coding = coding
        # What a video alternates between. At 4K a background takes 7 MB, a label half a megabyte.
        self.layout = functools.lru_cache(maxsize=64)(self._lay_out)
        self.background = functools.lru_cache(maxsize=4)(self._draw_background)
        self.label = functools.lru_cache(maxsize=32)(self._draw_label)
        self.percentage = functools.lru_cache(maxsize=128)(self._draw_percentage)
        self.bar = functools.lru_cache(maxsize=128)(self._draw_bar)

    def _lay_out(self, captions: tuple[_Caption, ...]) -> _Layout | None:
        """Share out the room, by the labels alone so that nothing moves with the percentages.

        Returns:
            None where not even one letter fits.
        """
        # The marked lines before the others, and the first of each.
        ranked = sorted(range(len(captions)), key=lambda place: not captions[place].marked)
        shown = tuple(sorted(ranked[: self._most_lines]))
        if not shown:
            return None
        measures = self.measures
        left = measures.padding
        if any(caption.marked for caption in captions):
            left += _even(measures.marker, math.ceil) + measures.gap
        percentage_width = 2 * measures.gap + _even(self.book.width(WIDEST_PERCENTAGE), math.ceil)
        if measures.widest - left - percentage_width - measures.padding < 2 * measures.text:
            percentage_width = 0
        most = measures.widest - left - percentage_width - measures.padding
        # In steps, so that a panel whose labels change does not twitch with every one of them.
        step = 2 * measures.text
        wanted = math.ceil(max(self.book.width(captions[place].text) for place in shown) / step) * step
        label_width = min(wanted, most)
        if label_width < measures.text:
            return None
        return _Layout(
            shown=shown,
            width=left + label_width + percentage_width + measures.padding,
            height=len(shown) * self.pitch + 2 * measures.padding,
            label_left=left,
            label_width=label_width,
            percentage_width=percentage_width,
        )

    def _draw_background(self, width: int, height: int) -> Sprite:
        canvas = Canvas(width, height)
        outline = rounded_rectangle(width, height, self.measures.radius)
        canvas.stamp(outline, 0, 0, BACKGROUND, opacity=BACKGROUND_OPACITY)
        return canvas.to_sprite(self._pixel_format, self._coding)

    def _draw_label(self, caption: _Caption, left: int, width: int) -> Sprite:
        """Draw a marker and a label; the sprite begins at the panel's left edge."""
        mask = self.book.mask(self.book.fitted(caption.text, width))
        left -= self.book.overhang
        canvas = Canvas(_even(left + mask.shape[1], math.ceil), self._text_height)
        if caption.marked:
            side = self.measures.marker
            # Level with the middle of the capitals, which are 0.7 em high.
            top = self.rise + round(self.baseline - 0.35 * self.measures.text - side / 2)
            canvas.stamp(triangle(side), self.measures.padding, top, caption.bar_colour)
        canvas.stamp(mask, left, self._mask_top, caption.ink)
        return canvas.to_sprite(self._pixel_format, self._coding)

    def _draw_percentage(self, text: str, width: int, ink: Rgb) -> Sprite:
        """Draw a percentage that ends at the sprite's right edge."""
        mask = self.book.mask(text, flush_right=True)
        canvas = Canvas(width, self._text_height)
        canvas.stamp(mask, width + self.book.overhang - mask.shape[1], self._mask_top, ink)
        return canvas.to_sprite(self._pixel_format, self._coding)

    def _draw_bar(self, width: int, percents: int, colour: Rgb) -> Sprite:
        canvas = Canvas(width, self.measures.bar)
        canvas.fill(0, 0, width, self.measures.bar, BAR_TRACK)
        canvas.fill(0, 0, round(width * percents / 100), self.measures.bar, colour)
        return canvas.to_sprite(self._pixel_format, self._coding)


class LabelPanel:
    """Draws the predicted classes into the upper left corner of images. Belongs to one thread."""

    def __init__(self) -> None:
        """Make ready; nothing is drawn or measured before the first image.

        Raises:
            InvalidArgumentError: if ``STREAMCAM_FONT`` names a file that is no usable font.
        """
        chosen_face()  # so that a bad choice is told before any work, not at the first image
        self._missing: dict[str, None] = {}
        self._workshop = functools.lru_cache(maxsize=2)(_Workshop)

    @property
    def missing(self) -> tuple[str, ...]:
        """The characters met so far that no font of this system has, in the order they came."""
        return tuple(self._missing)

    def paint(self, image: Image, lines: Sequence[LabelLine]) -> None:
        """Draw the panel onto a fresh image, in place.

        Labels that are too long end with an ellipsis. Where the lines are too many the last ones are left
        out, but marked ones only after all others. An image too small for one line stays as it is.

        Args:
            image: One of `streamcam.media.images.PLANAR_FORMATS`, of any size, that nothing else refers to.
            lines: Best first.
        """
        workshop = self._workshop(image.width, image.height, image.format.name, coding_of(image))
        captions = tuple(_Caption(line.text, line.marked, line.colour) for line in lines)
        layout = workshop.layout(captions)
        if layout is None:
            return
        planes = planes_of(image)
        measures = workshop.measures
        left = top = measures.margin
        workshop.background(layout.width, layout.height).blend(planes, left, top)
        top += measures.padding
        for place in layout.shown:
            caption, probability = captions[place], lines[place].probability
            if measures.bar:
                bar_width = layout.right - layout.label_left
                bar = workshop.bar(bar_width, _whole_percents(probability), caption.bar_colour)
                bar.blend(planes, left + layout.label_left, top + workshop.band + measures.bar)
            label = workshop.label(caption, layout.label_left, layout.label_width)
            label.blend(planes, left, top - workshop.rise)
            if layout.percentage_width:
                value = workshop.percentage(percentage(probability), layout.percentage_width, caption.ink)
                value_left = left + layout.right - layout.percentage_width
                value.blend(planes, value_left, top - workshop.rise)
            top += workshop.pitch
        self._missing.update(dict.fromkeys(workshop.book.missing))
