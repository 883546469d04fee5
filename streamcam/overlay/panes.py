"""The overlay stage of several explanations of each frame: named panes, and the original, side by side."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from fractions import Fraction

from streamcam.caching import cached_method
from streamcam.errors import InvalidArgumentError
from streamcam.explanations import StabilizedFrame
from streamcam.frames import Frame
from streamcam.media.images import Image, YuvCoding, coding_of, planes_of
from streamcam.media.scaling import Resampler
from streamcam.overlay.caption import CaptionPainter
from streamcam.overlay.fonts import FontBook, note_missing
from streamcam.overlay.layouts import LAYOUTS, Rectangle, assemble
from streamcam.overlay.overlay import Overlay
from streamcam.overlay.settings import OverlaySettings
from streamcam.overlay.sprites import Canvas, Rgb, Sprite
from streamcam.panes import PaneGrid

ORIGINAL = "original"
"""Name of the pane without heat."""

_SHAPE = (16, 9)
"""The shape of screens, in which panes are to be as large as possible."""

_FEW = 3
"""Up to this many panes, the original included, lie in one row or column."""

_SHORTEST_SIDE = 180
"""Panes are no smaller than this by default, in pixels, so that their labels can be read."""

_LARGEST = (8192, 8192)
"""The largest canvas, in pixels; players and encoders take no more."""

_SHRINK = 0.97
"""Panes are made smaller in steps of this factor until their names fit above them."""

_TEXT: Rgb = (235, 238, 242)


@dataclasses.dataclass(frozen=True, slots=True)
class PaneLayout:
    """Where the panes of a comparison lie on a canvas. All lengths are even numbers of pixels."""

    pane: tuple[int, int]
    """Width and height of a pane."""
    columns: int
    rows: int
    caption: int
    """Height of the names above the panes."""
    gap: int
    """Distance between two panes."""
    left: int = 0
    """Column of the first pane."""
    top: int = 0
    """Row of the first name."""
    missing: int = 0
    """How many panes fewer than the others the last row has; it is centered."""

    @property
    def canvas(self) -> tuple[int, int]:
        """Width and height that all panes take."""
        width = self.columns * (self.pane[0] + self.gap) - self.gap
        return width, self.rows * (self.caption + self.pane[1] + self.gap) - self.gap

    def place(self, row: int, column: int) -> Rectangle:
        """Return where a pane's image lies; its name is above it."""
        left = self.left + column * (self.pane[0] + self.gap)
        if row == self.rows - 1:
            left += 2 * (self.missing * (self.pane[0] + self.gap) // 4)
        top = self.top + row * (self.caption + self.pane[1] + self.gap) + self.caption
        return Rectangle(left, top, *self.pane)

    @classmethod
    def of_pane(cls, width: float, height: float, columns: int, rows: int) -> PaneLayout:
        """Lay out panes of about a size.

        Args:
            width: Width of a pane in pixels.
            height: Height of a pane in pixels.
            columns: Number of panes in a row.
            rows: Number of rows.
        """
        pane = max(2, _even(width)), max(2, _even(height))
        text = _text_size(pane)
        return cls(pane, columns, rows, _even(1.6 * text), max(2, _even(0.3 * text)))


def lay_out(image: tuple[int, int], grid: PaneGrid, canvas: tuple[int, int] | None = None) -> PaneLayout:
    """Lay out the panes of a comparison, with an original before those of each row.

    Args:
        image: Size of the frames, (width, height) in pixels.
        grid: How the panes lie.
        canvas: Size of the canvas in pixels, into which they are fitted; if None, the panes together have
            about as many pixels as a frame, and none is too small for its labels.

    Raises:
        InvalidArgumentError: if they need a larger canvas than there can be.
    """
    columns, rows = _table(image, grid)
    missing = columns * rows - (grid.panes + grid.rows)
    if canvas is not None:
        return dataclasses.replace(_fit(image, columns, rows, canvas), missing=missing)
    scale = max(math.sqrt(1 / (columns * rows)), _SHORTEST_SIDE / min(image))
    layout = PaneLayout.of_pane(scale * image[0], scale * image[1], columns, rows)
    if layout.canvas[0] > _LARGEST[0] or layout.canvas[1] > _LARGEST[1]:
        raise InvalidArgumentError(
            f"{columns * rows} panes of {layout.pane[0]}x{layout.pane[1]} pixels do not fit into an image of "
            f"{_LARGEST[0]}x{_LARGEST[1]}; compare fewer at once"
        )
    return dataclasses.replace(layout, missing=missing)


def _fit(image: tuple[int, int], columns: int, rows: int, canvas: tuple[int, int]) -> PaneLayout:
    """Fit panes into a canvas, with their names unless these would take more than the panes."""
    scale = min(canvas[0] / columns / image[0], canvas[1] / rows / image[1])
    pane = (scale * image[0], scale * image[1])
    bare = PaneLayout((_even_down(pane[0]), _even_down(pane[1])), columns, rows, 0, 0)
    layout = PaneLayout.of_pane(*pane, columns, rows)
    while layout.canvas[0] > canvas[0] or layout.canvas[1] > canvas[1]:
        pane = (_SHRINK * pane[0], _SHRINK * pane[1])
        layout = PaneLayout.of_pane(*pane, columns, rows)
        if layout.pane[1] < layout.caption:
            layout = bare
            break
    left, top = (max(0, 2 * ((canvas[side] - layout.canvas[side]) // 4)) for side in (0, 1))
    return dataclasses.replace(layout, left=left, top=top)


def _table(image: tuple[int, int], grid: PaneGrid) -> tuple[int, int]:
    """Return how many columns and rows of panes there are, originals included."""
    if grid.columns is not None:
        return grid.columns + 1, grid.rows
    cells = grid.panes + 1
    # With so few, an empty cell is a large part of the image.
    widths = (1, cells) if cells <= _FEW else range(1, cells + 1)
    shapes = [(columns, math.ceil(cells / columns)) for columns in widths]
    return max(
        shapes,
        key=lambda shape: (
            min(
                Fraction(side, count * length)
                for side, count, length in zip(_SHAPE, shape, image, strict=True)
            ),
            -shape[0] * shape[1],
            shape[0],
        ),
    )


class PaneOverlay:
    """Draws the panes of a comparison for the frames of one video. Not thread-safe."""

    def __init__(self, grid: PaneGrid, settings: OverlaySettings | None = None) -> None:
        """Check and apply the settings.

        Args:
            grid: How the panes lie.
            settings: What to draw in each; the defaults if None.

        Raises:
            InvalidArgumentError: if a setting cannot be used.
        """
        settings = settings or OverlaySettings()
        self._grid = grid
        self._words = CaptionPainter(settings.caption, settings.label_size)
        settings = dataclasses.replace(settings, caption="")  # once, below all panes
        self._panes = Overlay(dataclasses.replace(settings, labels=settings.labels and grid.lists_labels))
        if len(LAYOUTS[settings.layout]) > 1:
            raise InvalidArgumentError(
                f"layout {settings.layout!r} has several images of a frame; each pane has one, and the "
                "original is a pane of its own"
            )
        bare = dataclasses.replace(settings, layout="original")
        listed = not grid.lists_labels
        self._originals = Overlay(
            dataclasses.replace(bare, labels=settings.labels and listed, boxes=settings.boxes and listed),
            annotates_all=True,
        )
        self._resampler = Resampler()
        self._captions = functools.lru_cache(maxsize=2)(_CaptionRenderer)

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the user about the frames drawn so far, one sentence each."""
        words = note_missing(self._words.missing)
        return tuple(dict.fromkeys((*self._panes.notes, *self._originals.notes, *words)))

    def measure(self, width: int, height: int) -> tuple[int, int]:
        """Return the size of the image that `draw` makes of a frame.

        Args:
            width: Width of the frame in pixels.
            height: Height of the frame in pixels.

        Returns:
            (width, height) in pixels.

        Raises:
            InvalidArgumentError: if there can be no image of that size.
        """
        return lay_out((width, height), self._grid).canvas

    def draw(self, drawn: StabilizedFrame | Frame, size: tuple[int, int] | None = None) -> Image:
        """Draw every pane, its name above it.

        Args:
            drawn: The frame with everything to draw in the first pane, and in the others; or a frame that has
                no heat.
            size: (width, height) of the result in pixels, both even; None for what `measure` returns.

        Returns:
            A fresh image, black where no pane lies; the frame is not changed.
        """
        frame = drawn.frame if isinstance(drawn, StabilizedFrame) else drawn
        layout = lay_out((frame.image.width, frame.image.height), self._grid, size)
        small = dataclasses.replace(frame, image=self._resampler.to_size(frame.image, *layout.pane))
        cells: list[tuple[Rectangle, Image, str]] = []
        if isinstance(drawn, StabilizedFrame):
            panes = [dataclasses.replace(pane, frame=small) for pane in (drawn, *drawn.others)]
            for number, pane in enumerate(panes):
                row, column = divmod(number, self._grid.columns or len(panes))
                if column == 0:
                    original = self._originals.draw(dataclasses.replace(pane, localization=None))
                    cells.append((self._place(layout, row, 0), original, ORIGINAL))
                image = self._panes.draw(pane)
                cells.append((self._place(layout, row, column + 1), image, pane.explanation.pane))
        else:
            cells.append((layout.place(0, 0), self._originals.draw(small), ORIGINAL))
        rectangles, images = [cell[0] for cell in cells], [cell[1] for cell in cells]
        canvas = assemble(images, rectangles, size or layout.canvas)
        self._draw_captions(canvas, layout, [(rectangle, name) for rectangle, _, name in cells])
        self._words.draw(canvas)
        return canvas

    def _place(self, layout: PaneLayout, row: int, column: int) -> Rectangle:
        """Return where a pane lies, given its row and column; panes of no table fill the rows."""
        if self._grid.columns is None:
            row, column = divmod(column, layout.columns)
        return layout.place(row, column)

    def _draw_captions(
        self, canvas: Image, layout: PaneLayout, captions: Sequence[tuple[Rectangle, str]]
    ) -> None:
        if not layout.caption:
            return
        renderer = self._captions(layout, canvas.format.name, coding_of(canvas))
        planes = planes_of(canvas)
        for rectangle, name in captions:
            sprite = renderer.render(name)
            if sprite is not None:
                sprite.blend(planes, rectangle.left, rectangle.top - layout.caption)


class _CaptionRenderer:
    """Renders the names of panes of one size, and keeps them."""

    def __init__(self, layout: PaneLayout, pixel_format: str, coding: YuvCoding) -> None:
        self._layout = layout
        self._size_px = _text_size(layout.pane)
        self._book = FontBook(self._size_px)
        self._pixel_format = pixel_format
        self._coding = coding

    @cached_method(maxsize=128)
    def render(self, name: str) -> Sprite | None:
        """Draw a name; None if not even one letter fits above a pane."""
        width, height, left = self._layout.pane[0], self._layout.caption, self._layout.gap
        name = self._book.truncate(name, width - left)
        if not name or self._book.measure(name) > width - left:
            return None
        text = self._book.render(name)
        canvas = Canvas(width, height)
        # Capitals, which are 0.7 em high, are centered.
        baseline = round((height + 0.7 * self._size_px) / 2)
        canvas.stamp(text.mask, left - self._book.overhang, baseline - text.ascent, _TEXT)
        return canvas.to_sprite(self._pixel_format, self._coding)


def _text_size(pane: tuple[int, int]) -> int:
    """Return the size of the names above panes of a size, in pixels."""
    return min(max(round(0.05 * min(pane)), 12), 40)


def _even(length: float) -> int:
    return 2 * round(length / 2)


def _even_down(length: float) -> int:
    return max(2, 2 * int(length / 2))
