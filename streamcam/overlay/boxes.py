"""Boxes, mask contours and labels of detected objects, drawn directly on planar YUV."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from streamcam.explanations import Instance
from streamcam.media.images import Image, PlaneArray, YuvCoding, coding_of, planes_of
from streamcam.overlay.layouts import Rectangle
from streamcam.overlay.lines import draw_lines
from streamcam.overlay.sprites import Rgb
from streamcam.overlay.tags import TagRenderer

PLAIN_COLOR: Rgb = (222, 226, 232)
"""Color of objects of classes that are not explained."""

_SHADOW = 0.35
"""Share of brightness that remains beside a line, so that it stands out from any background."""

_MOST_STEPS = 8
"""How many labels below each other are tried where boxes lie on each other."""

_MAX_CONTOUR_CELLS = 256
"""Masks are resized to at most this many cells along a side before their contour is traced."""


@dataclasses.dataclass(frozen=True, slots=True)
class ColoredInstance:
    """An object and the color to draw it in."""

    instance: Instance
    color: Rgb
    figure: str
    """Its score, or another figure, written behind its name."""


@dataclasses.dataclass(frozen=True, slots=True)
class _PixelBox:
    """A box in pixels, its edges even; it may reach beyond the image."""

    left: int
    top: int
    right: int
    bottom: int

    def grow(self, by: int) -> _PixelBox:
        return _PixelBox(self.left - by, self.top - by, self.right + by, self.bottom + by)


class _BoxRenderer:
    """Draws boxes on images of one size and coding, and caches the sprites of their labels."""

    def __init__(
        self, label_size: float, width: int, height: int, pixel_format: str, coding: YuvCoding
    ) -> None:
        self.width = width
        self.height = height
        short_side = min(width, height)
        self.thickness = max(2, 2 * round(0.002 * short_side))
        self.shadow = max(1, self.thickness // 2)
        self.tags = TagRenderer(label_size, width, height, pixel_format, coding)

    def place(self, box: tuple[float, float, float, float]) -> _PixelBox | None:
        """Convert a box to pixels; None if it has no area, is not finite, or lies outside the image."""
        if not all(map(math.isfinite, box)):
            return None
        # Far outside the image only the side matters, and coordinates stay small.
        left, top, right, bottom = (min(max(edge, -1.0), 2.0) for edge in box)
        if left >= right or top >= bottom or right <= 0 or bottom <= 0 or left >= 1 or top >= 1:
            return None
        return _PixelBox(
            2 * math.floor(left * self.width / 2),
            2 * math.floor(top * self.height / 2),
            2 * math.ceil(right * self.width / 2),
            2 * math.ceil(bottom * self.height / 2),
        )

    def draw_outline(self, planes: Sequence[PlaneArray], box: _PixelBox, color: Rgb) -> None:
        """Draw the outline of a box, with a shadow on both sides."""
        black = self.tags.encode_color((0, 0, 0))[0]
        for part in self._edges(box.grow(self.shadow), self.thickness + 2 * self.shadow):
            darkened = planes[0][part]
            darkened[:] = black + (darkened - np.float32(black)) * np.float32(_SHADOW)
        for part in self._edges(box, self.thickness):
            for plane, value in zip(planes, self.tags.encode_color(color), strict=True):
                plane[self._scale(part, plane)] = value

    def _edges(self, box: _PixelBox, thickness: int) -> list[tuple[slice, slice]]:
        """Return the rows and columns of a box's four edges inside the image, without overlap."""
        inner_top = min(box.top + thickness, box.bottom)
        inner_bottom = max(box.bottom - thickness, inner_top)
        inner_left = min(box.left + thickness, box.right)
        inner_right = max(box.right - thickness, inner_left)
        return [
            (_clip(rows, self.height), _clip(columns, self.width))
            for rows, columns in (
                ((box.top, inner_top), (box.left, box.right)),
                ((inner_bottom, box.bottom), (box.left, box.right)),
                ((inner_top, inner_bottom), (box.left, inner_left)),
                ((inner_top, inner_bottom), (inner_right, box.right)),
            )
        ]

    def _scale(self, part: tuple[slice, slice], plane: PlaneArray) -> tuple[slice, slice]:
        """Convert rows and columns of the image, starting at even ones, to those of a plane."""
        row_step = 1 if plane.shape[0] == self.height else 2
        column_step = 1 if plane.shape[1] == self.width else 2
        rows, columns = part
        return (
            slice(rows.start // row_step, -(-rows.stop // row_step)),
            slice(columns.start // column_step, -(-columns.stop // column_step)),
        )

    def draw_contour(
        self, planes: Sequence[PlaneArray], instance: Instance, mask: NDArray[np.bool_], color: Rgb
    ) -> None:
        """Draw the contour of an object's mask, with a shadow on both sides."""
        left, top, right, bottom = instance.box
        width, height = (right - left) * self.width, (bottom - top) * self.height
        size = tuple(min(_MAX_CONTOUR_CELLS, max(1, round(side))) for side in (width, height))
        smooth = cv2.resize(mask.astype(np.uint8) * 255, size, interpolation=cv2.INTER_LINEAR)
        contours, _ = cv2.findContours((smooth > 127).view(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        step = np.array([width / size[0], height / size[1]])
        lines = [(contour + 0.5) * step + (left * self.width, top * self.height) for contour in contours]
        dark = self.tags.encode_color((0, 0, 0))
        draw_lines(planes[0], lines, (1, 1), dark[0], self.thickness + 2 * self.shadow)
        for plane, value in zip(planes, self.tags.encode_color(color), strict=True):
            steps = (
                1 if plane.shape[1] == self.width else 2,
                1 if plane.shape[0] == self.height else 2,
            )
            draw_lines(plane, lines, steps, value, max(1, self.thickness // min(steps)))

    def draw_label(
        self,
        planes: Sequence[PlaneArray],
        box: _PixelBox,
        colored: ColoredInstance,
        taken: Sequence[Rectangle],
    ) -> Rectangle | None:
        """Draw class, track and figure above a box, or inside it at the image's upper edge.

        Args:
            planes: Those of the image.
            box: The box.
            colored: What it is around.
            taken: Where else something is written: the label lies below or inside the box then, or beside it.

        Returns:
            Where it was drawn; None if it does not fit into the image.
        """
        instance = colored.instance
        name = instance.label if instance.track_id is None else f"{instance.label} #{instance.track_id}"
        room = self.width - self.width % 2
        score = self.tags.render(colored.figure, colored.color, room)
        left_over = room - (0 if score is None else score.planes[0].keep.shape[1])
        label = self.tags.render(name, colored.color, left_over)
        tags = [tag for tag in (label, score) if tag is not None]
        height = self.tags.height
        if not tags or height > self.height - self.height % 2:
            return None
        width = sum(tag.planes[0].keep.shape[1] for tag in tags)
        places = list(self._label_places(box, width, room))
        place = next((one for one in places if not any(map(one.overlaps, taken))), places[0])
        left = place.left
        for tag in tags:
            tag.blend(planes, left, place.top)
            left += tag.planes[0].keep.shape[1]
        return place

    def _label_places(self, box: _PixelBox, width: int, room: int) -> Iterator[Rectangle]:
        """Yield where a label of some width may lie, the best place first; all are inside the image."""
        height = self.tags.height
        lowest = self.height - self.height % 2 - height
        left, right = (min(max(edge, 0), room - width) for edge in (box.left, box.right - width))
        above = box.top - height if box.top >= height else max(box.top, 0)
        for top in (above, box.top, box.bottom, box.bottom - height):
            for edge in (left, right):
                yield Rectangle(edge, min(max(top, 0), lowest), width, height)
        for step in range(1, _MOST_STEPS):  # where many boxes lie on each other
            yield Rectangle(left, min(max(above, 0) + step * height, lowest), width, height)
        for edge in (box.right, box.left - width):
            yield Rectangle(min(max(edge, 0), room - width), min(max(box.top, 0), lowest), width, height)


class BoxPainter:
    """Draws detected objects onto images. Not thread-safe."""

    def __init__(self, label_size: float = 1.0) -> None:
        """Create a painter; nothing is measured before the first image.

        Args:
            label_size: Factor on the usual size of text.
        """
        self._missing: dict[str, None] = {}
        self._renderer = functools.lru_cache(maxsize=2)(functools.partial(_BoxRenderer, label_size))

    @property
    def missing(self) -> tuple[str, ...]:
        """The characters so far that no font of this system has, in order of appearance."""
        return tuple(self._missing)

    def draw(
        self, image: Image, instances: Sequence[ColoredInstance], taken: list[Rectangle] | None = None
    ) -> None:
        """Draw objects onto an image, in place.

        Each gets the outline of its box, the contour of its mask if it has one, and a label with its figure;
        a region gets its contour alone.
        Everything is clipped at the image's edges; a box that reaches beyond an edge stays open there.

        Args:
            image: A fresh image of any size, in one of `streamcam.media.images.PLANAR_FORMATS`.
            instances: The objects; later ones are drawn over earlier ones.
            taken: Where something is written, which labels keep off; theirs are added to it.
        """
        taken = [] if taken is None else taken
        if not instances:
            return
        renderer = self._renderer(image.width, image.height, image.format.name, coding_of(image))
        planes = planes_of(image)
        placed = [(colored, renderer.place(colored.instance.box)) for colored in instances]
        visible = [(colored, box) for colored, box in placed if box is not None]
        for colored, box in visible:
            mask = colored.instance.mask
            if mask is not None and mask.size:
                renderer.draw_contour(planes, colored.instance, mask, colored.color)
            if not colored.instance.is_region:
                renderer.draw_outline(planes, box, colored.color)
        # Above all boxes, so that each can be read.
        for colored, box in visible:
            if not colored.instance.is_region:
                place = renderer.draw_label(planes, box, colored, taken)
                taken += [] if place is None else [place]
        self._missing.update(dict.fromkeys(renderer.tags.book.missing))


def _clip(extent: tuple[int, int], length: int) -> slice:
    start = min(max(extent[0], 0), length)
    return slice(start, max(start, min(extent[1], length)))
