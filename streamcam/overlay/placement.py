"""Where a map lies on an image's planes, and how its few numbers become as many as there are samples."""

from __future__ import annotations

import dataclasses
import math
from collections import OrderedDict
from typing import Any

import cv2
import numpy as np
from numpy.typing import DTypeLike, NDArray

from streamcam.frames import FloatArray, Region

FINEST_STEP = 4
"""Cubic curves give a value for so many pixels or more; straight lines the rest."""

MOST_CUBIC = 7
"""How many values for each of the map's cubic curves give along a side; more would look the same."""

_MOST_ARRAYS = 16
"""How many arrays are kept to be used again: one image needs fewer."""

_SQUARE = ((0, 0), (0, 1), (1, 0), (1, 1))


@dataclasses.dataclass(frozen=True, slots=True)
class Span:
    """Where a region starts and ends along one side of a plane, in samples; it may reach beyond."""

    start: int
    stop: int
    length: int
    """How long the plane's side is, in samples."""

    @property
    def inside(self) -> slice:
        """The part that lies in the plane; empty where the region lies beside it."""
        start = min(max(self.start, 0), self.length)
        return slice(start, max(start, min(self.stop, self.length)))

    @property
    def inside_length(self) -> int:
        """How many samples `inside` has."""
        return len(range(self.length)[self.inside])


def covered_spans(
    region: Region, pixels: tuple[int, int], plane: tuple[int, ...], chroma: tuple[int, ...]
) -> tuple[Span, Span]:
    """Find the rows and columns of a plane that a region covers.

    A region starts and ends where a chroma sample does, so that colour never reaches past brightness.

    Args:
        region: As fractions of the image.
        pixels: The image's (height, width).
        plane: The plane's (rows, columns).
        chroma: The (rows, columns) of the image's chroma planes.
    """
    edges = ((region.top, region.bottom), (region.left, region.right))
    rows, columns = (_span(*values) for values in zip(edges, pixels, plane, chroma, strict=True))
    return rows, columns


def _span(edges: tuple[float, float], pixels: int, samples: int, chroma_samples: int) -> Span:
    per_chroma = 1 if chroma_samples == pixels else 2  # pixels
    per_sample = 1 if samples == pixels else 2
    start, stop = (math.floor(edge * pixels / per_chroma + 0.5) * per_chroma // per_sample for edge in edges)
    if edges[1] <= 1:  # the last chroma sample of an odd side stands for one pixel only
        stop = min(stop, samples)
    return Span(start, stop, samples)


def rounded_out(heat: FloatArray, pixels: tuple[int, int]) -> FloatArray:
    """Enlarge a map a few times by cubic curves: straight lines alone leave creases in the form of diamonds.

    The curves pass through the map's values where its cells are centred. Where they would swing beyond the
    four values around, which shows as dark rings around hot spots, they are cut.

    Args:
        heat: float32 (h, w), 0 to 1.
        pixels: (height, width) of what the map covers, in pixels.

    Returns:
        float32 (k h, k w), 0 to 1, for an odd number k from 1 to `MOST_CUBIC`: so every k-th value is one
        of the map's own.
    """
    times = min(side // (FINEST_STEP * cells) for side, cells in zip(pixels, heat.shape, strict=True))
    times = min(times - 1 + times % 2, MOST_CUBIC)
    if times < 3:
        return heat
    size = (heat.shape[1] * times, heat.shape[0] * times)
    curved = cv2.resize(heat, size, interpolation=cv2.INTER_CUBIC)
    corners = cv2.copyMakeBorder(heat, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    around = [corners[down:, right:][: heat.shape[0] + 1, : heat.shape[1] + 1] for down, right in _SQUARE]
    # Between the centres of which cells each value lies: of the padded map's, so that 0 means the first two.
    between = np.ix_(*((np.arange(cells * times) + (times + 1) // 2) // times for cells in heat.shape))
    lowest, highest = np.minimum.reduce(around)[between], np.maximum.reduce(around)[between]
    return np.asarray(curved.clip(lowest, highest), np.float32)


class Scratch:
    """Arrays that are used again for every image: memory fresh from the system costs more than the sums.

    Only those used lately are kept: a window that is resized goes through hundreds of sizes.
    """

    def __init__(self) -> None:
        self._arrays: OrderedDict[tuple[str, tuple[int, ...], Any], NDArray[Any]] = OrderedDict()

    def array(self, use: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Return the array for one use, with whatever it held before."""
        key = (use, shape, np.dtype(dtype))
        if key not in self._arrays:
            self._arrays[key] = np.empty(shape, dtype)
            if len(self._arrays) > _MOST_ARRAYS:
                self._arrays.popitem(last=False)
        self._arrays.move_to_end(key)
        return self._arrays[key]


def enlarged(values: NDArray[Any], rows: Span, columns: Span, scratch: Scratch, use: str) -> NDArray[Any]:
    """Enlarge a map by straight lines to the samples it covers.

    Cell centres of the map fall on the centres of what they cover, as in the network itself. A region that
    reaches beyond the image is enlarged whole and then cut.

    Args:
        values: (h, w), of any type that OpenCV resizes.
        rows: The rows it covers.
        columns: The columns it covers.
        scratch: Holds the result, until the next call for the same use and size.
        use: What for.

    Returns:
        As many rows and columns as lie inside the plane.
    """
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    whole = cv2.resize(
        values,
        shape[::-1],
        dst=scratch.array(use, shape, values.dtype),
        interpolation=cv2.INTER_LINEAR,
    )
    return np.asarray(whole[_shifted(rows.inside, -rows.start), _shifted(columns.inside, -columns.start)])


def _shifted(part: slice, by: int) -> slice:
    return slice(part.start + by, part.stop + by)
