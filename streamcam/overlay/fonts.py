"""Text in any script as a mask of grey levels, set in fonts that have its characters.

Pillow's own font covers ASCII and is the same on every machine. Only a text that it cannot set makes this
module look at the fonts of the system.
"""

from __future__ import annotations

import bisect
import dataclasses
import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from streamcam.media.images import ByteArray
from streamcam.overlay.font_files import PILLOW_FACE, Face, chosen_face, system_face

ELLIPSIS = "…"
REPLACEMENTS = ("\N{REPLACEMENT CHARACTER}", "?")
"""What stands for a character that no font has and that is no accented letter, best first."""

_RIGHT_TO_LEFT = ("R", "AL")

# Strokes thinner than a pixel come out of the averaging too faint to read.
_STRENGTHENED = [round(255 * (level / 255) ** 0.75) for level in range(256)]


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """A stretch of text in one font."""

    text: str
    font: ImageFont.FreeTypeFont

    @property
    def is_shaped(self) -> bool:
        """Whether Pillow sets it with Raqm: shaped, and right to left where need be."""
        return self.font.layout_engine == ImageFont.Layout.RAQM


class FontBook:
    """Sets single lines of text at one size. Belongs to one thread."""

    def __init__(self, size_px: int) -> None:
        """Choose the size; fonts are looked for when a text needs them.

        Args:
            size_px: Height of the em square in pixels.

        Raises:
            InvalidArgumentError: if ``STREAMCAM_FONT`` names a file that is no usable font.
        """
        self.size_px = size_px
        # Room for the stacked vowels and accents of Thai, Vietnamese, Urdu or Tibetan.
        self.ascent = math.ceil(1.12 * size_px)
        """Rows of a mask above the baseline."""
        self.descent = math.ceil(0.55 * size_px)
        """Rows of a mask below the baseline."""
        self.overhang = math.ceil(0.12 * size_px)
        """Columns of a mask before and after the text, for what hangs out of its letters' own boxes."""
        # Small text is set large and averaged down: hinted at its own size, every advance would be rounded
        # to whole pixels, and letters would stick together.
        self._scale = max(1, math.ceil(48 / size_px))
        self._own_faces = tuple(face for face in (chosen_face(), PILLOW_FACE) if face is not None)
        self._loaded: dict[Face, ImageFont.FreeTypeFont | None] = {}
        self._missing: dict[str, None] = {}

    @property
    def missing(self) -> tuple[str, ...]:
        """The characters met so far that no font has, in the order they came."""
        return tuple(self._missing)

    def runs(self, text: str) -> tuple[Run, ...]:
        """Split a text into stretches of one font each, in logical order.

        The whole text is set in one font where one has it all, else every word, else every character with
        its marks, else every character.
        """
        merged: list[Run] = []
        for run in self._divide(_one_line(text), (_words, clusters, list)):
            if merged and merged[-1].font is run.font:
                run = Run(merged.pop().text + run.text, run.font)
            merged.append(run)
        return tuple(merged)

    def width(self, text: str) -> float:
        """Measure how far a text advances, in pixels."""
        return _advance(self.runs(text)) / self._scale

    def fitted(self, text: str, width: float) -> str:
        """Shorten a text to a width in pixels, ending it with an ellipsis if anything had to go.

        Returns:
            The text, or as much of its beginning as fits with an ellipsis, or nothing where that alone is
            too wide.
        """
        text = _one_line(text)
        if self.width(text) <= width:
            return text
        pieces = clusters(text)
        too_many = bisect.bisect_right(
            range(len(pieces)), width, key=lambda count: self.width(_ellipsised(pieces[:count]))
        )
        return _ellipsised(pieces[: too_many - 1]) if too_many else ""

    def mask(self, text: str, *, flush_right: bool = False) -> ByteArray:
        """Render a text.

        Args:
            text: One line.
            flush_right: Put the fraction of a pixel that the text leaves over on its left, so that texts
                set to a common right edge end in the same place.

        Returns:
            uint8 (ascent + descent, ceil(width) + 2 overhang), 255 where a pixel is wholly ink. Its baseline
            runs along the lower edge of row ``ascent - 1``.
        """
        runs = self.runs(text)
        right_to_left = _is_right_to_left("".join(run.text for run in runs))
        scale = self._scale
        advance = _advance(runs)
        columns = math.ceil(advance / scale) * scale
        rows = (self.ascent + self.descent) * scale
        canvas = Image.new("L", (columns + 2 * self.overhang * scale, rows))
        draw = ImageDraw.Draw(canvas)
        pen = self.overhang * scale + (columns - advance if flush_right else 0.0)
        # Raqm orders what is inside a run; runs in several fonts simply follow the line's own direction.
        for run in reversed(runs) if right_to_left else runs:
            direction = ("rtl" if right_to_left else "ltr") if run.is_shaped else None
            place = (pen, self.ascent * scale)
            draw.text(place, run.text, fill=255, font=run.font, anchor="ls", direction=direction)
            pen += _advance([run])
        if scale == 1:
            return np.asarray(canvas)
        return np.asarray(canvas.reduce(scale).point(_STRENGTHENED))

    def _divide(self, text: str, finer: Sequence[Callable[[str], Sequence[str]]]) -> Iterator[Run]:
        """Assign fonts to a text, cut into ever finer pieces until a font has each whole."""
        font = self._font_for(text)
        if font is not None:
            run = Run(text, font)
            # Raqm heeds and hides what steers the layout; the basic backend would draw boxes for it.
            yield run if run.is_shaped else Run(_visible(text), font)
        elif finer:
            for piece in finer[0](text):
                yield from self._divide(piece, finer[1:])
        else:
            self._missing[text] = None
            yield self._replacement(text)

    def _font_for(self, text: str) -> ImageFont.FreeTypeFont | None:
        wanted = frozenset(map(ord, _visible(text)))
        face = next((face for face in self._own_faces if face.covers(wanted)), None) or system_face(wanted)
        return None if face is None else self._load(face)

    def _load(self, face: Face) -> ImageFont.FreeTypeFont | None:
        if face not in self._loaded:
            try:
                self._loaded[face] = face.load(self.size_px * self._scale)
            except OSError:  # a character map that reads well does not make a font that loads
                self._loaded[face] = None
        return self._loaded[face]

    def _replacement(self, missing: str) -> Run:
        """Set what stands for a character that no font has: the letter under its accents, if it has any."""
        for character in (unicodedata.normalize("NFD", missing)[0], *REPLACEMENTS):
            font = self._font_for(character)
            if font is not None:
                return Run(character, font)
        raise AssertionError("Pillow's own font has a question mark")


def clusters(text: str) -> list[str]:
    """Split a text between characters that a reader would part: marks and joiners stay with their base."""
    pieces: list[str] = []
    for character in text:
        joins = pieces and (_is_mark(character) or _is_silent(character) or pieces[-1][-1] == "\u200d")
        if joins:
            pieces[-1] += character
        else:
            pieces.append(character)
    return pieces


def _words(text: str) -> list[str]:
    return re.findall(r"\S+\s*|\s+", text)


def _one_line(text: str) -> str:
    """Compose accents, and make every stretch of blanks and control characters one space."""
    composed = unicodedata.normalize("NFC", text)
    return " ".join("".join(" " if unicodedata.category(c) == "Cc" else c for c in composed).split())


def _ellipsised(pieces: Sequence[str]) -> str:
    return "".join(pieces).rstrip(" ,;.-(/") + ELLIPSIS


def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")


def _is_silent(character: str) -> bool:
    """Tell whether a character only steers the layout: joiners, direction marks, variation selectors."""
    return unicodedata.category(character) == "Cf" or "\ufe00" <= character <= "\ufe0f"


def _visible(text: str) -> str:
    return "".join(character for character in text if not _is_silent(character))


def _is_right_to_left(text: str) -> bool:
    """Tell a text's own direction: that of its first letter."""
    directions = map(unicodedata.bidirectional, text)
    return next((d for d in directions if d in ("L", *_RIGHT_TO_LEFT)), "L") in _RIGHT_TO_LEFT


def _advance(runs: Sequence[Run]) -> float:
    return sum(run.font.getlength(run.text) for run in runs)
