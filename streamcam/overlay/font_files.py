"""Font files of the system: which characters they cover, and which font covers a given text.

Coverage is read from a font's character map rather than guessed from rendered glyphs: a blank glyph may be a
space, and a box may be the character itself.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import ImageFont

from streamcam.errors import InvalidArgumentError

if TYPE_CHECKING:
    from fontTools.ttLib import TTFont

FONT_VARIABLE = "STREAMCAM_FONT"
"""Environment variable that names a font file to try before all others."""

_FONT_SUFFIXES = (".ttf", ".otf", ".ttc", ".otc")
# Beginnings of file names without blanks and hyphens, by preference: first families made to go together in
# all scripts, then the interface fonts of each system.
_FAMILIES = (
    "notosansregular",
    "notosans[",  # the same as a variable font
    "notosans",
    "noto",
    "dejavusans.",
    "dejavu",
    "segoeui",
    "helveticaneue",
    "arial",
    "pingfang",
    "hiraginosans",
    "msyh",
    "yugoth",
    "malgun",
    "nirmala",
    "leelaw",
    "liberationsans",
    "freesans",
    "droidsans",
)
_STYLED = re.compile(
    r"bold|black|heavy|light|thin|medium|italic|oblique|condensed|narrow|bd|bi(?=\.)", re.IGNORECASE
)
_SPECIAL = re.compile(r"mono|serif|math|symbol|nastaliq|kufi|unifont|display|looped", re.IGNORECASE)

_REGULAR_WEIGHT = 400

_OUTLINES = {"glyf", "CFF ", "CFF2"}
_COLORS = {"CBDT", "COLR", "sbix", "SVG "}
_NO_NAMES = [""] * 0x10000  # for as many glyphs as a font can have

CodePoints = NDArray[np.int32]


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Face:
    """One font of a font file, or Pillow's built-in font if there is no file."""

    path: Path | None
    index: int
    """Position in a collection (.ttc); 0 in a file of one font."""
    code_points: CodePoints
    """The characters it covers, int32 (N,), ascending, at least one."""

    def covers(self, code_points: frozenset[int]) -> bool:
        """Return whether it covers all these characters."""
        needed = np.fromiter(code_points, np.int32, len(code_points))
        nearest = np.searchsorted(self.code_points, needed).clip(max=len(self.code_points) - 1)
        return bool((self.code_points[nearest] == needed).all())

    def load(self, size_px: int) -> ImageFont.FreeTypeFont:
        """Load the font at one size, in its regular weight.

        Raises:
            OSError: if FreeType cannot load it.
        """
        if self.path is None:
            font = ImageFont.load_default(size_px)
            assert isinstance(font, ImageFont.FreeTypeFont)  # with a size, Pillow returns nothing else
            return font
        font = ImageFont.truetype(self.path, size_px, index=self.index)
        try:
            axes = font.get_variation_axes()
        except OSError:  # not a variable font
            return font
        font.set_variation_by_axes(
            [_REGULAR_WEIGHT if axis["name"] == b"Weight" else axis["default"] or 0 for axis in axes]
        )
        return font


_BEYOND_ASCII = "©«°±´·»‘’“”…‹›⁄™ﬁﬂ"  # noqa: RUF001

PILLOW_FACE = Face(None, 0, np.array([*range(0x20, 0x7F), *map(ord, _BEYOND_ASCII)], np.int32))
"""Pillow's built-in font. Its coverage is listed here, so that most videos need not read any font file."""


# --- What a font file covers -------------------------------------------------------------------------


def read_faces(path: Path) -> Iterator[Face]:
    """Read the coverage of every font of a file.

    Fonts without outlines and color fonts are skipped: Pillow cannot render them as masks of any size.

    Yields:
        The usable fonts; none if the file is not readable as TrueType or OpenType.
    """
    from fontTools.ttLib import TTCollection, TTFont  # here, as few videos need it

    try:
        with path.open("rb") as file:
            is_collection = file.read(4) == b"ttcf"
            fonts = TTCollection(file, lazy=True).fonts if is_collection else [TTFont(file, lazy=True)]
            for index, font in enumerate(fonts):
                code_points = _code_points(font)
                if len(code_points):
                    yield Face(path, index, code_points)
    except Exception:  # fontTools raises anything on damaged files
        return


def _code_points(font: TTFont) -> CodePoints:
    """List the characters that a font has and Pillow can render, int32 (N,), ascending."""
    tables = set(font.keys())
    nothing = np.empty(0, np.int32)
    if not tables & _OUTLINES or tables & _COLORS or "cmap" not in tables:
        return nothing
    font.setGlyphOrder(_NO_NAMES)  # finding the names of all glyphs would take longer than everything else
    # Many characters for one glyph: a font of last resort, which has a box for each script.
    if any(table.format == 13 for table in font["cmap"].tables):
        return nothing
    return np.array(sorted(font.getBestCmap() or ()), np.int32)


# --- Which fonts there are ---------------------------------------------------------------------------


def read_chosen_face() -> Face | None:
    """Read the font that ``STREAMCAM_FONT`` names; None if it is not set.

    Raises:
        InvalidArgumentError: if it names no usable font file.
    """
    name = os.environ.get(FONT_VARIABLE)
    if not name:
        return None
    path = Path(name)
    try:
        face = next(read_faces(path))
        face.load(12)
    except (StopIteration, OSError) as error:
        problem = "is not an outline font (.ttf, .otf or .ttc)" if path.is_file() else "does not exist"
        raise InvalidArgumentError(
            f"{FONT_VARIABLE} names {name!r}, which {problem}; name a font file or unset it"
        ) from error
    return face


@functools.lru_cache(maxsize=4096)
def find_system_face(code_points: frozenset[int]) -> Face | None:
    """Find the preferred system font that covers all these characters; None if none does."""
    return next(
        (face for path in _system_font_files() for face in _faces_once(path) if face.covers(code_points)),
        None,
    )


@functools.cache
def _faces_once(path: Path) -> tuple[Face, ...]:
    return tuple(read_faces(path))


@functools.cache
def _system_font_files() -> tuple[Path, ...]:
    files = [
        Path(folder, name)
        for directory in font_directories()
        for folder, _, names in os.walk(directory)
        for name in names
        if name.lower().endswith(_FONT_SUFFIXES)
    ]
    return tuple(sorted(files, key=_preference))


def font_directories() -> tuple[Path, ...]:
    """List the font directories of this system; not all of them need exist."""
    try:
        home = Path.home()
    except RuntimeError:  # in a container the user may have none
        home = Path(os.devnull)
    if sys.platform == "win32":
        local = Path(os.environ.get("LOCALAPPDATA", home / "AppData/Local"))
        return (
            Path(os.environ.get("WINDIR", "C:/Windows")) / "Fonts",
            local / "Microsoft/Windows/Fonts",
        )
    if sys.platform == "darwin":
        return (Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts")
    return (
        Path("/usr/share/fonts"),
        Path("/usr/local/share/fonts"),
        home / ".fonts",
        home / ".local/share/fonts",
    )


def _preference(path: Path) -> tuple[bool, int, bool, str]:
    """Return a sort key for font files: regular before styled, then by family."""
    name = re.sub(r"[\s_-]", "", path.name).lower()
    family = next((rank for rank, prefix in enumerate(_FAMILIES) if name.startswith(prefix)), len(_FAMILIES))
    return bool(_STYLED.search(path.name)), family, bool(_SPECIAL.search(path.name)), name
