"""The wall of a live session: how the tiles of several streams lie, and what is written above each."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from streamcam.session.state import LiveState

CANVAS = (1280, 720)
"""(width, height) of a wall in pixels where no window says otherwise."""

_SMALLEST_TEXT, _LARGEST_TEXT = 11, 28

_SHAPE = (16, 9)
"""The shape of a tile whose stream has sent no frame yet."""


@dataclasses.dataclass(frozen=True, slots=True)
class TileWords:
    """The words above a tile."""

    name: str
    status: str
    is_trouble: bool


@dataclasses.dataclass(frozen=True, slots=True)
class TilePlace:
    """Where a tile lies, in pixels, all even: a bar with words, and the image below it."""

    left: int
    top: int
    width: int
    height: int
    """Height of the image."""
    bar: int
    """Height of the bar."""
    text: int
    """Size of the words in it."""


def words_of(state: LiveState, index: int) -> TileWords:
    """Return the words above the tile of a stream."""
    stream = state.streams[index]
    if stream.has_ended:
        return TileWords(
            stream.name, "ended" if stream.notice is None else "failed", stream.notice is not None
        )
    if stream.is_vacant:
        return TileWords(stream.name, "waiting for a camera", False)
    if not stream.has_begun:
        if stream.notice is None:
            return TileWords(stream.name, "waiting for the first frame", False)
        return TileWords(stream.name, "no signal", True)
    if stream.notice is not None or state.has_stalled(stream):
        return TileWords(stream.name, f"no signal since {state.silence_of(stream):.0f} s", True)
    rate = f"{stream.statistics.captured_per_s:.0f} fps"
    if stream.deletion is not None:
        rate = f"{stream.deletion.words}  {rate}"
    return TileWords(stream.name, rate if stream.recording is None else f"REC  {rate}", False)


def lay_out(shapes: Sequence[tuple[int, int] | None], canvas: tuple[int, int]) -> list[TilePlace]:
    """Place tiles so that their images are as large as possible together.

    Args:
        shapes: Width and height of each stream's frames; None before its first.
        canvas: (width, height) in pixels.
    """
    known = [shape or _SHAPE for shape in shapes]
    tables = [_place(known, columns, canvas) for columns in range(1, len(known) + 1)]
    return max(tables, key=lambda places: sum(place.width * place.height for place in places))


def tile_at(places: Sequence[TilePlace], x: float, y: float) -> int | None:
    """Return the number of the tile at a point of the canvas, in pixels; None where none is."""
    for number, place in enumerate(places):
        is_beside = place.left <= x < place.left + place.width
        if is_beside and place.top <= y < place.top + place.bar + place.height:
            return number
    return None


def _place(shapes: Sequence[tuple[int, int]], columns: int, canvas: tuple[int, int]) -> list[TilePlace]:
    """Place tiles row by row, each as wide as its shape asks for, and each row in the middle."""
    rows = [shapes[start : start + columns] for start in range(0, len(shapes), columns)]
    height = canvas[1] / len(rows)
    text = min(max(round(0.05 * height), _SMALLEST_TEXT), _LARGEST_TEXT)
    bar, gap = _even(1.6 * text), 2 * round(0.15 * text)
    places = []
    for number, row in enumerate(rows):
        aspects = [width / height for width, height in row]
        image_height = min(height - bar - gap, (canvas[0] - gap * (len(row) + 1)) / sum(aspects))
        left = (canvas[0] - image_height * sum(aspects) - gap * (len(row) - 1)) / 2
        top = number * height + (height - bar - image_height) / 2
        for aspect in aspects:
            size = max(2, _even(aspect * image_height)), max(2, _even(image_height))
            places.append(TilePlace(_even(left), _even(top), *size, bar, text))
            left += aspect * image_height + gap
    return places


def _even(length: float) -> int:
    return 2 * int(length / 2)
