"""Several maps at once, each in a colour of its own; and evidence for and against in two colours.

Here a colour's weight follows its heat: places without any stay as they are, so that colours do not drown
each other, and what speaks neither for nor against is not tinted at all.
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
from streamcam.overlay.placement import Scratch, Span, covered_spans, enlarged, rounded_out
from streamcam.overlay.sprites import Rgb

FOR: Rgb = (255, 64, 32)
AGAINST: Rgb = (40, 110, 255)

PALETTE: tuple[Rgb, ...] = (
    (255, 84, 48),
    (56, 150, 255),
    (88, 214, 92),
    (255, 205, 48),
    (214, 92, 255),
    (48, 222, 214),
)
"""Colours for the first, the second, … class; they begin again after the last."""


_DOMINANCE = 16
"""Colours count by this power of their heat: mixed in plain proportion, three classes that look at much the
same places would make grey."""


class Tinter:
    """Mixes heat of several colours into images: ``(1 - a h) * image + a h * colour``.

    At each place h is the strongest heat there, and the colour is that of the strongest, with little of the
    others.
    """

    def __init__(self, alpha: float) -> None:
        """Assign.

        Args:
            alpha: a, the weight of the strongest heat, from 0 to 1.

        Raises:
            InvalidArgumentError: if alpha is outside 0 to 1.
        """
        check_alpha(alpha)
        self._alpha = alpha
        self._scratch = Scratch()

    def tint(
        self, image: Image, heats: Sequence[FloatArray], colours: Sequence[Rgb], region: Region
    ) -> Image:
        """Tint an image.

        Args:
            image: Planar YUV; left as it is.
            heats: float32 (h, w) each, 0 to 1, all of one shape.
            colours: One for each.
            region: The part of the image that the maps cover.

        Returns:
            A fresh image of the same size, format and tags.
        """
        fresh = blank_like(image)
        sources, targets = planes_of(image), planes_of(fresh)
        coding = coding_of(image)
        highest, dtype = coding.highest, coding.dtype
        strongest, colour = self._mixture(image, heats, colours, region)
        kept: dict[tuple[int, ...], NDArray[Any]] = {}  # both chroma planes share one enlarged map
        for source, target, values in zip(sources, targets, colour, strict=True):
            rows, columns = covered_spans(region, (image.height, image.width), source.shape, sources[1].shape)
            covered = (rows.inside_length, columns.inside_length)
            if covered != source.shape:
                target[:] = source
            if 0 in covered:
                continue
            if source.shape not in kept:
                kept[source.shape] = self._enlarged(highest * (1 - strongest), rows, columns, dtype, "kept")
            where = (rows.inside, columns.inside)
            added = self._enlarged(values * strongest, rows, columns, dtype, "added")
            mixed = self._scratch.array("mixed", added.shape, dtype)
            cv2.multiply(source[where], kept[source.shape], dst=mixed, scale=1 / highest)
            cv2.add(mixed, added, dst=target[where])
        return fresh

    def _enlarged(
        self, values: NDArray[np.floating], rows: Span, columns: Span, dtype: DTypeLike, use: str
    ) -> NDArray[Any]:
        """Enlarge code values as such: that rounds off less than one level, and takes half the time."""
        return enlarged(np.rint(values).astype(dtype), rows, columns, self._scratch, use)

    def _mixture(
        self, image: Image, heats: Sequence[FloatArray], colours: Sequence[Rgb], region: Region
    ) -> tuple[FloatArray, NDArray[np.float32]]:
        """Return the weight of the heat, float32 (h, w), and its colour in YUV, float32 (3, h, w)."""
        pixels = (
            round((region.bottom - region.top) * image.height),
            round((region.right - region.left) * image.width),
        )
        weights = np.stack([rounded_out(heat, pixels) for heat in heats])
        strongest = weights.max(axis=0)
        # Beside the strongest, so that the power of weak heat does not vanish, and all its colour with it.
        ahead = (weights / np.maximum(strongest, np.finfo(np.float32).tiny)) ** _DOMINANCE
        shares = ahead / np.maximum(ahead.sum(axis=0), np.float32(1))
        yuv = coding_of(image).encode_rgb(np.array(colours, np.float32))
        return np.float32(self._alpha) * strongest, np.einsum("khw,kc->chw", shares, yuv)


def for_and_against(heat: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Part signed heat, float32 (h, w), into what speaks for a class and what speaks against it."""
    return heat.clip(min=0), (-heat).clip(min=0)
