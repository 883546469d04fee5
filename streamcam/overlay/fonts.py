"""Text rendering in any script: masks of gray levels, in fonts that have the characters.

Pillow's built-in font covers ASCII and is the same on every machine. The system's fonts are searched only
for a text that it does not cover.
"""

from __future__ import annotations

import bisect
import dataclasses
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from streamcam.media.images import ByteArray
from streamcam.overlay.font_files import PILLOW_FACE, Face, find_system_face, read_chosen_face

ELLIPSIS = "…"
REPLACEMENTS = ("\N{REPLACEMENT CHARACTER}", "?")
"""Replacements for a character that no font has, best first; an accented letter loses its accent instead."""

_RIGHT_TO_LEFT = ("R", "AL")

# Strokes thinner than a pixel come out of the averaging too faint to read.
_STRENGTHENED = [round(255 * (level / 255) ** 0.75) for level in range(256)]


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """A piece of text in one font."""

    text: str
    font: ImageFont.FreeTypeFont

    @property
    def is_shaped(self) -> bool:
        """Whether Pillow lays it out with Raqm: with shaping, and right to left if needed."""
        return self.font.layout_engine == ImageFont.Layout.RAQM


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class RenderedText:
    """One line of text as a mask."""

    mask: ByteArray
    """Coverage, uint8 (rows, columns): 255 where a pixel is fully ink."""
    ascent: int
    """Rows above the baseline: `FontBook.ascent`, or more for a taller script."""

    @property
    def descent(self) -> int:
        """Rows below the baseline: `FontBook.descent`, or more for a deeper script."""
        return int(self.mask.shape[0]) - self.ascent


@dataclasses.dataclass(frozen=True, slots=True)
class _Ink:
    """How far the ink of a text reaches from its origin on the baseline, in scaled pixels."""

    left: float
    above: float
    right: float
    below: float


class FontBook:
    """Measures and renders single lines of text at one size. Not thread-safe."""

    def __init__(self, size_px: int) -> None:
        """Choose the size; fonts are searched when a text needs them.

        Args:
            size_px: Height of the em square in pixels.

        Raises:
            InvalidArgumentError: if ``STREAMCAM_FONT`` names a file that is no usable font.
        """
        self.size_px = size_px
        # Room for the stacked vowels and accents of most scripts; taller ones enlarge the mask.
        self.ascent = math.ceil(1.12 * size_px)
        """Rows of a mask above the baseline, unless the text is taller."""
        self.descent = math.ceil(0.55 * size_px)
        """Rows of a mask below the baseline, unless the text is deeper."""
        self.overhang = math.ceil(0.12 * size_px)
        """Columns of a mask before and after the text, for ink that reaches beyond the advance."""
        # Small text is rendered large and averaged down: hinted at its final size, every advance would be
        # rounded to whole pixels, and letters would touch.
        self._scale = max(1, math.ceil(48 / size_px))
        self._preferred_faces = tuple(face for face in (read_chosen_face(), PILLOW_FACE) if face is not None)
        self._loaded: dict[Face, ImageFont.FreeTypeFont | None] = {}
        self._missing: dict[str, None] = {}

    @property
    def missing(self) -> tuple[str, ...]:
        """The characters so far that no font has, in order of appearance."""
        return tuple(self._missing)

    def split_runs(self, text: str) -> tuple[Run, ...]:
        """Split a text into runs of one font each, in logical order.

        The whole text is set in one font if one covers it, otherwise each word, otherwise each character with
        its marks, otherwise each character.
        """
        merged: list[Run] = []
        for run in self._divide(_one_line(text), (_words, clusters, list)):
            if merged and merged[-1].font is run.font:
                run = Run(merged.pop().text + run.text, run.font)
            merged.append(run)
        return tuple(merged)

    def measure(self, text: str) -> float:
        """Return the width of a text in pixels: its advance, or more if ink reaches beyond the overhang."""
        return self._width(self.split_runs(text))[1] / self._scale

    def truncate(self, text: str, width: float) -> str:
        """Shorten a text to a width in pixels, with an ellipsis if anything was removed.

        Returns:
            The text, or as much of its beginning as fits with an ellipsis, or nothing if even that is too
            wide.
        """
        text = _one_line(text)
        if self.measure(text) <= width:
            return text
        pieces = clusters(text)
        too_many = bisect.bisect_right(
            range(len(pieces)), width, key=lambda count: self.measure(_add_ellipsis(pieces[:count]))
        )
        return _add_ellipsis(pieces[: too_many - 1]) if too_many else ""

    def render(self, text: str, *, flush_right: bool = False) -> RenderedText:
        """Render a text.

        Args:
            text: One line.
            flush_right: Put the remaining fraction of a pixel on the left of the text, so that texts aligned
                to a common right edge end at the same place.

        Returns:
            A mask with ascent + descent rows and ceil(width) + 2 overhang columns. The baseline runs along
            the lower edge of row ``ascent - 1``.
        """
        runs = self.split_runs(text)
        scale = self._scale
        start, width = self._width(runs)
        ascent, descent = self._height(runs)
        columns = math.ceil(width / scale) * scale
        canvas = Image.new("L", (columns + 2 * self.overhang * scale, (ascent + descent) * scale))
        draw = ImageDraw.Draw(canvas)
        pen = self.overhang * scale + start + (columns - width if flush_right else 0.0)
        for run, offset, direction in _place(runs):
            place = (pen + offset, ascent * scale)
            draw.text(place, run.text, fill=255, font=run.font, anchor="ls", direction=direction)
        if scale > 1:
            canvas = canvas.reduce(scale).point(_STRENGTHENED)
        return RenderedText(np.asarray(canvas), ascent)

    def measure_height(self, text: str) -> tuple[int, int]:
        """Return how many rows the mask of a text has above and below the baseline."""
        return self._height(self.split_runs(text))

    def _height(self, runs: Sequence[Run]) -> tuple[int, int]:
        ink = _measure_ink(runs)
        above, below = (math.ceil(rows / self._scale) + 1 for rows in (ink.above, ink.below))
        return max(self.ascent, above), max(self.descent, below)

    def _width(self, runs: Sequence[Run]) -> tuple[float, float]:
        """Return where the pen starts, and the width of a text, in scaled pixels."""
        ink, advance = _measure_ink(runs), _advance(runs)
        overhang = (self.overhang - 1) * self._scale
        before = max(0.0, -ink.left - overhang)
        after = max(0.0, ink.right - advance - overhang)
        return before, before + advance + after

    def _divide(self, text: str, finer: Sequence[Callable[[str], Sequence[str]]]) -> Iterator[Run]:
        """Choose fonts for a text, split into ever smaller pieces until a font covers each."""
        font = self._font_for(text)
        if font is not None:
            run = Run(text, font)
            # Raqm applies and hides layout controls; the basic layout engine would draw boxes for them.
            yield run if run.is_shaped else Run(_visible(text), font)
        elif finer:
            for piece in finer[0](text):
                yield from self._divide(piece, finer[1:])
        else:
            self._missing[text] = None
            yield self._replacement(text)

    def _font_for(self, text: str) -> ImageFont.FreeTypeFont | None:
        characters = frozenset(map(ord, _visible(text)))
        face = next((face for face in self._preferred_faces if face.covers(characters)), None)
        face = face or find_system_face(characters)
        return None if face is None else self._load(face)

    def _load(self, face: Face) -> ImageFont.FreeTypeFont | None:
        if face not in self._loaded:
            try:
                self._loaded[face] = face.load(self.size_px * self._scale)
            except OSError:  # a readable character map does not guarantee a usable font
                self._loaded[face] = None
        return self._loaded[face]

    def _replacement(self, missing: str) -> Run:
        """Return what replaces a character that no font has: its letter without accents, if any."""
        for character in (unicodedata.normalize("NFD", missing)[0], *REPLACEMENTS):
            font = self._font_for(character)
            if font is not None:
                return Run(character, font)
        raise AssertionError("Pillow's built-in font has a question mark")


def note_missing(characters: Iterable[str]) -> tuple[str, ...]:
    """Describe the characters that no font of this system has, in one sentence; in none if there are none."""
    missing = " ".join(dict.fromkeys(characters))
    return (
        (f"No font here has the characters {missing}; name a font file in STREAMCAM_FONT",) if missing else ()
    )


def clusters(text: str) -> list[str]:
    """Split a text into user-perceived characters: marks and joiners stay with their base."""
    pieces: list[str] = []
    for character in text:
        is_joined = _is_mark(character) or _is_layout_control(character)
        if pieces and (is_joined or pieces[-1][-1] == "\u200d"):
            pieces[-1] += character
        else:
            pieces.append(character)
    return pieces


def _words(text: str) -> list[str]:
    return re.findall(r"\S+\s*|\s+", text)


def _one_line(text: str) -> str:
    """Compose accents, and replace blanks and control characters by single spaces."""
    composed = unicodedata.normalize("NFC", text)
    return " ".join("".join(" " if unicodedata.category(c) == "Cc" else c for c in composed).split())


def _add_ellipsis(pieces: Sequence[str]) -> str:
    return "".join(pieces).rstrip(" ,;.-(/") + ELLIPSIS


def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")


def _is_layout_control(character: str) -> bool:
    """Return whether a character only controls layout: joiners, direction marks, variation selectors."""
    return unicodedata.category(character) == "Cf" or "\ufe00" <= character <= "\ufe0f"


def _visible(text: str) -> str:
    return "".join(character for character in text if not _is_layout_control(character))


def _is_right_to_left(text: str) -> bool:
    """Return whether a text runs right to left, by its first letter."""
    directions = map(unicodedata.bidirectional, text)
    return next((d for d in directions if d in ("L", *_RIGHT_TO_LEFT)), "L") in _RIGHT_TO_LEFT


def _advance(runs: Sequence[Run]) -> float:
    return sum(run.font.getlength(run.text) for run in runs)


def _place(runs: Sequence[Run]) -> Iterator[tuple[Run, float, str | None]]:
    """Yield each run with its offset from the text's left edge in scaled pixels, and its direction."""
    right_to_left = _is_right_to_left("".join(run.text for run in runs))
    offset = 0.0
    # Raqm orders the characters of a run; runs in several fonts simply follow the line's direction.
    for run in reversed(runs) if right_to_left else runs:
        yield run, offset, ("rtl" if right_to_left else "ltr") if run.is_shaped else None
        offset += _advance([run])


def _measure_ink(runs: Sequence[Run]) -> _Ink:
    ink = _Ink(0.0, 0.0, 0.0, 0.0)
    for run, offset, direction in _place(runs):
        left, top, right, bottom = run.font.getbbox(run.text, anchor="ls", direction=direction)
        ink = _Ink(
            min(ink.left, offset + left),
            max(ink.above, -top),
            max(ink.right, offset + right),
            max(ink.below, bottom),
        )
    return ink
