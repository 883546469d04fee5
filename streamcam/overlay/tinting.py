"""Blending of several heatmaps, each in one color, or of evidence for and against a class in two.

A color's weight follows its heat: pixels without heat stay unchanged, so that colors do not hide each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import DTypeLike, NDArray

from streamcam.frames import FloatArray, Region
from streamcam.media.images import Image, blank_like, coding_of, planes_of
from streamcam.overlay.blending import check_alpha
from streamcam.overlay.placement import Scratch, Span, locate_region, upsample_cubic, upsample_linear
from streamcam.overlay.sprites import Rgb

FOR_COLOR: Rgb = (255, 64, 32)
AGAINST_COLOR: Rgb = (40, 110, 255)

PALETTE: tuple[Rgb, ...] = (
    (255, 84, 48),
    (56, 150, 255),
    (88, 214, 92),
    (255, 205, 48),
    (214, 92, 255),
    (48, 222, 214),
)
"""Colors of the first, the second, … class; reused from the start after the last."""


_DOMINANCE = 16
"""Colors are mixed by this power of their heat: in plain proportion, three classes with similar heatmaps
would mix to gray."""


class Tinter:
    """Mixes heatmaps of several colors into images: ``(1 - a h) * image + a h * color``.

    At each pixel h is the strongest heat, and the color is that of the strongest with little of the others.
    Not thread-safe.
    """

    def __init__(self, alpha: float) -> None:
        """Choose the weight.

        Args:
            alpha: Weight a of full heat, from 0 to 1.

        Raises:
            InvalidArgumentError: if alpha is outside 0 to 1.
        """
        check_alpha(alpha)
        self._alpha = alpha
        self._scratch = Scratch()

    def tint(self, image: Image, heats: Sequence[FloatArray], colors: Sequence[Rgb], region: Region) -> Image:
        """Tint an image.

        Args:
            image: Planar YUV image; it is not changed.
            heats: Heatmaps, float32 (h, w) each, 0 to 1, all of one shape.
            colors: Color of each heatmap.
            region: Part of the image that the heatmaps cover.

        Returns:
            A fresh image of the same size, format and tags.
        """
        fresh = blank_like(image)
        sources, targets = planes_of(image), planes_of(fresh)
        coding = coding_of(image)
        highest, dtype = coding.highest, coding.dtype
        strongest, color = self._mix(image, heats, colors, region)
        kept: dict[tuple[int, ...], NDArray[Any]] = {}  # both chroma planes share one upsampled map
        for source, target, values in zip(sources, targets, color, strict=True):
            rows, columns = locate_region(region, (image.height, image.width), source.shape, sources[1].shape)
            covered = (rows.inside_length, columns.inside_length)
            if covered != source.shape:
                target[:] = source
            if 0 in covered:
                continue
            if source.shape not in kept:
                kept[source.shape] = self._upsample(highest * (1 - strongest), rows, columns, dtype, "kept")
            where = (rows.inside, columns.inside)
            added = self._upsample(values * strongest, rows, columns, dtype, "added")
            mixed = self._scratch.array("mixed", added.shape, dtype)
            cv2.multiply(source[where], kept[source.shape], dst=mixed, scale=1 / highest)
            cv2.add(mixed, added, dst=target[where])
        return fresh

    def _upsample(
        self, values: NDArray[np.floating], rows: Span, columns: Span, dtype: DTypeLike, use: str
    ) -> NDArray[Any]:
        """Upsample integer code values: the rounding error is below one level, and it takes half the time."""
        return upsample_linear(np.rint(values).astype(dtype), rows, columns, self._scratch, use)

    def _mix(
        self, image: Image, heats: Sequence[FloatArray], colors: Sequence[Rgb], region: Region
    ) -> tuple[FloatArray, NDArray[np.float32]]:
        """Return the weight of the heat, float32 (h, w), and its color in YUV, float32 (3, h, w)."""
        pixels = (
            round((region.bottom - region.top) * image.height),
            round((region.right - region.left) * image.width),
        )
        weights = np.stack([upsample_cubic(heat, pixels) for heat in heats])
        strongest = weights.max(axis=0)
        # Relative to the strongest, so that powers of weak heat do not underflow.
        dominance = (weights / np.maximum(strongest, np.finfo(np.float32).tiny)) ** _DOMINANCE
        shares = dominance / np.maximum(dominance.sum(axis=0), np.float32(1))
        yuv = coding_of(image).encode_rgb(np.array(colors, np.float32))
        return np.float32(self._alpha) * strongest, np.einsum("khw,kc->chw", shares, yuv)


def split_by_sign(heat: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Split a signed heatmap, float32 (h, w), into evidence for a class and evidence against it."""
    return heat.clip(min=0), (-heat).clip(min=0)
