"""The label panel: predicted classes with probabilities, in a corner of the image.

The parts of a panel (background, labels, percentages, bars) are rasterized once, as sprites in the image's
YUV format, and then only blended into the rows and columns they cover. In a video the percentages change with
nearly every frame and the labels often, so a panel cached as a whole would seldom be used twice.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Sequence

from streamcam.caching import cached_method
from streamcam.explanations import whole_percents
from streamcam.media.images import Image, YuvCoding, coding_of, planes_of
from streamcam.overlay.corners import TOP_LEFT, Corner
from streamcam.overlay.font_files import read_chosen_face
from streamcam.overlay.fonts import FontBook, RenderedText
from streamcam.overlay.layouts import Rectangle
from streamcam.overlay.sprites import Canvas, Rgb, Sprite, draw_rounded_rectangle, draw_triangle
from streamcam.overlay.text_sizes import label_text_px

BACKGROUND: Rgb = (12, 14, 18)
BACKGROUND_OPACITY = 3 / 4
MARKED_TEXT: Rgb = (255, 255, 255)
PLAIN_TEXT: Rgb = (210, 214, 220)
ACCENT: Rgb = (255, 190, 60)
PLAIN_BAR: Rgb = (180, 186, 194)
BAR_TRACK: Rgb = (76, 80, 88)

WIDEST_PERCENTAGE = "100 %"
WIDEST_VALUE = "-0.00888"
WIDEST_BOTH = "-0.88 · 100 %"

_MAX_HEIGHT_SHARE = 0.45
_MAX_WIDTH_SHARE = 0.6  # the rest of the image is for the heat
_LONG_LABEL = 18  # times the text size: about 25 letters and a percentage always have room


@dataclasses.dataclass(frozen=True, slots=True)
class LabelLine:
    """One class listed in the panel, one value, or a line of the legend below."""

    text: str
    probability: float | None
    """0 to 1; None for a value alone or a line of the legend."""
    marked: bool = False
    """Whether the heat shown is of this class."""
    color: Rgb | None = None
    """The color of its heat, if it has one; a marked line shows it as a square."""
    value: float | None = None
    """The number to show instead of a probability, or before it."""

    @property
    def score(self) -> str:
        """The text at the end of the line."""
        return format_score(self.probability, self.value)

    @property
    def widest_score(self) -> str:
        """The widest that might stand there."""
        if self.value is None:
            return WIDEST_PERCENTAGE
        return WIDEST_VALUE if self.probability is None else WIDEST_BOTH


def format_score(probability: float | None, value: float | None) -> str:
    """Format a probability, a value, or both: "84 %", "3.21", "0.31 · 84 %"."""
    if value is None:
        return "" if probability is None else format_percentage(probability)
    return format_value(value) if probability is None else f"{value:.2f} · {format_percentage(probability)}"


def format_value(value: float) -> str:
    """Format a number with three digits, or more before the decimal point."""
    if value == 0 or not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{value:g}"
    exponent = math.floor(math.log10(abs(value)))
    return f"{value:.{max(0, 2 - exponent)}f}" if -3 <= exponent <= 6 else f"{value:.2e}"


def format_percentage(probability: float) -> str:
    """Format a probability as a whole percentage, or as "<1 %" below one percent.

    NaN is shown as such: a network that fails must not stop the video.
    """
    if math.isnan(probability):
        return "NaN"
    return "<1 %" if probability < 0.01 else f"{whole_percents(probability)} %"


@dataclasses.dataclass(frozen=True, slots=True)
class _Caption:
    """The parts of a line that do not depend on the probability."""

    text: str
    marked: bool
    color: Rgb | None
    widest_score: str
    """The widest number that might stand after it."""

    @property
    def ink(self) -> Rgb:
        return MARKED_TEXT if self.marked else PLAIN_TEXT

    @property
    def bar_color(self) -> Rgb:
        return self.color or (ACCENT if self.marked else PLAIN_BAR)


@dataclasses.dataclass(frozen=True, slots=True)
class _Metrics:
    """Lengths in pixels that depend only on the size of the image and of the text.

    Those that position things are even, as two columns or rows share one chroma value.
    """

    text: int
    margin: int
    """Distance from the image's edge to the panel."""
    padding: int
    """Distance from the panel's edge to its content."""
    gap: int
    """Distance between two columns."""
    marker: int
    """Side of the square around the triangle that marks a line."""
    swatch: int
    """Side of the square that shows a line's color: as high as capitals and a little more."""
    bar: int
    """Height of a probability bar, and of the gap above it; 0 if it would be too thin to read."""
    radius: int
    """Radius of the panel's corners."""
    widest: int
    """Maximum width of the panel."""

    @classmethod
    def of_image(cls, width: int, height: int, label_size: float) -> _Metrics:
        text = label_text_px(width, height, label_size)
        margin = _even(0.5 * text)
        return cls(
            text=text,
            margin=margin,
            padding=_even(0.45 * text),
            gap=_even(0.4 * text),
            marker=round(0.55 * text),
            swatch=_even(0.8 * text),
            bar=_even(0.1 * text) if text >= 15 else 0,
            radius=round(0.3 * text),
            widest=_even(
                min(width - 2 * margin, max(_MAX_WIDTH_SHARE * width, _LONG_LABEL * text)), math.floor
            ),
        )


@dataclasses.dataclass(frozen=True, slots=True)
class _PlacedLine:
    """Where one line of a panel lies, in pixels. All lengths are even."""

    number: int
    """Index of the line among those that were passed."""
    top: int
    """Distance from the panel's upper edge to the line's."""
    extra_rise: int
    """How much further the label's ink reaches above the line than that of usual scripts."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Layout:
    """The lines of a panel and their columns, in pixels from its upper left corner. All lengths are even."""

    lines: tuple[_PlacedLine, ...]
    width: int
    height: int
    label_left: int
    label_width: int
    percentage_width: int
    """0 if percentages do not fit beside the labels."""

    @property
    def right(self) -> int:
        """The right edge of the percentages and of the bars."""
        return self.label_left + self.label_width + self.percentage_width


def _even(length: float, rounding: Callable[[float], int] = round) -> int:
    """Round to an even number."""
    return 2 * rounding(length / 2)


class _PanelRenderer:
    """Lays out panels for images of one size and coding, and renders and caches their sprites."""

    def __init__(
        self, label_size: float, width: int, height: int, inset: int, pixel_format: str, coding: YuvCoding
    ) -> None:
        self.metrics = _Metrics.of_image(width, height, label_size)
        self.book = FontBook(self.metrics.text)
        self.band = _even(1.25 * self.metrics.text, math.ceil)
        """Height of a line of text; accents and descenders may reach beyond it."""
        self.baseline = round(0.95 * self.metrics.text)
        """Distance from the top of a line to its baseline."""
        self.rise = _even(self.book.ascent - self.baseline, math.ceil)
        """Distance from the top of a text sprite to the top of its line."""
        self.pitch = self.band + 4 * self.metrics.bar
        """Distance from one line to the next, unless its script is taller."""
        self._height = height - inset
        self._pixel_format = pixel_format
        self._coding = coding

    @cached_method(maxsize=64)
    def lay_out(self, captions: tuple[_Caption, ...]) -> _Layout | None:
        """Place the lines, by their labels alone so that nothing moves with the percentages.

        Returns:
            None if not even one letter fits.
        """
        metrics = self.metrics
        lines, height = self._place_lines(captions)
        if not lines:
            return None
        left = metrics.padding
        if any(caption.marked for caption in captions):
            has_colors = any(caption.color is not None for caption in captions)
            left += _even(metrics.swatch if has_colors else metrics.marker, math.ceil) + metrics.gap
        widest = max(self.book.measure(score) for score in {caption.widest_score for caption in captions})
        percentage_width = 2 * metrics.gap + _even(widest, math.ceil)
        if metrics.widest - left - percentage_width - metrics.padding < 2 * metrics.text:
            percentage_width = 0
        most = metrics.widest - left - percentage_width - metrics.padding
        # In steps, so that the panel's width does not change with every label.
        step = 2 * metrics.text
        needed = max(self.book.measure(captions[line.number].text) for line in lines)
        label_width = min(math.ceil(needed / step) * step, most)
        if label_width < metrics.text:
            return None
        return _Layout(
            lines=lines,
            width=left + label_width + percentage_width + metrics.padding,
            height=height,
            label_left=left,
            label_width=label_width,
            percentage_width=percentage_width,
        )

    def _place_lines(self, captions: tuple[_Caption, ...]) -> tuple[tuple[_PlacedLine, ...], int]:
        """Choose the lines that fit, marked ones first, and return them with the panel's height."""
        around = 2 * self.metrics.padding
        extras = [self._extra_height(caption.text) for caption in captions]
        heights = [self.pitch + sum(extra) for extra in extras]
        ranked = sorted(range(len(captions)), key=lambda number: not captions[number].marked)
        # The first line may take more than the panel's share of the image.
        share = max([_MAX_HEIGHT_SHARE * self._height, *(heights[number] + around for number in ranked[:1])])
        room = min(share, self._height - 2 * self.metrics.margin) - around
        used = itertools.accumulate(heights[number] for number in ranked)
        fitting = [number for number, bottom in zip(ranked, used, strict=True) if bottom <= room]
        lines, top = [], self.metrics.padding
        for number in sorted(fitting):
            extra_rise, _ = extras[number]
            lines.append(_PlacedLine(number, top + extra_rise, extra_rise))
            top += heights[number]
        return tuple(lines), top + self.metrics.padding

    def _extra_height(self, text: str) -> tuple[int, int]:
        """Return how much further than usual a label's ink reaches above and below the line."""
        ascent, descent = self.book.measure_height(text)
        return _even(ascent - self.book.ascent, math.ceil), _even(descent - self.book.descent, math.ceil)

    # The sizes suit what a video alternates between. At 4K a background takes 7 MB, a label half a megabyte.

    @cached_method(maxsize=4)
    def draw_background(self, width: int, height: int) -> Sprite:
        """Draw the panel behind the lines."""
        canvas = Canvas(width, height)
        outline = draw_rounded_rectangle(width, height, self.metrics.radius)
        canvas.stamp(outline, 0, 0, BACKGROUND, opacity=BACKGROUND_OPACITY)
        return canvas.to_sprite(self._pixel_format, self._coding)

    @cached_method(maxsize=32)
    def draw_label(self, caption: _Caption, left: int, width: int, extra_rise: int) -> Sprite:
        """Draw a marker and a label; the sprite begins at the panel's left edge."""
        text = self.book.render(self.book.truncate(caption.text, width))
        rise = self.rise + extra_rise
        left -= self.book.overhang
        canvas = self._text_canvas(_even(left + text.mask.shape[1], math.ceil), text, rise)
        if caption.marked:
            if caption.color is None:
                side = self.metrics.marker
                marker = draw_triangle(side)
            else:
                side = self.metrics.swatch
                marker = draw_rounded_rectangle(side, side, side // 4)
            # Centered on the capitals, which are 0.7 em high.
            top = rise + round(self.baseline - 0.35 * self.metrics.text - side / 2)
            canvas.stamp(marker, self.metrics.padding, top, caption.bar_color)
        canvas.stamp(text.mask, left, rise + self.baseline - text.ascent, caption.ink)
        return canvas.to_sprite(self._pixel_format, self._coding)

    @cached_method(maxsize=128)
    def draw_percentage(self, percentage: str, width: int, ink: Rgb) -> Sprite:
        """Draw a percentage that ends at the sprite's right edge."""
        text = self.book.render(percentage, flush_right=True)
        canvas = self._text_canvas(width, text, self.rise)
        left = width + self.book.overhang - text.mask.shape[1]
        canvas.stamp(text.mask, left, self.rise + self.baseline - text.ascent, ink)
        return canvas.to_sprite(self._pixel_format, self._coding)

    def _text_canvas(self, width: int, text: RenderedText, rise: int) -> Canvas:
        return Canvas(width, _even(rise + self.baseline + text.descent, math.ceil))

    @cached_method(maxsize=128)
    def draw_bar(self, width: int, percents: int, color: Rgb) -> Sprite:
        """Draw a probability bar."""
        canvas = Canvas(width, self.metrics.bar)
        canvas.fill(0, 0, width, self.metrics.bar, BAR_TRACK)
        canvas.fill(0, 0, round(width * percents / 100), self.metrics.bar, color)
        return canvas.to_sprite(self._pixel_format, self._coding)


class LabelPanel:
    """Draws the predicted classes into a corner of images. Not thread-safe."""

    def __init__(self, label_size: float = 1.0, corner: Corner = TOP_LEFT) -> None:
        """Check the chosen font; nothing is drawn or measured before the first image.

        Args:
            label_size: Factor on the usual size of text.
            corner: Where the panel lies.

        Raises:
            InvalidArgumentError: if ``STREAMCAM_FONT`` names a file that is no usable font.
        """
        read_chosen_face()  # so that a bad choice is reported before any work, not at the first image
        self._missing: dict[str, None] = {}
        self._corner = corner
        self._renderer = functools.lru_cache(maxsize=2)(functools.partial(_PanelRenderer, label_size))

    @property
    def missing(self) -> tuple[str, ...]:
        """The characters so far that no font of this system has, in order of appearance."""
        return tuple(self._missing)

    def measure(self, image: Image, lines: Sequence[LabelLine], *, inset: int = 0) -> Rectangle | None:
        """Return where `draw` puts the panel; None if it draws none."""
        renderer, _, layout = self._lay_out(image, lines, inset)
        if layout is None:
            return None
        size, panel = (image.width, image.height), (layout.width, layout.height)
        return Rectangle(*self._corner.place(size, panel, renderer.metrics.margin, inset), *panel)

    def draw(self, image: Image, lines: Sequence[LabelLine], *, inset: int = 0) -> None:
        """Draw the panel onto an image, in place.

        Labels that are too long end with an ellipsis. If there are too many lines, the last are left out,
        unmarked ones first. An image too small for one line stays unchanged.

        Args:
            image: A fresh image of any size, in one of `streamcam.media.images.PLANAR_FORMATS`.
            lines: The classes, best first.
            inset: Number of rows at the lower edge that are kept free.
        """
        renderer, captions, layout = self._lay_out(image, lines, inset)
        if layout is None:
            return
        planes, metrics = planes_of(image), renderer.metrics
        size, panel = (image.width, image.height), (layout.width, layout.height)
        left, top = self._corner.place(size, panel, metrics.margin, inset)
        renderer.draw_background(layout.width, layout.height).blend(planes, left, top)
        for line in layout.lines:
            caption, score = captions[line.number], lines[line.number].score
            probability = lines[line.number].probability
            line_top = top + line.top
            if metrics.bar and probability is not None:
                bar_width = layout.right - layout.label_left
                bar = renderer.draw_bar(bar_width, whole_percents(probability), caption.bar_color)
                bar.blend(planes, left + layout.label_left, line_top + renderer.band + metrics.bar)
            label = renderer.draw_label(caption, layout.label_left, layout.label_width, line.extra_rise)
            label.blend(planes, left, line_top - renderer.rise - line.extra_rise)
            if layout.percentage_width and score:
                value = renderer.draw_percentage(score, layout.percentage_width, caption.ink)
                value_left = left + layout.right - layout.percentage_width
                value.blend(planes, value_left, line_top - renderer.rise)
        self._missing.update(dict.fromkeys(renderer.book.missing))

    def _lay_out(
        self, image: Image, lines: Sequence[LabelLine], inset: int
    ) -> tuple[_PanelRenderer, tuple[_Caption, ...], _Layout | None]:
        """Lay out the lines for an image; there is no layout if it is too small for one of them."""
        renderer = self._renderer(image.width, image.height, inset, image.format.name, coding_of(image))
        captions = tuple(_Caption(line.text, line.marked, line.color, line.widest_score) for line in lines)
        return renderer, captions, renderer.lay_out(captions)
