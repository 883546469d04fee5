"""Drawing of a wall: the tiles of several streams, each with its name and state above it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

from streamcam.caching import cached_method
from streamcam.explanations import StabilizedFrame
from streamcam.frames import ColorTags, Frame
from streamcam.media.images import Image, PlaneArray, YuvCoding, blank_image, coding_of, planes_of
from streamcam.media.scaling import Resampler
from streamcam.overlay import OverlaySettings
from streamcam.overlay.caption import CaptionPainter
from streamcam.overlay.fonts import FontBook
from streamcam.overlay.layouts import black_like
from streamcam.overlay.sprites import Canvas, Rgb, Sprite
from streamcam.session.outputs import LiveFrame, Tile
from streamcam.session.wall import CANVAS, TilePlace, TileWords, lay_out, words_of

DrawTile = Callable[[Frame, StabilizedFrame | None, OverlaySettings, tuple[int, int]], Image]
"""Draws a frame at a size: frame, heat, settings, (width, height)."""

_FORMAT = "yuv420p"
_TAGS = ColorTags(color_range=1, colorspace=1, color_primaries=1, color_trc=1)
"""BT.709 of limited range, as players expect it; tiles that are coded otherwise are converted."""

_EMPTY_LUMA = 36
"""Brightness of a tile without an image: a little above black, which is 16."""

_NAME: Rgb = (235, 238, 242)
_STATUS: Rgb = (160, 168, 178)
_TROUBLE: Rgb = (255, 190, 90)


class WallPainter:
    """Draws walls. A tile is drawn again only where its frame, heat or look has changed. Of one thread."""

    def __init__(self, make_drawer: Callable[[], DrawTile]) -> None:
        """Start without tiles.

        Args:
            make_drawer: Returns what draws the frames of one tile; each tile has its own, because it keeps
                what belongs to one size.
        """
        self._make_drawer = make_drawer
        self._tiles: dict[int, _TileDrawer] = {}
        self._bars = functools.lru_cache(maxsize=4)(_BarRenderer)
        self._captions = functools.lru_cache(maxsize=2)(CaptionPainter)

    def draw(self, live_frame: LiveFrame, size: tuple[int, int] | None = None) -> Image:
        """Draw a wall.

        Args:
            live_frame: A frame with tiles.
            size: (width, height) of the result in pixels, both even; None for `CANVAS`.

        Returns:
            A fresh image, black where no tile lies.
        """
        state, settings = live_frame.state, live_frame.state.view.overlay
        canvas = black_like(blank_image(*(size or CANVAS), _FORMAT, _TAGS))
        planes = planes_of(canvas)
        words = {tile.stream: words_of(state, tile.stream) for tile in live_frame.tiles}
        bare = dataclasses.replace(settings, caption="")  # once, below all tiles
        for tile, place in zip(live_frame.tiles, places_of(live_frame, size), strict=True):
            bars = self._bars(place.text, place.bar, coding_of(canvas))
            said = words[tile.stream]
            if tile.frame is None:
                _fill(planes, place)
                middle = place.top + (place.bar + place.height) // 4 * 2
                for sprite, offset in bars.render(dataclasses.replace(said, name=""), place.width):
                    sprite.blend(planes, place.left + offset // 4 * 2, middle)
                said = dataclasses.replace(said, status="")
            for sprite, offset in bars.render(said, place.width):
                sprite.blend(planes, place.left + offset, place.top)
            if tile.frame is not None:
                if tile.stream not in self._tiles:
                    self._tiles[tile.stream] = _TileDrawer(self._make_drawer())
                image = self._tiles[tile.stream].draw(tile, tile.frame, bare, (place.width, place.height))
                _paste(planes_of(image), planes, place)
        self._captions(settings.caption, settings.label_size).draw(canvas)
        return canvas


def places_of(live_frame: LiveFrame, size: tuple[int, int] | None = None) -> list[TilePlace]:
    """Return where the tiles of a wall lie on a canvas; arguments as for `WallPainter.draw`."""
    frames = [tile.frame for tile in live_frame.tiles]
    shapes = [None if frame is None else (frame.image.width, frame.image.height) for frame in frames]
    return lay_out(shapes, size or CANVAS)


def _fill(planes: tuple[PlaneArray, ...], place: TilePlace) -> None:
    """Make the place of a tile without an image gray."""
    bottom, right = place.top + place.bar + place.height, place.left + place.width
    planes[0][place.top + place.bar : bottom, place.left : right] = _EMPTY_LUMA


def _paste(image: tuple[PlaneArray, ...], planes: tuple[PlaneArray, ...], place: TilePlace) -> None:
    """Copy the planes of an image in 4:2:0 onto those of a canvas."""
    for number, (source, target) in enumerate(zip(image, planes, strict=True)):
        step = 1 if number == 0 else 2
        top, left = (place.top + place.bar) // step, place.left // step
        target[top : top + source.shape[0], left : left + source.shape[1]] = source


class _TileDrawer:
    """Draws the frames of one stream, and keeps the last image."""

    def __init__(self, draw: DrawTile) -> None:
        self._draw = draw
        self._resampler = Resampler()
        self._key: tuple[Frame, StabilizedFrame | None] | None = None
        self._look: tuple[OverlaySettings, tuple[int, int]] | None = None
        self._image: Image | None = None

    def draw(self, tile: Tile, frame: Frame, settings: OverlaySettings, size: tuple[int, int]) -> Image:
        """Draw a frame in the coding of walls."""
        is_same = self._key is not None and self._key[0] is frame and self._key[1] is tile.heat
        if self._image is None or not is_same or self._look != (settings, size):
            self._key, self._look = (frame, tile.heat), (settings, size)
            drawn = self._draw(frame, tile.heat, settings, size)
            planar = self._resampler.to_planar(drawn, _FORMAT)
            self._image = self._resampler.to_coding(planar, _coding(), _TAGS, (drawn.width, drawn.height))
        return self._image


@functools.cache
def _coding() -> YuvCoding:
    return coding_of(blank_image(2, 2, _FORMAT, _TAGS))


class _BarRenderer:
    """Renders the words above tiles of one size of text, and keeps them."""

    def __init__(self, text: int, height: int, coding: YuvCoding) -> None:
        self._text = text
        self._height = height
        self._coding = coding
        self._book = FontBook(text)

    @cached_method(maxsize=128)
    def render(self, words: TileWords, width: int) -> tuple[tuple[Sprite, int], ...]:
        """Draw name and state; return what fits, each with its distance from the tile's left edge."""
        margin = self._text // 2
        status = self._book.truncate(words.status, 0.7 * width)
        status_width = self._measure(status)
        placed = []
        if status and status_width + margin <= width:
            offset = 2 * ((width - status_width) // 2)
            color = _TROUBLE if words.is_trouble else _STATUS
            placed.append((self._sprite(status, status_width, color), offset))
        room = width - status_width - 2 * margin
        name = self._book.truncate(words.name, room)
        if name and self._measure(name) <= room:
            placed.append((self._sprite(name, self._measure(name), _NAME), 2))
        return tuple(placed)

    def _measure(self, text: str) -> int:
        return 2 * (int(self._book.measure(text) + 3) // 2) if text else 0

    def _sprite(self, text: str, width: int, color: Rgb) -> Sprite:
        rendered = self._book.render(text)
        canvas = Canvas(width, self._height)
        # Capitals, which are 0.7 em high, are centered.
        baseline = round((self._height + 0.7 * self._text) / 2)
        canvas.stamp(rendered.mask, -self._book.overhang, baseline - rendered.ascent, color)
        return canvas.to_sprite(_FORMAT, self._coding)
