"""One form for decoded images: upright, planar YUV, and one size for all frames of a source."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
from av.video.reformatter import ColorRange
from numpy.typing import NDArray

from streamcam.frames import ColorTags
from streamcam.media.geometry import NO_CROPPING, Cropping
from streamcam.media.images import (
    DEEP,
    PLANAR_FORMATS,
    Image,
    YuvCoding,
    bits_of,
    blank_like,
    chroma_of,
    coding_of,
    planar_format,
    planes_of,
    set_tags,
    tags_of,
)
from streamcam.media.scaling import Resampler
from streamcam.media.side_data import UPRIGHT, Orientation, orientation_of
from streamcam.sources.value_range import ValueRange, float_range, stretch

_FULL_RANGE_NAMES = {f"yuvj{name.removeprefix('yuv')}": name for name in PLANAR_FORMATS}

_SAME_SHAPE_PIXELS = 2
"""Bars are drawn where they would be at least this wide on both sides together."""


def working_format(
    decoded: str, depth: int | None = None, chroma: str | None = None, *, alpha: bool = False
) -> str:
    """Choose the planar pixel format to work with.

    Args:
        decoded: Pixel format of the decoded image.
        depth: Bits of a sample, 8 or 10; if None 10 where the image has more than 8.
        chroma: Chroma subsampling, one of `streamcam.media.images.CHROMAS`; if None the image's own.
        alpha: Whether the image's alpha is kept.
    """
    depth = depth or (8 if bits_of(decoded) <= 8 else DEEP)
    return planar_format(chroma or chroma_of(decoded), depth, alpha=alpha)


def to_upright_planar(
    decoded: Image,
    resampler: Resampler,
    orientation: Orientation | None = None,
    *,
    pixel_format: str | None = None,
    cropping: Cropping = NO_CROPPING,
) -> Image:
    """Convert a decoded image to upright planar YUV, without writing to it.

    Args:
        decoded: Image as it was decoded.
        resampler: Converts the pixel format.
        orientation: How to rotate it, where that is known already.
        pixel_format: Format to convert to, one of `PLANAR_FORMATS` or of `LAYERED_FORMATS`; if None the
            choice of `working_format`.
        cropping: The edges that are cut off before it is rotated.

    Returns:
        Planar image, full range marked by its tag; the decoded image itself where nothing had to be done.
    """
    image = decoded
    orientation = orientation_of(decoded) if orientation is None else orientation
    if image.format.name in _FULL_RANGE_NAMES:
        image = _retag_full_range(image)
    image = cropping.apply(resampler.to_format(image, pixel_format or working_format(image.format.name)))
    return image if orientation == UPRIGHT else _rotate(image, orientation)


def gray_values(decoded: Image, resampler: Resampler) -> tuple[NDArray[Any], ValueRange | None] | None:
    """Read the values of a gray image of more than 8 bits a sample, and the ends of what they could be.

    Returns:
        None for other images.
    """
    name = decoded.format.name
    if not name.startswith("gray") or bits_of(name) == 8:
        return None
    if name.startswith("grayf"):
        floats = resampler.to_format(decoded, "grayf32le")
        plane = floats.planes[0]
        rows = np.frombuffer(memoryview(plane), np.float32).reshape(-1, plane.line_size // 4)
        values = rows[: decoded.height, : decoded.width]
        return values, float_range(values)
    native = resampler.to_format(decoded, f"{name.removesuffix('be').removesuffix('le')}le")
    return planes_of(native)[0], (0, (1 << bits_of(name)) - 1)


def stretch_gray(decoded: Image, resampler: Resampler, limits: ValueRange, pixel_format: str) -> Image:
    """Show a range of the values of a gray image as black to white, without writing to it.

    Args:
        decoded: Image for which `gray_values` returns some.
        resampler: Converts the pixel format.
        limits: The values shown as black and as white.
        pixel_format: Format of the result, one of `PLANAR_FORMATS`.

    Returns:
        Planar image of full range.
    """
    found = gray_values(decoded, resampler)
    if found is None:
        return decoded
    fresh = blank_like(decoded, pixel_format=pixel_format)
    set_tags(fresh, dataclasses.replace(tags_of(decoded), color_range=int(ColorRange.JPEG)))
    luma, *chroma = planes_of(fresh)
    highest = (1 << bits_of(pixel_format)) - 1
    luma[:] = stretch(found[0], limits, highest)
    for plane in chroma:
        plane[:] = (highest + 1) // 2
    return fresh


def _retag_full_range(image: Image) -> Image:
    """Copy one of FFmpeg's deprecated yuvj images into its proper format, full range as a tag."""
    fresh = blank_like(image, pixel_format=_FULL_RANGE_NAMES[image.format.name])
    set_tags(fresh, dataclasses.replace(tags_of(image), color_range=int(ColorRange.JPEG)))
    for target, source in zip(planes_of(fresh), planes_of(image), strict=True):
        target[:] = source
    return fresh


def _rotate(image: Image, orientation: Orientation) -> Image:
    """Rotate and flip an image, plane by plane."""
    width, height = image.width, image.height
    fresh = blank_like(image, width=height, height=width) if orientation.transposed else blank_like(image)
    row_step = -1 if orientation.rows_flipped else 1
    column_step = -1 if orientation.columns_flipped else 1
    for target, source in zip(planes_of(fresh), planes_of(image), strict=True):
        turned = (source.T if orientation.transposed else source)[::row_step, ::column_step]
        if turned.shape == target.shape:
            target[:] = turned
        else:  # of 4:2:2, whose chroma has half the columns and all rows
            target[:] = cv2.resize(np.ascontiguousarray(turned), target.shape[::-1])
    return fresh


@dataclasses.dataclass(frozen=True, slots=True)
class _Look:
    """Size and shape of an image before it is fitted."""

    width: int
    height: int
    pixel_shape: Fraction

    def __str__(self) -> str:
        ratio = f" ({self.pixel_shape.numerator}:{self.pixel_shape.denominator} pixels)"
        return f"{self.width}x{self.height}{'' if self.pixel_shape == 1 else ratio}"


class FrameFitter:
    """Fits images into the first one's size, or into a given one, with black bars where shapes differ.

    Attributes:
        size: (width, height) of the fitted images, in pixels; known from the first image on.
        pixel_shape: Width of one of their pixels by its height.
        change: First change of size or shape, in words; None if there was none.
    """

    def __init__(self, resampler: Resampler, size: tuple[int, int] | None = None) -> None:
        """Prepare to fit images.

        Args:
            resampler: Scales the images.
            size: (width, height) to scale everything to, in square pixels; None to keep the first size.
        """
        self._resampler = resampler
        self._has_fixed_size = size is not None
        self._coding: YuvCoding | None = None
        self._tags = ColorTags()
        self._first: _Look | None = None
        self._inner: dict[_Look, tuple[int, int]] = {}
        self.size = size or (0, 0)
        self.pixel_shape = Fraction(1)
        self.change: str | None = None

    def fit(self, image: Image, pixel_shape: Fraction, time_s: float) -> Image:
        """Fit one image.

        Args:
            image: Planar, upright image; it is not changed.
            pixel_shape: Width of one of its pixels by its height.
            time_s: Time at which it is shown, in seconds from the video's beginning, for the message.

        Returns:
            The image itself where there is nothing to do.
        """
        look = _Look(image.width, image.height, pixel_shape)
        if self._first is None:
            self._first, self._coding, self._tags = look, coding_of(image), tags_of(image)
            if not self._has_fixed_size:
                self.size, self.pixel_shape = (look.width, look.height), pixel_shape
        if look != self._first and self.change is None:
            self.change = (
                f"the image changes from {self._first} to {look} at {time_s:.1f} s; all of it is shown "
                "in the first size, with bars where the shape differs"
            )
        assert self._coding is not None
        if look not in self._inner:
            self._inner[look] = fitted_size(
                (look.width, look.height), pixel_shape, self.size, self.pixel_shape
            )
        inner = self._inner[look]
        if inner == self.size == (look.width, look.height) and coding_of(image) == self._coding:
            return image
        fitted = self._resampler.to_coding(image, self._coding, self._tags, inner)
        return fitted if inner == self.size else add_bars(fitted, self.size)


def fitted_size(
    size: tuple[int, int], pixel_shape: Fraction, box: tuple[int, int], box_pixel_shape: Fraction
) -> tuple[int, int]:
    """Compute the size of an image that fills a box as far as its shape allows.

    Args:
        size: The image's (width, height) in pixels.
        pixel_shape: Width of one of its pixels by its height.
        box: (width, height) of the box in pixels of its own shape.
        box_pixel_shape: Width of one of those pixels by its height.

    Returns:
        (width, height) in the box's pixels, even where bars are left.
    """
    seen = size[0] * pixel_shape / box_pixel_shape  # its width, in pixels as wide as the box's
    scale = min(box[0] / seen, Fraction(box[1], size[1]))
    inner = [
        whole if whole - scaled < _SAME_SHAPE_PIXELS else max(2, 2 * round(scaled / 2))
        for scaled, whole in ((seen * scale, box[0]), (size[1] * scale, box[1]))
    ]
    return inner[0], inner[1]


def add_bars(image: Image, size: tuple[int, int]) -> Image:
    """Put a planar image into the middle of a larger black one.

    Args:
        image: Planar image; it is not changed.
        size: (width, height) of the result in pixels, no smaller than the image.
    """
    fresh = blank_like(image, width=size[0], height=size[1])
    coding = coding_of(image)
    black = [*coding.encode_rgb(np.zeros(3, np.uint8)).round(), coding.highest]  # and opaque
    left, top = (size[0] - image.width) // 4 * 2, (size[1] - image.height) // 4 * 2
    for target, source, value in zip(planes_of(fresh), planes_of(image), black, strict=False):
        rows, columns = source.shape
        row = top // (1 if rows == image.height else 2)
        column = left // (1 if columns == image.width else 2)
        target[:] = value
        target[row : row + rows, column : column + columns] = source
    return fresh
