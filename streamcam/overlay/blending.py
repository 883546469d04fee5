"""Blending heat onto images, in their own planar YUV.

The network's map is a handful of numbers. It is enlarged to each plane's size, coloured there by a table
of that plane's own code values, and mixed with the image's samples into a fresh image: no conversion
to RGB and back, and what has no heat over it is copied bit for bit.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from streamcam.errors import InvalidArgumentError
from streamcam.frames import FloatArray, Region
from streamcam.media.images import ByteArray, Image, PlaneArray, YuvCoding, blank_like, coding_of, planes_of
from streamcam.overlay.colormaps import lookup_table
from streamcam.overlay.placement import Scratch, Span, covered_spans, enlarged, rounded_out

PairTable = NDArray[np.uint16] | NDArray[np.int32]
"""The values of two samples, of 8 or of more bits, for every pair of indices, (65536,)."""


class HeatBlender:
    """Mixes a coloured map into images: ``(1 - alpha) * image + alpha * colour``.

    Belongs to one thread.
    """

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
        self._tables: dict[YuvCoding, tuple[PairTable, ...]] = {}
        self._scratch = Scratch()

    def blend(self, image: Image, heat: FloatArray, region: Region) -> Image:
        """Blend a map onto an image.

        Args:
            image: Planar YUV; left as it is.
            heat: float32 (h, w), 0 to 1.
            region: The part of the image that the map covers.

        Returns:
            A fresh image of the same size, format and tags.
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
            if not indices:
                heat = rounded_out(heat, (rows.stop - rows.start, columns.stop - columns.start))
            if source.shape not in indices:
                indices[source.shape] = self._indices(heat, rows, columns)
            coloured = self._coloured(indices[source.shape], table)[: math.prod(covered)].reshape(covered)
            where = (rows.inside, columns.inside)
            cv2.addWeighted(source[where], 1 - self._alpha, coloured, self._alpha, 0, dst=target[where])
        return fresh

    def _indices(self, heat: FloatArray, rows: Span, columns: Span) -> ByteArray:
        """Enlarge a map to a plane; return the number of each sample's colour, uint8 (samples,).

        Where that is odd there is one more, as `_coloured` takes them in pairs.
        """
        shares = enlarged(heat, rows, columns, self._scratch, "heat")
        numbers = self._scratch.array("indices", (shares.size + shares.size % 2,), np.uint8)
        cv2.convertScaleAbs(shares, dst=numbers[: shares.size].reshape(shares.shape), alpha=255)
        return numbers

    def _coloured(self, indices: ByteArray, table: PairTable) -> PlaneArray:
        """Look an even number of samples up."""
        values = self._scratch.array("colours", indices.shape, np.uint8 if table.itemsize == 2 else np.uint16)
        cv2.LUT(indices.view(np.uint16), table, dst=values.view(table.dtype))
        return values

    def _tables_for(self, coding: YuvCoding) -> tuple[PairTable, ...]:
        if coding not in self._tables:
            yuv = np.clip(np.rint(coding.encode_rgb(self._rgb)), 0, coding.highest).astype(coding.dtype)
            self._tables[coding] = tuple(_pair_table(plane) for plane in yuv.T)
        return self._tables[coding]


def _pair_table(table: PlaneArray) -> PairTable:
    """Make a table for two samples at a time of one for a single sample: it takes half the time.

    Args:
        table: uint8 or uint16 (256,).

    Returns:
        (65536,): for two bytes that are read as one number, their two values read as one number.
    """
    pairs = np.arange(1 << 16, dtype=np.uint16).view(np.uint8)
    values = table[pairs]
    if table.itemsize == 1:
        return np.asarray(values.view(np.uint16), np.uint16)
    return np.asarray(values.view(np.int32), np.int32)


def check_alpha(alpha: float) -> None:
    """Make sure that a weight is one.

    Raises:
        InvalidArgumentError: if it is outside 0 to 1.
    """
    if not 0 <= alpha <= 1:
        raise InvalidArgumentError(f"alpha is a weight from 0 to 1, not {alpha:g}")
