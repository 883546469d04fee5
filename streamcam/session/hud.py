"""Text that a live session writes over its image: statistics, messages, the help, a class name being typed.

`hud_of` makes the words from the session's state; `HudPainter` draws them at the window's size. They are
never recorded. Each panel is rasterized when its text changes, a few times a second at most, and then blended
like the labels.
"""

from __future__ import annotations

import dataclasses
import functools
import math

from streamcam.caching import cached_method
from streamcam.media.images import Image, YuvCoding, coding_of, planes_of
from streamcam.overlay.corners import Corner
from streamcam.overlay.fonts import FontBook
from streamcam.overlay.label_panel import ACCENT, BACKGROUND, MARKED_TEXT, PLAIN_TEXT
from streamcam.overlay.sprites import Canvas, Rgb, Sprite, draw_rounded_rectangle
from streamcam.overlay.wrapping import wrap_text
from streamcam.session.commands import help_rows
from streamcam.session.deletion import Deletion
from streamcam.session.state import LiveState, StreamState

_OPACITY = 0.8
_RECORDING: Rgb = (255, 64, 56)
_WARNING: Rgb = (255, 214, 120)

_TEXT_SHARE = 0.032  # of the shorter side, as for the labels
_SMALLEST_TEXT, _LARGEST_TEXT = 8, 40
_USUAL_SMALLEST = 11
_MOST_MESSAGE_LINES = 3
_SAID_OLD_S = 1.5  # a measurement older than this says how old it is
_MESSAGE_S = 2.5  # how long a message is shown
_WIDEST_MESSAGE = 0.86

Rows = tuple[tuple[str, ...], ...]


@dataclasses.dataclass(frozen=True, slots=True)
class HudState:
    """The words to write."""

    statistics: tuple[tuple[str, str], ...] = ()
    """Names and values."""
    help: tuple[tuple[str, str], ...] = ()
    """Keys, and what they do."""
    messages: tuple[str, ...] = ()
    """Sentences at the lower edge."""
    trouble: bool = False
    """Whether the first message is a warning: the source is in trouble."""
    recording: str | None = None
    """Length of the recording, as minutes and seconds; None while there is none."""
    frozen: bool = False
    deletion: str | None = None
    """The probability of the class with and without the heat; None where that is off."""
    at_left: bool = False
    """Whether badges and statistics are at the left, as the labels are at the upper right."""
    typed: str | None = None
    """The class name or prompt being typed; None while none is."""
    choices: tuple[str, ...] = ()
    """The possibilities: class names that fit, a prompt to add."""
    chosen: int = 0
    """Which of `choices` is marked."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Style:
    """The look of a panel: for each column its color, and whether it is aligned to the right."""

    inks: tuple[Rgb, ...]
    flush_right: tuple[bool, ...]
    marked_row: int | None = None
    """A row drawn in the accent color."""
    dot: Rgb | None = None
    """Color of a dot before the text."""


_STATISTICS = _Style((PLAIN_TEXT, MARKED_TEXT), (False, True))
_HELP = _Style((ACCENT, MARKED_TEXT), (False, False))


def hud_of(state: LiveState) -> HudState:
    """Return the words to write over the image in some state."""
    entry, view, alone = state.entry, state.view, state.alone
    return HudState(
        statistics=statistics_rows(state) if view.statistics_shown else (),
        help=help_rows(len(state.streams)) if view.help_shown else (),
        messages=_messages(state),
        trouble=alone is not None and (alone.notice is not None or state.has_stalled(alone)),
        recording=None if alone is None else length_of_recording(alone),
        frozen=state.frozen,
        deletion=deletion_words(state),
        at_left=view.overlay.labels and view.overlay.corner == Corner(is_right=True, is_bottom=False),
        typed=None if entry is None else entry.text,
        choices=() if entry is None else tuple(choice.text for choice in entry.choices),
        chosen=0 if entry is None else entry.chosen,
    )


def statistics_rows(state: LiveState) -> tuple[tuple[str, str], ...]:
    """Return names and values of the statistics."""
    facts, alone = state.facts, state.alone
    if alone is None:
        rows = [("stream", "read, explained; age of heat"), *map(_stream_row, state.streams)]
    else:
        numbers = alone.statistics
        rows = [
            ("captured", f"{numbers.captured_per_s:.1f} fps"),
            ("shown", f"{numbers.shown_per_s:.1f} fps"),
            ("explained", f"{numbers.explained_per_s:.1f} fps"),
            ("age of frame", _milliseconds(numbers.frame_age_ms)),
            ("age of heat", _milliseconds(numbers.heat_age_ms)),
            ("dropped", str(numbers.dropped)),
        ]
    if facts is not None:
        rows += [
            ("network", facts.model),
            ("method", facts.method),
            ("layer", facts.layer),
            ("backend", f"{facts.backend} {facts.precision}"),
        ]
    return tuple(rows)


def length_of_recording(stream: StreamState) -> str | None:
    """Return the length of a stream's recording as minutes and seconds; None if there is none."""
    if stream.recording is None:
        return None
    seconds = int(stream.frame_time_s - stream.recording.began_s)
    return f"{seconds // 60}:{seconds % 60:02}"


def deletion_words(state: LiveState) -> str | None:
    """Return what is left of the class without the heat, and how old that is; None where that is off."""
    if not state.view.deletion_shown or state.alone is None:  # on walls it stands above each tile
        return None
    deletion = state.alone.deletion
    if deletion is None:
        return "removing the heat …"
    age = format_age(state, deletion)
    return f"{deletion.label}: {deletion.words}{age and f' · {age}'}"


def format_age(state: LiveState, deletion: Deletion) -> str:
    """Return how old a measurement is; empty while it is fresh."""
    age_s = state.now_s - deletion.at_s
    return f"{age_s:.0f} s" if age_s >= _SAID_OLD_S else ""


def _stream_row(stream: StreamState) -> tuple[str, str]:
    numbers = stream.statistics
    rates = f"{numbers.captured_per_s:.1f}, {numbers.explained_per_s:.1f} fps"
    return stream.name, f"{rates}; {_milliseconds(numbers.heat_age_ms)}"


def _messages(state: LiveState) -> tuple[str, ...]:
    messages = []
    alone = state.alone
    if alone is not None and alone.notice is not None:
        messages.append(state.wording(alone.notice))
    elif alone is not None and state.has_stalled(alone) and not alone.has_ended:
        messages.append(f"no frame from {alone.name} for {state.silence_of(alone):.0f} s")
    if state.facts is None:
        messages.append("loading the network …")
    elif state.message is not None and state.now_s - state.message.said_at_s < _MESSAGE_S:
        messages.append(state.message.text)
    return tuple(messages)


def _milliseconds(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.0f} ms"


class HudPainter:
    """Draws the words onto images of any size. Belongs to one thread."""

    def __init__(self) -> None:
        self._panels = functools.lru_cache(maxsize=2)(_Panels)

    def paint(self, image: Image, hud: HudState, *, inset: int = 0) -> None:
        """Draw onto an image, in place; what does not fit is left out.

        Args:
            image: Planar YUV of any size, used by nobody else.
            hud: The words to write.
            inset: Number of rows at the lower edge that are kept free.
        """
        if hud == HudState():
            return
        panels = self._panels(image.width, image.height, image.format.name, coding_of(image))
        planes = planes_of(image)
        for sprite, left, top in panels.arrange(hud, inset):
            sprite.blend(planes, left, top)


PlacedSprite = tuple[Sprite, int, int]
"""A sprite, and its left and upper edge in pixels, even."""


class _Panels:
    """Draws and arranges the panels for images of one size and coding."""

    def __init__(self, width: int, height: int, pixel_format: str, coding: YuvCoding) -> None:
        self._width, self._height = _even(width), _even(height)
        self._pixel_format, self._coding = pixel_format, coding
        share = round(_TEXT_SHARE * min(width, height))
        self._text = min(max(share, _USUAL_SMALLEST), _LARGEST_TEXT)
        self._margin = _even_up(0.5 * self._text)
        self._book = functools.cache(FontBook)

    def arrange(self, hud: HudState, inset: int) -> list[PlacedSprite]:
        """Lay out all panels, with some rows at the lower edge kept free."""
        placed = [*self._badges(hud), *self._bottom(hud, self._height - max(inset, self._margin))]
        if hud.help:
            placed += self._center(self._fit_help(hud.help))
        return placed

    def _badges(self, hud: HudState) -> list[PlacedSprite]:
        """Place badges at the upper right or left, and the statistics below them."""
        placed: list[PlacedSprite] = []
        top = self._margin
        badges: list[tuple[str, _Style]] = []
        if hud.recording is not None:
            badges.append((f"REC {hud.recording}", _Style((MARKED_TEXT,), (False,), dot=_RECORDING)))
        if hud.frozen:
            badges.append(("frozen", _Style((ACCENT,), (False,))))
        if hud.deletion is not None:
            badges.append((hud.deletion, _Style((MARKED_TEXT,), (False,))))
        offset = self._margin
        for text, style in badges:
            sprite = self._draw_panel(((text,),), style, self._text)
            placed += self._place(sprite, self._from_side(hud, sprite, offset), top)
            offset += _width_of(sprite) + self._margin
        if badges:
            top += _height_of(sprite) + self._margin
        rows = hud.statistics
        if rows:
            pitch = _pitch(self._text)
            most = (self._height - top - self._margin) // pitch - 1
            if most > 0:
                sprite = self._draw_panel(rows[:most], _STATISTICS, self._text)
                placed += self._place(sprite, self._from_side(hud, sprite, self._margin), top)
        return placed

    def _from_side(self, hud: HudState, sprite: Sprite, offset: int) -> int:
        """Return the left edge of a panel that lies at a distance from the side of badges and statistics."""
        return offset if hud.at_left else self._width - offset - _width_of(sprite)

    def _bottom(self, hud: HudState, bottom: int) -> list[PlacedSprite]:
        """Place messages in the middle above a row, and above them at the left what is being typed."""
        placed: list[PlacedSprite] = []
        for number, message in reversed(list(enumerate(hud.messages))):
            ink = _WARNING if hud.trouble and number == 0 else MARKED_TEXT
            rows = self._wrap(message)
            if not rows:
                continue
            sprite = self._draw_panel(rows, _Style((ink,), (False,)), self._text)
            bottom -= _height_of(sprite)
            placed += self._place(sprite, _even((self._width - _width_of(sprite)) / 2), bottom)
            bottom -= self._margin
        if hud.typed is not None:
            choices = tuple((f"  {choice}",) for choice in hud.choices) or (("  no such class",),)
            marked = 1 + min(hud.chosen, len(choices) - 1) if hud.choices else None
            typing = ((f"/ {hud.typed}_",), *choices)
            sprite = self._draw_panel(typing, _Style((MARKED_TEXT,), (False,), marked_row=marked), self._text)
            placed += self._place(sprite, self._margin, bottom - _height_of(sprite))
        return placed

    def _fit_help(self, rows: tuple[tuple[str, str], ...]) -> Sprite | None:
        """Draw the help in as many columns and as large as fits; None where it does not."""
        for text in range(self._text, _SMALLEST_TEXT - 1, -1):
            for columns in (1, 2, 3):
                length = math.ceil(len(rows) / columns)
                parts = [rows[start : start + length] for start in range(0, len(rows), length)]
                table = tuple(
                    tuple(
                        cell
                        for number, part in enumerate(parts)
                        for cell in (
                            *(("",) if number else ()),
                            *(part[row] if row < len(part) else ("", "")),
                        )
                    )
                    for row in range(length)
                )
                inks = (*_HELP.inks, PLAIN_TEXT) * len(parts)
                style = _Style(inks[:-1], (False,) * (len(inks) - 1))
                width, height = self._size_of(table, style, text)
                if width <= self._width - 2 * self._margin and height <= self._height - 2 * self._margin:
                    return self._draw_panel(table, style, text)
        return None

    def _wrap(self, sentence: str) -> Rows:
        """Break a sentence into lines that fit; the last one allowed ends with an ellipsis."""
        widest = _WIDEST_MESSAGE * self._width
        lines = wrap_text(self._book(self._text), sentence, widest, _MOST_MESSAGE_LINES)
        return tuple((line,) for line in lines)

    def _center(self, sprite: Sprite | None) -> list[PlacedSprite]:
        if sprite is None:
            return []
        left, top = (self._width - _width_of(sprite)) / 2, (self._height - _height_of(sprite)) / 2
        return self._place(sprite, _even(left), _even(top))

    def _place(self, sprite: Sprite, left: int, top: int) -> list[PlacedSprite]:
        """Place a sprite, or leave it out where it would reach over an edge."""
        right, bottom = left + _width_of(sprite), top + _height_of(sprite)
        fits = left >= 0 and top >= 0 and right <= self._width and bottom <= self._height
        return [(sprite, _even(left), _even(top))] if fits else []

    # --- Panels ------------------------------------------------------------------------------------------

    def _column_widths(self, rows: Rows, text: int) -> list[int]:
        book = self._book(text)
        return [
            max(math.ceil(book.measure(cell)) + self._indent(cell, book) for cell in column)
            for column in zip(*rows, strict=True)
        ]

    def _size_of(self, rows: Rows, style: _Style, text: int) -> tuple[int, int]:
        widths = self._column_widths(rows, text)
        dot = text if style.dot is not None else 0
        width = sum(widths) + (len(widths) - 1) * text + dot + 2 * _padding(text)
        return _even_up(width), _even_up(len(rows) * _pitch(text) + 2 * _padding(text) - 0.2 * text)

    @cached_method(maxsize=32)
    def _draw_panel(self, rows: Rows, style: _Style, text: int) -> Sprite:
        book, padding, pitch = self._book(text), _padding(text), _pitch(text)
        width, height = self._size_of(rows, style, text)
        canvas = Canvas(width, height)
        outline = draw_rounded_rectangle(width, height, max(1, round(0.3 * text)))
        canvas.stamp(outline, 0, 0, BACKGROUND, opacity=_OPACITY)
        left = padding
        if style.dot is not None:
            side = 2 * round(0.3 * text)
            dot = draw_rounded_rectangle(side, side, side // 2)
            canvas.stamp(dot, left, padding + round(0.66 * text - side / 2), style.dot)
            left += text
        for column, column_width in enumerate(self._column_widths(rows, text)):
            for number, row in enumerate(rows):
                if not row[column].strip():
                    continue
                right_set = style.flush_right[column]
                rendered = book.render(row[column].rstrip(), flush_right=right_set)
                indent = self._indent(row[column], book)
                over = (
                    left + column_width - rendered.mask.shape[1] + book.overhang
                    if right_set
                    else left - book.overhang
                )
                ink = ACCENT if number == style.marked_row else style.inks[column]
                top = padding + number * pitch + text - rendered.ascent
                canvas.stamp(rendered.mask, over + indent, top, ink)
            left += column_width + text
        return canvas.to_sprite(self._pixel_format, self._coding)

    @staticmethod
    def _indent(cell: str, book: FontBook) -> int:
        """Return the width of a cell's leading spaces, which fonts leave out."""
        return (len(cell) - len(cell.lstrip())) * round(0.3 * book.size_px)


def _even(length: float) -> int:
    return 2 * math.floor(length / 2)


def _even_up(length: float) -> int:
    return 2 * math.ceil(length / 2)


def _padding(text: int) -> int:
    return _even_up(0.5 * text)


def _pitch(text: int) -> int:
    return _even_up(1.4 * text)


def _width_of(sprite: Sprite) -> int:
    return int(sprite.planes[0].keep.shape[1])


def _height_of(sprite: Sprite) -> int:
    return int(sprite.planes[0].keep.shape[0])
