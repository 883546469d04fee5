"""Blending of a heatmap onto an image through a color map, directly in planar YUV.

The heatmap is upsampled to each plane's size, colored by a lookup table of that plane's code values, and
mixed with the image's samples into a fresh image. Nothing is converted to RGB and back, and pixels outside
the heatmap are copied bit for bit.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from streamcam.errors import InvalidArgumentError, unknown_name
from streamcam.frames import FloatArray, Region
from streamcam.media.images import ByteArray, Image, PlaneArray, YuvCoding, blank_like, coding_of, planes_of
from streamcam.overlay.colormaps import lookup_table
from streamcam.overlay.placement import Scratch, Span, locate_region, upsample_cubic, upsample_linear

PairTable = NDArray[np.uint16] | NDArray[np.int32]
"""The values of two samples, of 8 or more bits, for every pair of indices, (65536,)."""


_FULL_OPACITY_AT = 0.6
"""Heat from which `ramp_up` is 1: what is hotter is as strong as with an even blend."""


def ramp_up(strength: FloatArray) -> FloatArray:
    """Rise smoothly from 0 without heat to 1 at `_FULL_OPACITY_AT`, by ``t**2 * (3 - 2 * t)``.

    Args:
        strength: Strength of the heat, float32, 0 to 1.
    """
    share = (strength / np.float32(_FULL_OPACITY_AT)).clip(0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)


BLENDS: dict[str, Callable[[FloatArray], FloatArray]] = {"ramp": ramp_up, "even": np.ones_like}
"""Name → what share of the full weight heat has, by its strength, both 0 to 1."""


class HeatBlender:
    """Mixes colors into images by heat: ``(1 - w) * image + w * color``. Not thread-safe.

    The color and its weight w depend on the strength of the heat.
    """

    def __init__(self, colors: ByteArray, weights: FloatArray, *, everywhere: bool = False) -> None:
        """Choose colors and weights.

        Args:
            colors: Color by strength of the heat, RGB, uint8 (256, 3).
            weights: Its weight by strength of the heat, float32 (256,), 0 to 1.
            everywhere: Whether what lies outside the heatmap is treated as having no heat; it is left as it
                is otherwise.
        """
        self._rgb = colors
        self._weights = weights
        self._even_weight = float(weights[0]) if np.ptp(weights) == 0 else None
        self._everywhere = everywhere
        self._tables: dict[YuvCoding, _Tables] = {}
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
        coding = coding_of(image)
        tables = self._tables_for(coding)
        unheated, unheated_weight = coding.encode_rgb(self._rgb[0]), float(self._weights[0])
        indices: dict[tuple[int, ...], ByteArray] = {}  # both chroma planes share one upsampled map
        kept: dict[tuple[int, ...], PlaneArray] = {}
        for source, target, table, value in zip(sources, targets, tables.colors, unheated, strict=True):
            rows, columns = locate_region(region, (image.height, image.width), source.shape, sources[1].shape)
            covered = (rows.inside_length, columns.inside_length)
            if covered != source.shape:
                if self._everywhere:
                    added = unheated_weight * float(value)
                    cv2.addWeighted(source, 1 - unheated_weight, source, 0, added, dst=target)
                else:
                    target[:] = source
            if 0 in covered:
                continue
            if not indices:
                heat = upsample_cubic(heat, (rows.stop - rows.start, columns.stop - columns.start))
                # Rounded before it is enlarged further where that matters little, as it takes less time.
                values = heat if self._even_weight is not None else np.rint(255 * heat).astype(np.uint8)
            if source.shape not in indices:
                indices[source.shape] = self._indices(values, rows, columns)
                if self._even_weight is None:
                    kept[source.shape] = self._look_up(indices[source.shape], tables.keep, "keep", covered)
            colored = self._look_up(indices[source.shape], table, "colors", covered)
            where = (rows.inside, columns.inside)
            if self._even_weight is not None:
                weight = self._even_weight
                cv2.addWeighted(source[where], 1 - weight, colored, weight, 0, dst=target[where])
            else:
                cv2.multiply(source[where], kept[source.shape], dst=target[where], scale=1 / tables.highest)
                cv2.add(target[where], colored, dst=target[where])
        return fresh

    def _indices(self, values: FloatArray | ByteArray, rows: Span, columns: Span) -> ByteArray:
        """Upsample a heatmap to a plane; return each sample's index in the color map, uint8 (samples,).

        An odd number is padded by one, as `_look_up` takes them in pairs.
        """
        even = self._even_weight is not None
        shares = upsample_linear(values, rows, columns, self._scratch, "heat")
        if not even and shares.size % 2 == 0 and shares.flags.c_contiguous:  # most are: nothing to copy
            return np.asarray(shares.reshape(-1), np.uint8)
        numbers = self._scratch.array("indices", (shares.size + shares.size % 2,), np.uint8)
        target = numbers[: shares.size].reshape(shares.shape)
        if even:
            cv2.convertScaleAbs(shares, dst=target, alpha=255)
        else:
            target[:] = shares
        return numbers

    def _look_up(self, indices: ByteArray, table: PairTable, use: str, shape: tuple[int, int]) -> PlaneArray:
        """Look up the plane's values of an even number of indices; return as many as the shape holds."""
        values = self._scratch.array(use, indices.shape, np.uint8 if table.itemsize == 2 else np.uint16)
        cv2.LUT(indices.view(np.uint16), table, dst=values.view(table.dtype))
        return values[: math.prod(shape)].reshape(shape)

    def _tables_for(self, coding: YuvCoding) -> _Tables:
        if coding not in self._tables:
            colors = coding.encode_rgb(self._rgb)
            if self._even_weight is None:
                colors = colors * self._weights[:, None]
            values = np.clip(np.rint(colors), 0, coding.highest).astype(coding.dtype)
            keep = np.rint(np.float32(coding.highest) * (1 - self._weights)).astype(coding.dtype)
            self._tables[coding] = _Tables(
                tuple(_pair_table(plane) for plane in values.T), _pair_table(keep), coding.highest
            )
        return self._tables[coding]


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class _Tables:
    """Lookup tables for one coding, in its code values."""

    colors: tuple[PairTable, ...]
    """Y, Cb and Cr; already weighted unless the weight is the same everywhere."""
    keep: PairTable
    """How much of the image shows through, 0 to `highest`."""
    highest: int


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


def colormap_blender(colormap: str, alpha: float, blend: str) -> HeatBlender:
    """Make the blender that shows heat through a color map.

    Args:
        colormap: Name of a color map in `COLORMAPS`.
        alpha: Weight of full heat, from 0 (none) to 1 (only heat).
        blend: One of `BLENDS`: how the weight follows the strength of the heat.

    Raises:
        InvalidArgumentError: if alpha is outside 0 to 1, or the color map or the blend does not exist.
    """
    check_alpha(alpha)
    if blend not in BLENDS:
        raise unknown_name("blend", blend, BLENDS)
    strength = np.linspace(0, 1, 256, dtype=np.float32)
    return HeatBlender(lookup_table(colormap), np.float32(alpha) * BLENDS[blend](strength))


def check_alpha(alpha: float) -> None:
    """Check the weight of the heat.

    Raises:
        InvalidArgumentError: if it is outside 0 to 1.
    """
    if not 0 <= alpha <= 1:
        raise InvalidArgumentError(f"`alpha` is a weight from 0 to 1, not {alpha:g}")
