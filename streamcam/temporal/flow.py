"""Motion: where each place of an image was in another, and heat carried along.

Heat is pooled over far more of an image than one cell and reaches beyond the edges of what it lies on. What
carries it is therefore not each place's own motion, which would leave behind what lies beside a moving
thing, but that of the strongest heat around.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np

from streamcam.frames import FloatArray, Region
from streamcam.media.images import ByteArray

_FINER = 4
_FINEST = 64
"""Maps are refined by up to the one, as long as their long side has at most the other's number of cells."""

_REACH_CELLS = 1.5
_REACH_SHARE = 0.02
"""How far heat is held together: standard deviation in cells of the map, and at least this share of its
long side."""

_CONTRAST = 48.0
"""Views are evened out to this standard deviation, so that a change of exposure is not taken for motion."""


def refinement(shape: tuple[int, ...]) -> int:
    """Tell by how much maps of a shape (h, w) are refined before they are carried along.

    Motion from one frame to the next is a small part of a cell; on the map's own grid it would blur away.
    """
    return max(1, min(_FINER, _FINEST // max(shape)))


def refined(heatmap: FloatArray) -> FloatArray:
    """Refine a map, float32 (h, w), for `carried`; linear in its input."""
    factor = refinement(heatmap.shape)
    if factor == 1:
        return heatmap
    size = (heatmap.shape[1] * factor, heatmap.shape[0] * factor)
    return np.asarray(cv2.resize(heatmap, size, interpolation=cv2.INTER_CUBIC), np.float32)


def evened(view: ByteArray) -> ByteArray:
    """Give a view, uint8 (h, w), the brightness and contrast that all have for `MotionFinder`."""
    mean, deviation = cv2.meanStdDev(view)
    gain = _CONTRAST / (float(deviation[0, 0]) + 4)
    table = np.arange(256, dtype=np.float32)
    table = ((table - float(mean[0, 0])) * gain + 128).round().clip(0, 255)
    return np.asarray(cv2.LUT(view, table.astype(np.uint8)), np.uint8)


class MotionFinder:
    """Finds motion between views. Belongs to one thread."""

    def __init__(self) -> None:
        """Make ready."""
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)

    def to(self, other: ByteArray, view: ByteArray) -> FloatArray:
        """Find where the places of a view are in another one.

        Args:
            other: Where they are looked for, uint8 (h, w).
            view: Whose places they are, likewise.

        Returns:
            float32 (h, w, 2): how much further right and down each is, in widths and heights of the image.
            Zero where the views are of different shapes.
        """
        if view.shape != other.shape:
            return np.zeros((*view.shape, 2), np.float32)
        pixels = self._flow.calc(evened(view), evened(other), None)  # type: ignore[call-overload]
        height, width = view.shape
        # numpy takes four times as long over two channels.
        shares = cv2.multiply(pixels, (1 / width, 1 / height, 0, 0))  # type: ignore[call-overload]
        return np.asarray(shares, np.float32)


def shift_of(motion: FloatArray, near: FloatArray, region: Region, cell: int) -> FloatArray:
    """Work out how a map is to be shifted, place by place.

    Args:
        motion: As `MotionFinder.to` returns it.
        near: float32 (rows, columns), refined heat on the image that the motion starts from.
        region: The part of the image that the heat covers.
        cell: How many rows and columns of it were one in the map.

    Returns:
        float32 (rows, columns, 2), in rows and columns of the heat.
    """
    rows, columns = near.shape
    across, down = region.right - region.left, region.bottom - region.top
    whole = max(1, round(columns / across)), max(1, round(rows / down))
    shift = cv2.resize(motion, whole, interpolation=cv2.INTER_AREA)
    if region != Region():
        x, y = _centres(rows, columns)
        x = (region.left + (x + 0.5) / columns * across) * whole[0] - 0.5
        y = (region.top + (y + 0.5) / rows * down) * whole[1] - 0.5
        shift = cv2.remap(shift, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    weight = _weight(near)
    reach = max(_REACH_CELLS * cell, _REACH_SHARE * max(rows, columns))
    pulled = cv2.GaussianBlur(weight[..., None] * shift, (0, 0), reach)
    total = cv2.GaussianBlur(weight, (0, 0), reach)
    scale = np.array([columns / across, rows / down], np.float32)
    return np.asarray(pulled / total[..., None] * scale, np.float32)


def _weight(heat: FloatArray) -> FloatArray:
    """The fourth power, so that the strongest heat around decides; never quite nothing."""
    peak = max(float(np.abs(heat).max()), 1e-12)
    return np.asarray((heat / np.float32(peak)) ** 4 + np.float32(1e-3), np.float32)


def carried(heat: FloatArray, shift: FloatArray) -> FloatArray:
    """Carry heat along.

    Args:
        heat: float32 (rows, columns).
        shift: float32 (rows, columns, 2): where the heat that is to be at a place is now, relative to it.

    Returns:
        float32 (rows, columns); linear in the heat, and even heat stays as it is.
    """
    x, y = _centres(*heat.shape)
    # Not cubic: OpenCV's curve is too steep, and carries heat up to half as far again.
    there = cv2.remap(
        heat, x + shift[..., 0], y + shift[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(there, np.float32)


def moved(heat: FloatArray, shift: FloatArray | None) -> FloatArray:
    """Carry heat along, or leave it where it is if there is no shift."""
    return heat if shift is None else carried(heat, shift)


@functools.lru_cache(maxsize=8)
def _centres(rows: int, columns: int) -> tuple[FloatArray, FloatArray]:
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    return np.ascontiguousarray(x), np.ascontiguousarray(y)
