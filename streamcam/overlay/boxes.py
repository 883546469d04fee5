"""Boxes, mask contours and labels of detected objects, drawn directly on planar YUV."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streamcam.caching import cached_method
from streamcam.explanations import Instance
from streamcam.media.images import Image, PlaneArray, YuvCoding, coding_of, planes_of
from streamcam.overlay.fonts import FontBook, RenderedText
from streamcam.overlay.label_panel import format_percentage
from streamcam.overlay.sprites import Canvas, Rgb, Sprite

PLAIN_COLOR: Rgb = (222, 226, 232)
"""Color of objects of classes that are not explained."""

_DARK_TEXT: Rgb = (12, 14, 18)
_LIGHT_TEXT: Rgb = (255, 255, 255)
_LIGHT_COLOR = 140.0
"""Colors of at least this luma get dark text."""

_SHADOW = 0.35
"""Share of brightness that remains beside a line, so that it stands out from any background."""

_MAX_CONTOUR_CELLS = 256
"""Masks are resized to at most this many cells along a side before their contour is traced."""


@dataclasses.dataclass(frozen=True, slots=True)
class ColoredInstance:
    """An object and the color to draw it in."""

    instance: Instance
    color: Rgb


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

    def __init__(self, width: int, height: int, pixel_format: str, coding: YuvCoding) -> None:
        self.width = width
        self.height = height
        short_side = min(width, height)
        self.thickness = max(2, 2 * round(0.002 * short_side))
        self.shadow = max(1, self.thickness // 2)
        text_size = min(max(round(0.026 * short_side), 10), 52)
        self.book = FontBook(text_size)
        self._padding = _even_up(0.3 * text_size)
        self.tag_height = _even_up(1.3 * text_size)
        self._pixel_format = pixel_format
        self._coding = coding

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
        black = self.encode_color((0, 0, 0))[0]
        for part in self._edges(box.grow(self.shadow), self.thickness + 2 * self.shadow):
            darkened = planes[0][part]
            darkened[:] = black + (darkened - np.float32(black)) * np.float32(_SHADOW)
        for part in self._edges(box, self.thickness):
            for plane, value in zip(planes, self.encode_color(color), strict=True):
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
        dark = self.encode_color((0, 0, 0))
        draw_lines(planes[0], lines, (1, 1), dark[0], self.thickness + 2 * self.shadow)
        for plane, value in zip(planes, self.encode_color(color), strict=True):
            steps = (
                1 if plane.shape[1] == self.width else 2,
                1 if plane.shape[0] == self.height else 2,
            )
            draw_lines(plane, lines, steps, value, max(1, self.thickness // min(steps)))

    def draw_label(self, planes: Sequence[PlaneArray], box: _PixelBox, colored: ColoredInstance) -> None:
        """Draw class, track and score above a box, or inside it at the image's upper edge."""
        instance = colored.instance
        name = instance.label if instance.track_id is None else f"{instance.label} #{instance.track_id}"
        room = self.width - self.width % 2
        score = self.render_tag(format_percentage(instance.score), colored.color, room)
        left_over = room - (0 if score is None else score.planes[0].keep.shape[1])
        label = self.render_tag(name, colored.color, left_over)
        tags = [tag for tag in (label, score) if tag is not None]
        height = self.tag_height
        if not tags or height > self.height:
            return
        width = sum(tag.planes[0].keep.shape[1] for tag in tags)
        left = min(max(box.left, 0), room - width)
        top = box.top - height
        if top < 0:
            top = max(box.top, 0)
        top = min(top, self.height - self.height % 2 - height)
        if top < 0:
            return
        for tag in tags:
            tag.blend(planes, left, top)
            left += tag.planes[0].keep.shape[1]

    @cached_method(maxsize=128)
    def render_tag(self, text: str, color: Rgb, room: int) -> Sprite | None:
        """Draw text on a background; None if not even one letter fits into that many columns."""
        text = self.book.truncate(text, room - 2 * self._padding)
        if not text:
            return None
        rendered = self.book.render(text)
        width = _even_up(self.book.measure(text) + 2 * self._padding)
        if width > room:
            return None
        canvas = Canvas(width, self.tag_height)
        canvas.fill(0, 0, width, self.tag_height, color)
        luma = 0.2126 * color[0] + 0.7152 * color[1] + 0.0722 * color[2]
        ink = _DARK_TEXT if luma >= _LIGHT_COLOR else _LIGHT_TEXT
        canvas.stamp(rendered.mask, self._padding - self.book.overhang, self._text_top(rendered), ink)
        return canvas.to_sprite(self._pixel_format, self._coding)

    def _text_top(self, rendered: RenderedText) -> int:
        """Return the row of a text's upper edge that centers its capitals, which are 0.7 em high."""
        baseline = round((self.tag_height + 0.7 * self.book.size_px) / 2)
        return baseline - rendered.ascent

    @cached_method(maxsize=64)
    def encode_color(self, color: Rgb) -> tuple[int, ...]:
        """Return a color's Y, Cb and Cr, in code values."""
        yuv = np.rint(self._coding.encode_rgb(np.array(color, np.float32)))
        values: list[int] = yuv.clip(0, self._coding.highest).astype(int).tolist()
        return tuple(values)


class BoxPainter:
    """Draws detected objects onto images. Not thread-safe."""

    def __init__(self) -> None:
        """Create a painter; nothing is measured before the first image."""
        self._missing: dict[str, None] = {}
        self._renderer = functools.lru_cache(maxsize=2)(_BoxRenderer)

    @property
    def missing(self) -> tuple[str, ...]:
        """The characters so far that no font of this system has, in order of appearance."""
        return tuple(self._missing)

    def draw(self, image: Image, instances: Sequence[ColoredInstance]) -> None:
        """Draw objects onto an image, in place.

        Each gets the outline of its box, the contour of its mask if it has one, and a label with its score;
        a region gets its contour alone.
        Everything is clipped at the image's edges; a box that reaches beyond an edge stays open there.

        Args:
            image: A fresh image of any size, in one of `streamcam.media.images.PLANAR_FORMATS`.
            instances: The objects; later ones are drawn over earlier ones.
        """
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
                renderer.draw_label(planes, box, colored)
        self._missing.update(dict.fromkeys(renderer.book.missing))


def draw_lines(
    plane: PlaneArray,
    lines: Sequence[NDArray[Any]],
    steps: tuple[int, int],
    value: int,
    thickness: int,
) -> None:
    """Draw closed lines, (N, 1, 2) in pixels each, onto a plane with this many pixels per sample, (x, y)."""
    # Lines of a huge box are clipped far outside, where 16ths of a pixel still fit 32 bits.
    points = [np.rint((line.clip(-1e6, 1e6) / steps - 0.5) * 16).astype(np.int32) for line in lines]
    if plane.itemsize == 1:
        cv2.polylines(plane, points, True, (value,), thickness, cv2.LINE_AA, shift=4)
        return
    # OpenCV draws antialiased lines in 8 bits only.
    cover = np.zeros(plane.shape, np.uint8)
    cv2.polylines(cover, points, True, (255,), thickness, cv2.LINE_AA, shift=4)
    where = np.nonzero(cover)
    share = cover[where] / np.float32(255)
    plane[where] = np.rint(plane[where] + share * (np.float32(value) - plane[where]))


def _clip(extent: tuple[int, int], length: int) -> slice:
    start = min(max(extent[0], 0), length)
    return slice(start, max(start, min(extent[1], length)))


def _even_up(length: float) -> int:
    return 2 * math.ceil(length / 2)
