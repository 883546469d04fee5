"""Blending of a heatmap onto an image through a color map, directly in planar YUV.

The heatmap is upsampled to each plane's size, colored by a lookup table of that plane's code values, and
mixed with the image's samples into a fresh image. Nothing is converted to RGB and back, and pixels outside
the heatmap are copied bit for bit.
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
from streamcam.overlay.placement import Scratch, Span, locate_region, upsample_cubic, upsample_linear

PairTable = NDArray[np.uint16] | NDArray[np.int32]
"""The values of two samples, of 8 or more bits, for every pair of indices, (65536,)."""


class HeatBlender:
    """Mixes a colored heatmap into images: ``(1 - alpha) * image + alpha * color``. Not thread-safe."""

    def __init__(self, colormap: str, alpha: float) -> None:
        """Choose colors and weight.

        Args:
            colormap: Name of a color map in `COLORMAPS`.
            alpha: Weight of the heat, from 0 (none) to 1 (only heat).

        Raises:
            InvalidArgumentError: if alpha is outside 0 to 1, or the color map does not exist.
        """
        check_alpha(alpha)
        self._alpha = alpha
        self._rgb = lookup_table(colormap)
        self._tables: dict[YuvCoding, tuple[PairTable, ...]] = {}
        self._scratch = Scratch()

    def blend(self, image: Image, heat: FloatArray, region: Region) -> Image:
        """Blend a heatmap onto an image.

        Args:
            image: Planar YUV image; it is not changed.
            heat: Heatmap, float32 (h, w), 0 to 1.
            region: Part of the image that the heatmap covers.

        Returns:
            A fresh image of the same size, format and tags.
        """
        fresh = blank_like(image)
        sources, targets = planes_of(image), planes_of(fresh)
        tables = self._tables_for(coding_of(image))
        indices: dict[tuple[int, ...], ByteArray] = {}  # both chroma planes share one upsampled map
        for source, target, table in zip(sources, targets, tables, strict=True):
            rows, columns = locate_region(region, (image.height, image.width), source.shape, sources[1].shape)
            covered = (rows.inside_length, columns.inside_length)
            if covered != source.shape:
                target[:] = source
            if 0 in covered:
                continue
            if not indices:
                heat = upsample_cubic(heat, (rows.stop - rows.start, columns.stop - columns.start))
            if source.shape not in indices:
                indices[source.shape] = self._indices(heat, rows, columns)
            colored = self._look_up(indices[source.shape], table)[: math.prod(covered)].reshape(covered)
            where = (rows.inside, columns.inside)
            cv2.addWeighted(source[where], 1 - self._alpha, colored, self._alpha, 0, dst=target[where])
        return fresh

    def _indices(self, heat: FloatArray, rows: Span, columns: Span) -> ByteArray:
        """Upsample a heatmap to a plane; return each sample's index in the color map, uint8 (samples,).

        An odd number is padded by one, as `_look_up` takes them in pairs.
        """
        shares = upsample_linear(heat, rows, columns, self._scratch, "heat")
        numbers = self._scratch.array("indices", (shares.size + shares.size % 2,), np.uint8)
        cv2.convertScaleAbs(shares, dst=numbers[: shares.size].reshape(shares.shape), alpha=255)
        return numbers

    def _look_up(self, indices: ByteArray, table: PairTable) -> PlaneArray:
        """Look up the plane's values of an even number of indices."""
        values = self._scratch.array("colors", indices.shape, np.uint8 if table.itemsize == 2 else np.uint16)
        cv2.LUT(indices.view(np.uint16), table, dst=values.view(table.dtype))
        return values

    def _tables_for(self, coding: YuvCoding) -> tuple[PairTable, ...]:
        if coding not in self._tables:
            yuv = np.clip(np.rint(coding.encode_rgb(self._rgb)), 0, coding.highest).astype(coding.dtype)
            self._tables[coding] = tuple(_pair_table(plane) for plane in yuv.T)
        return self._tables[coding]


def _pair_table(table: PlaneArray) -> PairTable:
    """Turn a lookup table for single samples into one for pairs, which takes half the time.

    Args:
        table: Value for each index, uint8 or uint16 (256,).

    Returns:
        (65536,): maps two indices read as one number to their two values read as one number.
    """
    pairs = np.arange(1 << 16, dtype=np.uint16).view(np.uint8)
    values = table[pairs]
    if table.itemsize == 1:
        return np.asarray(values.view(np.uint16), np.uint16)
    return np.asarray(values.view(np.int32), np.int32)


def check_alpha(alpha: float) -> None:
    """Check the weight of the heat.

    Raises:
        InvalidArgumentError: if it is outside 0 to 1.
    """
    if not 0 <= alpha <= 1:
        raise InvalidArgumentError(f"`alpha` is a weight from 0 to 1, not {alpha:g}")
