"""Bringing every image of a video to one size and one way of coding color, undistorted."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np

from streamcam.frames import ColorTags
from streamcam.media.images import Image, YuvCoding, blank_like, coding_of, planes_of, tags_of
from streamcam.media.scaling import Resampler

_SAME_SHAPE_PIXELS = 2
"""Bars are drawn where they would be wider than this on both sides together."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Look:
    """What an image looks like before it is fitted."""

    width: int
    height: int
    pixel_shape: Fraction

    def __str__(self) -> str:
        ratio = f" ({self.pixel_shape.numerator}:{self.pixel_shape.denominator} pixels)"
        return f"{self.width}x{self.height}{'' if self.pixel_shape == 1 else ratio}"


class FrameFitter:
    """Fits images into the first one's size, or into a given one, with black bars where shapes differ.

    Attributes:
        size: (width, height) of what comes out, in pixels; known from the first image on.
        pixel_shape: Width of a pixel by its height in what comes out.
        change: The first change of size or shape met, in words.
    """

    def __init__(self, resampler: Resampler, wanted: tuple[int, int] | None = None) -> None:
        """Assign.

        Args:
            resampler: Of this thread.
            wanted: (width, height) to scale everything to, in square pixels; None to keep the first size.
        """
        self._resampler = resampler
        self._wanted = wanted
        self._coding: YuvCoding | None = None
        self._tags = ColorTags()
        self._first: _Look | None = None
        self._inner: dict[_Look, tuple[int, int]] = {}
        self.size = wanted or (0, 0)
        self.pixel_shape = Fraction(1)
        self.change: str | None = None

    def fit(self, image: Image, pixel_shape: Fraction, time_s: float) -> Image:
        """Fit one image.

        Args:
            image: Planar and upright; left as it is.
            pixel_shape: Width of one of its pixels by its height.
            time_s: When it is shown, in seconds from the video's beginning, for the note.

        Returns:
            The image itself where there is nothing to do.
        """
        look = _Look(image.width, image.height, pixel_shape)
        if self._first is None:
            self._first, self._coding, self._tags = look, coding_of(image), tags_of(image)
            if self._wanted is None:
                self.size, self.pixel_shape = (look.width, look.height), pixel_shape
        if look != self._first and self.change is None:
            self.change = (
                f"the image changes from {self._first} to {look} at {time_s:.1f} s; all of it is shown "
                "in the first size, with bars where the shape differs"
            )
        assert self._coding is not None
        if look not in self._inner:
            self._inner[look] = inner_size(
                (look.width, look.height), pixel_shape, self.size, self.pixel_shape
            )
        inner = self._inner[look]
        if inner == self.size == (look.width, look.height) and coding_of(image) == self._coding:
            return image
        fitted = self._resampler.to_coding(image, self._coding, self._tags, inner)
        return fitted if inner == self.size else with_bars(fitted, self.size)


def inner_size(
    size: tuple[int, int], pixel_shape: Fraction, box: tuple[int, int], box_pixel_shape: Fraction
) -> tuple[int, int]:
    """Work out how large an image is when it fills a box as far as its shape lets it.

    Args:
        size: The image's (width, height) in pixels.
        pixel_shape: Width of one of its pixels by its height.
        box: (width, height) of the box in its own pixels.
        box_pixel_shape: Width of one of those by its height.

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


def with_bars(image: Image, size: tuple[int, int]) -> Image:
    """Put a planar image into the middle of a larger black one.

    Args:
        image: Left as it is.
        size: (width, height) of the result in pixels, no smaller than the image.
    """
    fresh = blank_like(image, width=size[0], height=size[1])
    black = coding_of(image).encode_rgb(np.zeros(3, np.uint8)).round()
    left, top = (size[0] - image.width) // 4 * 2, (size[1] - image.height) // 4 * 2
    for target, source, value in zip(planes_of(fresh), planes_of(image), black, strict=True):
        rows, columns = source.shape
        row = top // (1 if rows == image.height else 2)
        column = left // (1 if columns == image.width else 2)
        target[:] = value
        target[row : row + rows, column : column + columns] = source
    return fresh
