"""Transparent images: shown on white, and with their alpha channel beside where that is kept."""

from __future__ import annotations

import time
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streamcam.frames import Frame
from streamcam.media.images import (
    LAYERED_FORMATS,
    Image,
    bits_of,
    blank_like,
    chroma_of,
    coding_of,
    has_alpha,
    opaque_format,
    planar_format,
    planes_of,
)
from streamcam.media.scaling import Resampler

ON_WHITE = "transparent parts are shown on white; `alpha_channel=keep` keeps them transparent"
"""Note of a source whose alpha channel is left out."""


def put_on_white(decoded: Image, resampler: Resampler, pixel_format: str) -> Image:
    """Show an image on white where it is transparent, as still images are, without writing to it.

    Args:
        decoded: Image as it was decoded, with color that is not multiplied by its alpha.
        resampler: Converts the pixel format.
        pixel_format: Format of the result, one of `PLANAR_FORMATS`.

    Returns:
        Planar image; the decoded image itself where nothing is transparent.
    """
    if not has_alpha(decoded.format.name):
        return decoded
    layered_format = planar_format(chroma_of(pixel_format), bits_of(pixel_format), alpha=True)
    layered = resampler.to_format(decoded, layered_format)
    if planes_of(layered)[3].min() == coding_of(layered).highest:
        return decoded
    return _flatten(layered)


def make_frame(image: Image, index: int, pts: int, time_base: Fraction, duration: int = 0) -> Frame:
    """Make a frame of an image that was decoded just now.

    Args:
        image: Of one of `PLANAR_FORMATS`, or of `LAYERED_FORMATS` where its alpha is kept.
        index: As all the others, a field of `Frame`.
        pts: The time at which it is shown.
        time_base: Seconds per unit of `pts`.
        duration: How long it is shown.
    """
    received_at = time.monotonic()
    if image.format.name not in LAYERED_FORMATS:
        return Frame(image, index, pts, time_base, received_at, duration)
    return Frame(_flatten(image), index, pts, time_base, received_at, duration, layered=image)


def _flatten(layered: Image) -> Image:
    """Put an image of one of `LAYERED_FORMATS` on white, as a fresh one."""
    *color, alpha = planes_of(layered)
    coding = coding_of(layered)
    fresh = blank_like(layered, pixel_format=opaque_format(layered.format.name))
    opacity = alpha.astype(np.float32) / coding.highest
    white = coding.encode_rgb(np.full(3, 255, np.uint8))
    for target, source, background in zip(planes_of(fresh), color, white, strict=True):
        share: NDArray[Any] = opacity
        if source.shape != opacity.shape:
            share = cv2.resize(opacity, source.shape[::-1], interpolation=cv2.INTER_AREA)
        target[:] = (background + (source - background) * share).round()
    return fresh
