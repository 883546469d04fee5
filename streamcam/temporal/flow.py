"""Optical flow between frames, and heatmaps warped along it.

A heatmap is pooled over far more of an image than one cell and reaches beyond the edges of the object it
lies on. It is therefore not warped by each pixel's own motion, which would leave behind what lies beside a
moving object, but by the motion of the strongest heat nearby.
"""

from __future__ import annotations

import collections
import functools
import math

import cv2
import numpy as np

from streamcam.frames import FloatArray, Region
from streamcam.media.images import ByteArray

Box = tuple[float, float, float, float]

_MAX_UPSAMPLING = 4
_MAX_CELLS = 64
"""Maps are upsampled up to this factor, as long as their long side has at most `_MAX_CELLS` cells."""

_BLUR_CELLS = 1.5
_BLUR_SHARE = 0.02
"""How far heat moves as one: standard deviation in cells of the map, and at least this share of its long
side."""

_CONTRAST = 48.0
"""Thumbnails are normalized to this standard deviation, so that changing exposure is not seen as motion."""


def upsampling_factor(shape: tuple[int, ...]) -> int:
    """Return the factor by which maps of a shape (h, w) are upsampled before they are warped.

    Motion from one frame to the next is a small part of a cell; on the map's own grid it would blur away.
    """
    return max(1, min(_MAX_UPSAMPLING, _MAX_CELLS // max(shape)))


def upsample(heatmap: FloatArray) -> FloatArray:
    """Upsample a map, float32 (h, w), by `upsampling_factor` with cubic interpolation."""
    factor = upsampling_factor(heatmap.shape)
    if factor == 1:
        return heatmap
    size = (heatmap.shape[1] * factor, heatmap.shape[0] * factor)
    return np.asarray(cv2.resize(heatmap, size, interpolation=cv2.INTER_CUBIC), np.float32)


def normalize_contrast(thumbnail: ByteArray) -> ByteArray:
    """Scale a gray image, uint8 (h, w), to a fixed mean and standard deviation."""
    mean, deviation = cv2.meanStdDev(thumbnail)
    gain = _CONTRAST / (float(deviation[0, 0]) + 4)
    table = np.arange(256, dtype=np.float32)
    table = ((table - float(mean[0, 0])) * gain + 128).round().clip(0, 255)
    return np.asarray(cv2.LUT(thumbnail, table.astype(np.uint8)), np.uint8)


class FlowEstimator:
    """Estimates dense optical flow between thumbnails (DIS, Kroeger et al. 2016). Not thread-safe.

    The last answers are kept for others who ask for the flow between the same two arrays.
    """

    def __init__(self) -> None:
        """Create the estimator."""
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._recent: collections.deque[tuple[ByteArray, ByteArray, FloatArray]] = collections.deque(maxlen=2)

    def __reduce__(self) -> tuple[type[FlowEstimator], tuple[()]]:
        """Copy it as a new one: OpenCV's object cannot be copied, and what is remembered only saves time."""
        return FlowEstimator, ()

    def estimate(self, start: ByteArray, end: ByteArray) -> FloatArray:
        """Find where each pixel of one thumbnail lies in another.

        Args:
            start: Thumbnail whose pixels are located, uint8 (h, w).
            end: Thumbnail in which they are searched for, uint8 (h, w).

        Returns:
            Flow in x and y, float32 (h, w, 2), as fractions of the image's width and height. Zero if the
            thumbnails have different shapes.
        """
        for known_start, known_end, flow in self._recent:
            if known_start is start and known_end is end:
                return flow
        flow = self._compute(start, end)
        self._recent.append((start, end, flow))
        return flow

    def _compute(self, start: ByteArray, end: ByteArray) -> FloatArray:
        if start.shape != end.shape:
            return np.zeros((*start.shape, 2), np.float32)
        pixels = self._flow.calc(normalize_contrast(start), normalize_contrast(end), None)  # type: ignore[call-overload]
        height, width = start.shape
        # numpy takes four times as long over two channels.
        fractions = cv2.multiply(pixels, (1 / width, 1 / height, 0, 0))  # type: ignore[call-overload]
        return np.asarray(fractions, np.float32)


def compute_displacement(flow: FloatArray, heat: FloatArray, region: Region, cell: int) -> FloatArray:
    """Turn optical flow into the displacement by which a heatmap is warped.

    Args:
        flow: Flow as returned by `FlowEstimator.estimate`.
        heat: Upsampled heatmap of the image in which the flow starts, float32 (rows, columns).
        region: Part of the image that the heatmap covers.
        cell: Factor by which the heatmap was upsampled.

    Returns:
        Displacement in x and y for `warp`, float32 (rows, columns, 2), in cells of `heat`.
    """
    rows, columns = heat.shape
    width, height = region.right - region.left, region.bottom - region.top
    whole = max(1, round(columns / width)), max(1, round(rows / height))
    displacement = cv2.resize(flow, whole, interpolation=cv2.INTER_AREA)
    if region != Region():
        x, y = _pixel_grid(rows, columns)
        x = (region.left + (x + 0.5) / columns * width) * whole[0] - 0.5
        y = (region.top + (y + 0.5) / rows * height) * whole[1] - 0.5
        displacement = cv2.remap(displacement, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    weight = _weight_by_heat(heat)
    sigma = max(_BLUR_CELLS * cell, _BLUR_SHARE * max(rows, columns))
    weighted = cv2.GaussianBlur(weight[..., None] * displacement, (0, 0), sigma)
    total = cv2.GaussianBlur(weight, (0, 0), sigma)
    scale = np.array([columns / width, rows / height], np.float32)
    return np.asarray(weighted / total[..., None] * scale, np.float32)


def _weight_by_heat(heat: FloatArray) -> FloatArray:
    """Raise heat to the fourth power, so that the strongest nearby decides; never quite zero."""
    peak = max(float(np.abs(heat).max()), 1e-12)
    return np.asarray((heat / np.float32(peak)) ** 4 + np.float32(1e-3), np.float32)


def warp(heat: FloatArray, displacement: FloatArray | None) -> FloatArray:
    """Warp a heatmap by a displacement.

    Args:
        heat: Heatmap, float32 (rows, columns).
        displacement: For each cell of the result, where its value lies in `heat` relative to it, in x and y,
            float32 (rows, columns, 2); None leaves the heatmap unchanged.

    Returns:
        The warped heatmap, float32 (rows, columns); linear in `heat`, and a constant stays constant.
    """
    if displacement is None:
        return heat
    x, y = _pixel_grid(*heat.shape)
    # Not cubic: OpenCV's curve is too steep, and moves heat up to half as far again.
    warped = cv2.remap(
        heat,
        x + displacement[..., 0],
        y + displacement[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(warped, np.float32)


def shift_box(box: Box, flow: FloatArray) -> Box:
    """Shift a box by the median motion inside it.

    Args:
        box: Left, top, right and bottom edge in the older image, as fractions of its width and height.
        flow: Flow from the newer image back to the older one, as `FlowEstimator.estimate` returns it.

    Returns:
        The box in the newer image, likewise.
    """
    left, top, right, bottom = box
    rows, columns = flow.shape[:2]
    inside = flow[_pixels_between(top, bottom, rows), _pixels_between(left, right, columns)]
    shift_x, shift_y = np.median(inside.reshape(-1, 2), axis=0).tolist()
    return left - shift_x, top - shift_y, right - shift_x, bottom - shift_y


def _pixels_between(start: float, stop: float, length: int) -> slice:
    """Return the pixels between two fractions of a side; at least the nearest one."""
    first = min(max(math.floor(start * length), 0), length - 1)
    return slice(first, max(first + 1, min(math.ceil(stop * length), length)))


@functools.lru_cache(maxsize=8)
def _pixel_grid(rows: int, columns: int) -> tuple[FloatArray, FloatArray]:
    """Return the x and the y coordinate of every cell, float32 (rows, columns) each."""
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    return np.ascontiguousarray(x), np.ascontiguousarray(y)
