"""Placement of heatmaps on an image's planes, and their upsampling to the planes' size."""

from __future__ import annotations

import dataclasses
import math
from collections import OrderedDict
from typing import Any

import cv2
import numpy as np
from numpy.typing import DTypeLike, NDArray

from streamcam.frames import FloatArray, Region

MIN_CUBIC_STEP = 4
"""Cubic interpolation stops at this many pixels per value; linear interpolation does the rest."""

MAX_CUBIC_FACTOR = 7
"""Upper limit of the cubic upsampling factor; more would look the same."""

_MAX_SCRATCH_ARRAYS = 16
"""How many arrays are cached for reuse; one image needs fewer."""

_SQUARE = ((0, 0), (0, 1), (1, 0), (1, 1))


@dataclasses.dataclass(frozen=True, slots=True)
class Span:
    """The extent of a region along one side of a plane, in samples; it may reach beyond the plane."""

    start: int
    stop: int
    length: int
    """Length of the plane's side in samples."""

    @property
    def inside(self) -> slice:
        """The part inside the plane; empty if the region lies outside."""
        start = min(max(self.start, 0), self.length)
        return slice(start, max(start, min(self.stop, self.length)))

    @property
    def inside_length(self) -> int:
        """Number of samples in `inside`."""
        return len(range(self.length)[self.inside])


def locate_region(
    region: Region, pixels: tuple[int, int], plane: tuple[int, ...], chroma: tuple[int, ...]
) -> tuple[Span, Span]:
    """Find the rows and columns of a plane that a region covers.

    Edges are rounded to chroma samples, so that color never reaches beyond brightness.

    Args:
        region: Region as fractions of the image.
        pixels: Size of the image, (height, width).
        plane: Size of the plane, (rows, columns).
        chroma: Size of the image's chroma planes, (rows, columns).
    """
    edges = ((region.top, region.bottom), (region.left, region.right))
    rows, columns = (_span(*values) for values in zip(edges, pixels, plane, chroma, strict=True))
    return rows, columns


def _span(edges: tuple[float, float], pixels: int, samples: int, chroma_samples: int) -> Span:
    per_chroma = 1 if chroma_samples == pixels else 2  # pixels
    per_sample = 1 if samples == pixels else 2
    start, stop = (math.floor(edge * pixels / per_chroma + 0.5) * per_chroma // per_sample for edge in edges)
    if edges[1] <= 1:  # the last chroma sample of an odd side covers one pixel only
        stop = min(stop, samples)
    return Span(start, stop, samples)


def upsample_cubic(heat: FloatArray, pixels: tuple[int, int]) -> FloatArray:
    """Upsample a heatmap a few times by cubic interpolation; linear alone leaves diamond-shaped creases.

    The result passes through the heatmap's values at the centers of its cells. Elsewhere it is clipped to the
    four values around, as overshoot would show as dark rings around hot spots.

    Args:
        heat: Heatmap, float32 (h, w), 0 to 1.
        pixels: Size of the area that the heatmap covers, (height, width) in pixels.

    Returns:
        float32 (k h, k w), 0 to 1, for an odd factor k from 1 to `MAX_CUBIC_FACTOR`.
    """
    factor = min(side // (MIN_CUBIC_STEP * cells) for side, cells in zip(pixels, heat.shape, strict=True))
    # An odd factor puts a value of the result on the center of each cell.
    factor = min(factor - 1 + factor % 2, MAX_CUBIC_FACTOR)
    if factor < 3:
        return heat
    size = (heat.shape[1] * factor, heat.shape[0] * factor)
    curved = cv2.resize(heat, size, interpolation=cv2.INTER_CUBIC)
    corners = cv2.copyMakeBorder(heat, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    around = [corners[down:, right:][: heat.shape[0] + 1, : heat.shape[1] + 1] for down, right in _SQUARE]
    # Of the padded map each value lies between two centers, factor values between the same.
    start = (factor + 1) // 2
    for limit, extremum in ((np.maximum, np.minimum.reduce), (np.minimum, np.maximum.reduce)):
        limits = cv2.resize(extremum(around), None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST)
        limit(curved, limits[start : start + size[1], start : start + size[0]], out=curved)
    return np.asarray(curved, np.float32)


class Scratch:
    """Arrays reused for every image: allocating fresh memory would cost more than the arithmetic.

    Only recently used ones are cached: a window that is resized goes through hundreds of sizes.
    """

    def __init__(self) -> None:
        self._arrays: OrderedDict[tuple[str, tuple[int, ...], Any], NDArray[Any]] = OrderedDict()

    def array(self, use: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Return the array for one use, with arbitrary content."""
        key = (use, shape, np.dtype(dtype))
        if key not in self._arrays:
            self._arrays[key] = np.empty(shape, dtype)
            if len(self._arrays) > _MAX_SCRATCH_ARRAYS:
                self._arrays.popitem(last=False)
        self._arrays.move_to_end(key)
        return self._arrays[key]


def upsample_linear(
    values: NDArray[Any], rows: Span, columns: Span, scratch: Scratch, use: str
) -> NDArray[Any]:
    """Upsample a map by linear interpolation to the samples it covers.

    Cells of the map are aligned with what they cover by their centers, as in the network itself. A region
    that reaches beyond the image is upsampled whole and then cropped.

    Args:
        values: Map, (h, w), of any type that OpenCV resizes.
        rows: Rows of the plane that it covers.
        columns: Columns of the plane that it covers.
        scratch: Buffers; one holds the result until the next call for the same use and size.
        use: Name of the buffer.

    Returns:
        The rows and columns that lie inside the plane.
    """
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    whole = cv2.resize(
        values,
        shape[::-1],
        dst=scratch.array(use, shape, values.dtype),
        interpolation=cv2.INTER_LINEAR,
    )
    return np.asarray(whole[_shift(rows.inside, -rows.start), _shift(columns.inside, -columns.start)])


def _shift(part: slice, by: int) -> slice:
    return slice(part.start + by, part.stop + by)
