"""Blending of several heatmaps, each in one color, or of evidence for and against a class in two.

A color's weight follows its heat: pixels without heat stay unchanged, so that colors do not hide each other.
Beneath a color the image is less colorful and a little darker, and a line in the color surrounds strong heat.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from streamcam.frames import FloatArray, Region
from streamcam.media.images import Image, blank_like, coding_of, planes_of
from streamcam.overlay.blending import check_alpha, ramp_up
from streamcam.overlay.lines import draw_lines, trace_contour
from streamcam.overlay.placement import (
    Scratch,
    locate_region,
    upsample_cubic,
    upsample_linear,
)
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


_DOUBLINGS = 4
"""Colors are mixed by the 16th power of their heat, squared this often: in plain proportion, three classes
with similar heatmaps would mix to gray."""

_LEAST_DOMINANCE = 1 / 128
"""Heat relative to the strongest that is as good as none: its 16th power is 1e-34."""

_OUTLINE_AT = 0.5
"""Strength of the heat at which its outline is drawn."""


class Tinter:
    """Mixes heatmaps of several colors into images: ``(1 - w) * faded + w * color``.

    At each pixel the weight w is alpha times `ramp_up` of the strongest heat, and the color is that of the
    strongest with little of the others. The faded image has ``1 - w`` of the image's chroma and ``1 - w / 2``
    of its luma: a color mixed into other colors could not be recognized. Each heatmap's outline at half
    strength is drawn in its color. Not thread-safe.
    """

    def __init__(self, alpha: float) -> None:
        """Choose the weight.

        Args:
            alpha: Weight of full heat, from 0 to 1.

        Raises:
            InvalidArgumentError: if alpha is outside 0 to 1.
        """
        check_alpha(alpha)
        self._alpha = alpha
        self._scratch = Scratch()

    def tint(
        self,
        image: Image,
        heats: Sequence[FloatArray],
        colors: Sequence[Rgb],
        region: Region,
        opacities: Sequence[float] = (),
    ) -> Image:
        """Tint an image.

        Args:
            image: Planar YUV image; it is not changed.
            heats: Heatmaps, float32 (h, w) each, 0 to 1, all of one shape.
            colors: Color of each heatmap.
            region: Part of the image that the heatmaps cover.
            opacities: Factor on the weight of each heatmap, 0 to 1; 1 for all if empty.

        Returns:
            A fresh image of the same size, format and tags.
        """
        fresh = blank_like(image)
        sources, targets = planes_of(image), planes_of(fresh)
        coding = coding_of(image)
        highest, dtype = coding.highest, coding.dtype
        pixels = (
            round((region.bottom - region.top) * image.height),
            round((region.right - region.left) * image.width),
        )
        maps = np.stack([upsample_cubic(heat, pixels) for heat in heats])
        # Black, which has no chroma, and the colors.
        encoded = coding.encode_rgb(np.array([(0, 0, 0), *colors], np.float32))
        zero, yuv = encoded[0], encoded[1:]
        weight, color = self._mix(maps, yuv, opacities or [1.0] * len(heats))
        size = (image.width, image.height)
        outlines = (
            [trace_contour(heat, _OUTLINE_AT, region, size) for heat in maps]
            if self._alpha
            else [[] for _ in maps]
        )
        fading = (1 - weight / 2, 1 - weight, 1 - weight)
        drawn = np.rint(yuv).clip(0, highest)
        for number, (source, target) in enumerate(zip(sources, targets, strict=True)):
            rows, columns = locate_region(region, (image.height, image.width), source.shape, sources[1].shape)
            covered = (rows.inside_length, columns.inside_length)
            if covered != source.shape:
                target[:] = source
            if 0 in covered:
                continue
            where = (rows.inside, columns.inside)
            share = (1 - weight) * fading[number]  # of the image
            values = (1 - weight - share) * zero[number] + weight * color[number]
            kept, added = (
                # Integer code values: the rounding error is below one level, and it takes half the time.
                upsample_linear(np.rint(part).astype(dtype), rows, columns, self._scratch, use)
                for use, part in (("kept", highest * share), ("added", values))
            )
            mixed = self._scratch.array("mixed", added.shape, dtype)
            cv2.multiply(source[where], kept, dst=mixed, scale=1 / highest)
            cv2.add(mixed, added, dst=target[where])
            steps = (-(-size[0] // source.shape[1]), -(-size[1] // source.shape[0]))
            origin = (columns.inside.start * steps[0], rows.inside.start * steps[1])
            thickness = max(1, max(2, 2 * round(0.0015 * min(size))) // min(steps))
            for lines, value in zip(outlines, drawn[:, number], strict=True):
                shifted = [line - origin for line in lines]
                draw_lines(target[where], shifted, steps, int(value), thickness)
        return fresh

    def _mix(
        self, maps: FloatArray, yuv: FloatArray, opacities: Sequence[float]
    ) -> tuple[FloatArray, FloatArray]:
        """Return the weight of the heat, float32 (h, w), and its color in YUV, float32 (3, h, w)."""
        strongest = maps.max(axis=0)
        # Relative to the strongest, so that powers of weak heat do not underflow.
        dominance = maps / np.maximum(strongest, np.finfo(np.float32).tiny)
        # With less, powers underflow to numbers that processors take a hundred times as long for.
        np.maximum(dominance, np.float32(_LEAST_DOMINANCE), out=dominance)
        for _ in range(_DOUBLINGS):
            dominance *= dominance
        shares = dominance / np.maximum(dominance.sum(axis=0), np.float32(1))
        weight = ramp_up(strongest)
        if min(opacities) < 1:  # of what is strongest there, as the color is
            weight *= np.einsum("khw,k->hw", shares, np.array(opacities, np.float32))
        return np.float32(self._alpha) * weight, np.einsum("khw,kc->chw", shares, yuv)


def split_by_sign(heat: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Split a signed heatmap, float32 (h, w), into evidence for a class and evidence against it."""
    return heat.clip(min=0), (-heat).clip(min=0)
