"""From a frame's shape to a network's input: what is scaled, what is cut, and which part the network saw."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streamcam.errors import unknown_name
from streamcam.frames import Region

STRIDE = 32
"""Sides of free-shape inputs are multiples of this: the total stride of nearly every backbone."""

MAX_ASPECT = 4
"""Frames longer than this many times their short side are squashed to it, so that cost stays bounded."""

Size = tuple[int, int]
"""(width, height) in pixels."""

SHAPES: tuple[Size, ...] = ((16, 9), (4, 3), (1, 1), (3, 4), (9, 16))
"""Usual shapes of frames, (width, height)."""


class InputSize(Protocol):
    """Size of a network's input; `streamcam.InputSpec` is one."""

    @property
    def sides(self) -> Size:
        """(width, height) in pixels."""

    @property
    def resize(self) -> int:
        """Short side of the image from which a center crop is cut, in pixels."""


@dataclasses.dataclass(frozen=True, slots=True)
class Geometry:
    """How frames of one shape become the input of one network."""

    scaled: Size
    """The whole frame is resampled to this."""
    size: Size
    """The network's input."""
    offset: Size
    """Where the scaled frame's corner lies in the input: negative where it is cut, positive where padded."""
    region: Region
    """The part of the frame that the input covers."""

    def place(self, scaled: NDArray[np.uint8], fill: tuple[int, int, int]) -> NDArray[np.uint8]:
        """Cut or pad the resampled frame to the network's input.

        Args:
            scaled: uint8 (H, W, 3) of size `scaled`.
            fill: The color of what lies outside the frame.

        Returns:
            uint8 (H, W, 3) of size `size`.
        """
        if self.scaled == self.size:
            return scaled
        width, height = self.size
        left, top = self.offset
        inside = scaled[max(0, -top) : height - top, max(0, -left) : width - left]
        if inside.shape[:2] == (height, width):
            return inside
        canvas = np.empty((height, width, 3), np.uint8)
        canvas[:] = fill
        top, left = max(0, top), max(0, left)
        canvas[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
        return canvas


def fit_geometry(fit: str, frame: Size, spec: InputSize) -> Geometry:
    """Work out how frames of one shape are fed to a network.

    Args:
        fit: A name in `FITS`.
        frame: The frame's (width, height) in pixels.

    Raises:
        UnknownNameError: if there is no such fit.
    """
    if fit not in FITS:
        raise unknown_name("fit", fit, FITS)
    return FITS[fit](frame, spec)


def _full(frame: Size, spec: InputSize) -> Geometry:
    """Keep the whole frame at its own shape: the short side at the network's size, both in strides."""
    short = max(STRIDE, round(min(spec.sides) / STRIDE) * STRIDE)
    aspect = min(max(frame) / min(frame), MAX_ASPECT)
    long = max(short, round(short * aspect / STRIDE) * STRIDE)
    size = (long, short) if frame[0] >= frame[1] else (short, long)
    return Geometry(size, size, (0, 0), Region())


def _stretch(_frame: Size, spec: InputSize) -> Geometry:
    """Squash the whole frame into the network's input."""
    return Geometry(spec.sides, spec.sides, (0, 0), Region())


def _crop(frame: Size, spec: InputSize) -> Geometry:
    """Cut the center, as in the networks' published evaluations."""
    margin = max(1.0, spec.resize / min(spec.sides))
    scale = max(side * margin / length for side, length in zip(spec.sides, frame, strict=True))
    return _centered(frame, scale, spec.sides)


def _pad(frame: Size, spec: InputSize) -> Geometry:
    """Fit the whole frame into the input and fill the rest with the mean color."""
    scale = min(side / length for side, length in zip(spec.sides, frame, strict=True))
    return _centered(frame, scale, spec.sides)


def _centered(frame: Size, scale: float, size: Size) -> Geometry:
    width, height = (max(1, round(length * scale)) for length in frame)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    region = Region(-left / width, -top / height, (size[0] - left) / width, (size[1] - top) / height)
    return Geometry((width, height), size, (left, top), region)


FITS: dict[str, Callable[[Size, InputSize], Geometry]] = {
    "full": _full,
    "stretch": _stretch,
    "crop": _crop,
    "pad": _pad,
}
"""Every way of fitting a frame into a network's input."""
