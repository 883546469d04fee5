"""Bringing whatever a decoder gives into what travels: upright, planar, of 8 or 10 bits."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from av.video.reformatter import ColorRange

from streamcam.media.images import (
    DEEP,
    PLANAR_FORMATS,
    Image,
    bits_of,
    blank_like,
    chroma_of,
    planar_format,
    planes_of,
    set_tags,
    tags_of,
)
from streamcam.media.scaling import Resampler
from streamcam.media.side_data import UPRIGHT, Orientation, orientation_of

_FULL_RANGE_NAMES = {f"yuvj{name.removeprefix('yuv')}": name for name in PLANAR_FORMATS}


def travelling_format(decoded: str, depth: int | None = None, chroma: str | None = None) -> str:
    """Name the planar pixel format that an image travels in.

    Args:
        decoded: The pixel format that the decoder gives.
        depth: Bits of a sample, 8 or 10; if None 10 where the image has more than 8.
        chroma: One of `streamcam.media.images.CHROMAS`; if None what holds all of the image's colors.
    """
    return planar_format(chroma or chroma_of(decoded), depth or (8 if bits_of(decoded) == 8 else DEEP))


def to_upright_planar(
    decoded: Image,
    resampler: Resampler,
    orientation: Orientation | None = None,
    *,
    pixel_format: str | None = None,
) -> Image:
    """Turn a decoded image into one that travels, without writing to it.

    Args:
        decoded: As the decoder gave it.
        resampler: Of this thread.
        orientation: How it is to be turned, where that is known already.
        pixel_format: What it is to travel in, one of `PLANAR_FORMATS`; if None as `travelling_format`
            says.

    Returns:
        Planar, full range told by its tag. The decoder's own image where nothing had to be done.
    """
    image = decoded
    orientation = orientation_of(decoded) if orientation is None else orientation
    if image.format.name in _FULL_RANGE_NAMES:
        image = _retagged_full_range(image)
    image = resampler.to_planar(image, pixel_format or travelling_format(image.format.name))
    return image if orientation == UPRIGHT else _turned(image, orientation)


def _retagged_full_range(image: Image) -> Image:
    """Copy one of FFmpeg's deprecated yuvj images into its proper format, full range as a tag."""
    fresh = blank_like(image, pixel_format=_FULL_RANGE_NAMES[image.format.name])
    set_tags(fresh, dataclasses.replace(tags_of(image), color_range=int(ColorRange.JPEG)))
    for target, source in zip(planes_of(fresh), planes_of(image), strict=True):
        target[:] = source
    return fresh


def _turned(image: Image, orientation: Orientation) -> Image:
    """Turn an image plane by plane."""
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
