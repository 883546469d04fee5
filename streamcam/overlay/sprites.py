"""Sprites: small images with transparency, drawn once in RGB and blended many times into planar YUV."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from streamcam.frames import FloatArray
from streamcam.media.images import DEEP, ByteArray, PlaneArray, YuvCoding, chroma_of, has_alpha

Rgb = tuple[int, int, int]

_OPAQUE = 256  # fixed point whose products with a byte just fit 16 bits

_COLOR_PLANES = 3

_CHROMA_STEPS = {"420": (2, 2), "422": (2, 1), "444": (1, 1)}
"""Chroma subsampling → how many columns and rows of pixels share one chroma sample."""

_SHAPE_SCALE = 8  # shapes are drawn larger by this factor and averaged down


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class SpritePlane:
    """One plane of a sprite, in 1/256 of a code value: a pixel becomes ``(pixel * keep + add) >> 8``."""

    keep: NDArray[np.uint16] | NDArray[np.uint32]
    """How much of the image shows through, 0 to 256, (h, w)."""
    add: NDArray[np.uint16] | NDArray[np.uint32]
    """The sprite's premultiplied value, plus the half that makes the shift round, (h, w)."""
    step: tuple[int, int]
    """How many columns and rows of pixels share one sample."""


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Sprite:
    """A small image with transparency, in the format and coding of the images it is blended into."""

    planes: tuple[SpritePlane, ...]
    """Y, Cb and Cr, and alpha for images that have it."""

    def blend(self, planes: Sequence[PlaneArray], left: int, top: int) -> None:
        """Draw the sprite onto an image, in place.

        Args:
            planes: The image's planes (`streamcam.media.images.planes_of`), with the sprite wholly inside.
            left: Column of the sprite's left edge in pixels, even.
            top: Row of its upper edge in pixels, even.
        """
        *colors, last = below = [
            _part_below(plane, sprite, left, top) for plane, sprite in zip(planes, self.planes, strict=True)
        ]
        if len(below) > _COLOR_PLANES:
            self._blend_colors(colors, last)
            below = [last]
        for part, sprite in zip(below, self.planes[-len(below) :], strict=True):
            mixed = part * sprite.keep
            mixed += sprite.add
            np.right_shift(mixed, 8, out=part, casting="unsafe")

    def _blend_colors(self, below: Sequence[PlaneArray], alpha: PlaneArray) -> None:
        """Blend the colors onto an image that is transparent in parts: hidden colors do not shine through.

        The image's share of the result is that of its alpha (Porter and Duff, Compositing digital images,
        1984, "over").
        """
        highest = np.iinfo(alpha.dtype).max if alpha.itemsize == 1 else (1 << DEEP) - 1
        opacity = alpha.astype(np.float32) / highest
        for part, sprite in zip(below, self.planes[:-1], strict=True):
            keep = sprite.keep.astype(np.float32) / _OPAQUE
            share = keep * cv2.resize(opacity, part.shape[::-1], interpolation=cv2.INTER_AREA)
            added = (sprite.add - np.float32(_OPAQUE / 2)) / _OPAQUE
            whole = 1 - keep + share
            mixed = (added + share * part) / np.maximum(whole, np.float32(1e-6))
            part[:] = np.where(whole > 0, np.rint(mixed), part).clip(0, highest)


def _part_below(plane: PlaneArray, sprite: SpritePlane, left: int, top: int) -> PlaneArray:
    """View the part of an image's plane that lies below a sprite."""
    column, row = left // sprite.step[0], top // sprite.step[1]
    height, width = sprite.keep.shape
    return plane[row : row + height, column : column + width]


class Canvas:
    """An RGB drawing with transparency, to be turned into a `Sprite`."""

    def __init__(self, width: int, height: int) -> None:
        """Create a transparent canvas.

        Args:
            width: Width in pixels, even.
            height: Height in pixels, even.
        """
        self.width = width
        self.height = height
        # Red, green and blue premultiplied by the opacity, then the opacity; all 0 to 255. Compositing is
        # then the same sum for all four, and so is averaging them for the chroma.
        self._pixels = np.zeros((height, width, 4), np.float32)

    def stamp(self, mask: ByteArray, left: int, top: int, color: Rgb, *, opacity: float = 1.0) -> None:
        """Draw a color through a mask; parts outside the canvas are clipped.

        Args:
            mask: Coverage, uint8 (h, w), 255 where the color covers a pixel fully.
            left: Column of the mask's left edge.
            top: Row of its upper edge.
            color: RGB color, 0 to 255.
            opacity: Opacity of the color, 0 to 1.
        """
        mask = mask[max(0, -top) : max(0, self.height - top), max(0, -left) : max(0, self.width - left)]
        left, top = max(0, left), max(0, top)
        below = self._pixels[top : top + mask.shape[0], left : left + mask.shape[1]]
        cover = (mask * np.float32(opacity / 255))[..., None]
        below += cover * (np.array([*color, 255], np.float32) - below)

    def fill(self, left: int, top: int, width: int, height: int, color: Rgb) -> None:
        """Fill a rectangle that lies inside the canvas."""
        self._pixels[top : top + height, left : left + width] = (*color, 255)

    def to_sprite(self, pixel_format: str, coding: YuvCoding) -> Sprite:
        """Convert the canvas to planar YUV; chroma is averaged in proportion to the opacity."""
        opacity = self._pixels[..., 3]
        yuv = self._to_hdr(coding) if coding.hdr else self._to_yuv(coding)
        chroma_step = _CHROMA_STEPS[chroma_of(pixel_format)]
        planes = [
            _sprite_plane(np.asarray(yuv[..., channel]), opacity, step, coding.highest)
            for channel, step in enumerate(((1, 1), chroma_step, chroma_step))
        ]
        if has_alpha(pixel_format):
            value = opacity * np.float32(coding.highest / 255)
            planes.append(_sprite_plane(value, opacity, (1, 1), coding.highest))
        return Sprite(tuple(planes))

    def _to_yuv(self, coding: YuvCoding) -> FloatArray:
        return np.asarray(cv2.transform(self._pixels, _yuv_from_premultiplied(coding)), np.float32)

    def _to_hdr(self, coding: YuvCoding) -> FloatArray:
        """Convert to HDR code values, for which a matrix does not suffice."""
        share = self._pixels[..., 3:] / 255
        colors = self._pixels[..., :3] / np.maximum(share, np.float32(1e-6))
        return np.asarray(coding.encode_rgb(colors) * share, np.float32)


@functools.lru_cache(maxsize=16)
def _yuv_from_premultiplied(coding: YuvCoding) -> FloatArray:
    """Return the matrix from premultiplied RGB and opacity to premultiplied YUV, float32 (3, 4)."""
    black = coding.encode_rgb(np.zeros(3, np.float32))
    primaries = coding.encode_rgb(np.eye(3, dtype=np.float32) * 255)
    return (np.stack([*(primaries - black), black], axis=1) / 255).astype(np.float32)


def _sprite_plane(value: FloatArray, opacity: FloatArray, step: tuple[int, int], highest: int) -> SpritePlane:
    size = (value.shape[1] // step[0], value.shape[0] // step[1])
    value = np.asarray(cv2.resize(value, size, interpolation=cv2.INTER_AREA), np.float32)
    opacity = np.asarray(cv2.resize(opacity, size, interpolation=cv2.INTER_AREA), np.float32)
    keep = _OPAQUE - np.rint(opacity * (_OPAQUE / 255))
    # The upper bound only removes a rounding error, where white lies over white.
    add = np.clip(np.rint(value * _OPAQUE + _OPAQUE / 2), 0, _OPAQUE * (highest + 1) - 1 - highest * keep)
    dtype = np.uint16 if highest == 255 else np.uint32
    return SpritePlane(keep.astype(dtype), add.astype(dtype), step)


# --- Shapes to stamp on a canvas -------------------------------------------------------------------


def draw_triangle(side: int) -> ByteArray:
    """Draw a triangle that points right: uint8 (side, side)."""
    large = Image.new("L", (side * _SHAPE_SCALE, side * _SHAPE_SCALE))
    end = side * _SHAPE_SCALE - 1
    ImageDraw.Draw(large).polygon([(0, 0), (round(0.87 * end), end / 2), (0, end)], fill=255)
    return np.asarray(large.reduce(_SHAPE_SCALE))


def draw_rounded_rectangle(width: int, height: int, radius: int) -> ByteArray:
    """Draw a rectangle with round corners: uint8 (height, width).

    Args:
        width: Width in pixels, at least twice the radius.
        height: Height in pixels, at least twice the radius.
        radius: Radius of the corners in pixels, above 0.
    """
    large = Image.new("L", (radius * _SHAPE_SCALE, radius * _SHAPE_SCALE))
    diameter = 2 * radius * _SHAPE_SCALE
    ImageDraw.Draw(large).ellipse((0, 0, diameter - 1, diameter - 1), fill=255)
    corner = np.asarray(large.reduce(_SHAPE_SCALE))
    mask = np.full((height, width), 255, np.uint8)
    mask[:radius, :radius] = corner
    mask[:radius, -radius:] = corner[:, ::-1]
    mask[-radius:] = mask[:radius][::-1]
    return mask
