"""Blending heat onto pictures, in their own planar YUV.

The network's map is a handful of numbers. It is enlarged to each plane's size, coloured there by a table
of that plane's own code values, and mixed with the picture's samples into a fresh picture: no conversion
to RGB and back, and what has no heat over it is copied bit for bit.
"""

from __future__ import annotations

import dataclasses
import math

import cv2
import numpy as np

from streamcam.errors import InvalidArgumentError
from streamcam.frames import FloatArray, Region
from streamcam.overlay.colormaps import lookup_table
from streamcam.pictures import ByteArray, Picture, YuvCoding, blank_like, coding_of, planes_of


class HeatBlender:
    """Mixes a coloured map into pictures: ``(1 - alpha) * picture + alpha * colour``."""

    def __init__(self, colormap: str, alpha: float) -> None:
        """Assign.

        Args:
            colormap: A name in `COLORMAPS`.
            alpha: Weight of the heat, from 0 (none) to 1 (only heat).

        Raises:
            InvalidArgumentError: if alpha is outside 0 to 1, or there is no such colour map.
        """
        check_alpha(alpha)
        self._alpha = alpha
        self._rgb = lookup_table(colormap)
        self._tables: dict[YuvCoding, tuple[ByteArray, ...]] = {}

    def blend(self, image: Picture, heat: FloatArray, region: Region) -> Picture:
        """Blend a map onto a picture.

        Args:
            image: Planar 8-bit YUV; left as it is.
            heat: float32 (h, w), 0 to 1.
            region: The part of the picture that the map covers.

        Returns:
            A fresh picture of the same size, format and tags.
        """
        fresh = blank_like(image)
        sources, targets = planes_of(image), planes_of(fresh)
        tables = self._tables_for(coding_of(image))
        indices: dict[tuple[int, ...], ByteArray] = {}  # both chroma planes share one enlarged map
        for source, target, table in zip(sources, targets, tables, strict=True):
            rows, columns = covered_spans(region, (image.height, image.width), source.shape, sources[1].shape)
            covered = (rows.inside_length, columns.inside_length)
            if covered != source.shape:
                target[:] = source
            if 0 in covered:
                continue
            if source.shape not in indices:
                shares = enlarged(heat, rows, columns)
                indices[source.shape] = np.asarray(cv2.convertScaleAbs(shares, alpha=255), np.uint8)
            seen = source[rows.inside, columns.inside]
            coloured = cv2.LUT(indices[source.shape], table)
            target[rows.inside, columns.inside] = cv2.addWeighted(
                seen, 1 - self._alpha, coloured, self._alpha, 0
            )
        return fresh

    def _tables_for(self, coding: YuvCoding) -> tuple[ByteArray, ...]:
        if coding not in self._tables:
            yuv = np.clip(np.rint(coding.encode_rgb(self._rgb)), 0, 255).astype(np.uint8)
            self._tables[coding] = tuple(np.ascontiguousarray(plane) for plane in yuv.T)
        return self._tables[coding]


def check_alpha(alpha: float) -> None:
    """Make sure that a weight is one.

    Raises:
        InvalidArgumentError: if it is outside 0 to 1.
    """
    if not 0 <= alpha <= 1:
        raise InvalidArgumentError(f"alpha is a weight from 0 to 1, not {alpha:g}")


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
        pixels: The picture's (height, width).
        plane: The plane's (rows, columns).
        chroma: The (rows, columns) of the picture's chroma planes.
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


def enlarged(values: FloatArray, rows: Span, columns: Span) -> FloatArray:
    """Enlarge a map to the samples it covers.

    Cell centres of the map fall on the centres of what they cover, as in the network itself. A region that
    reaches beyond the picture is enlarged whole and then cut.

    Args:
        values: float32 (h, w).

    Returns:
        float32, as many rows and columns as lie inside the plane.
    """
    size = (columns.stop - columns.start, rows.stop - rows.start)
    whole = cv2.resize(values, size, interpolation=cv2.INTER_LINEAR)
    seen = whole[_shifted(rows.inside, -rows.start), _shifted(columns.inside, -columns.start)]
    return np.asarray(seen, np.float32)


def _shifted(part: slice, by: int) -> slice:
    return slice(part.start + by, part.stop + by)
