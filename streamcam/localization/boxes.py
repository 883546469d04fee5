"""Boxes around heat: weakly supervised localization."""

from __future__ import annotations

import dataclasses
import math

import cv2
import numpy as np
from numpy.typing import NDArray

from streamcam.frames import FloatArray
from streamcam.localization.settings import LARGEST

LEAST_SHARE = 0.05
"""Of several connected areas, those with less than this share of the frame's heat get no box."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class FoundBox:
    """A box around one connected area of heat."""

    box: tuple[float, float, float, float]
    """Left, top, right and bottom edge, as fractions of the grid's width and height."""
    mask: NDArray[np.bool_]
    """Which part of the box belongs to the area, bool (h, w), in cells of the grid."""
    share: float
    """Share of the grid's heat inside the box, 0 to 1."""


def find_boxes(grid: FloatArray, threshold: float, components: str) -> list[FoundBox]:
    """Put a box around each connected area of heat that reaches a share of the maximum.

    This is the localization of Zhou et al. 2016, "Learning Deep Features for Discriminative Localization",
    https://arxiv.org/abs/1512.04150: the map is enlarged to the image and cut at a share of its maximum, and
    the largest connected area gets a box. `FoundBox.share` is the energy-based pointing game of Wang et al.
    2020, "Score-CAM", https://arxiv.org/abs/1910.01279.

    Args:
        grid: Heat, float32 (rows, columns); evidence against, which is negative, counts as none.
        threshold: Share of the maximum from which on heat is inside.
        components: A name in `COMPONENTS`. Areas that touch at a corner are one.

    Returns:
        The boxes, the largest area first; none where there is no heat.
    """
    heat = grid.clip(0)
    peak, total = float(heat.max()), float(heat.sum(dtype=np.float64))
    if not (peak > 0 and math.isfinite(total)):
        return []
    hot = (heat >= np.float32(threshold * peak)).view(np.uint8)
    _, areas, statistics, _ = cv2.connectedComponentsWithStats(hot, connectivity=8)
    sizes = statistics[1:, cv2.CC_STAT_AREA]
    order = [int(place) + 1 for place in np.argsort(-sizes, kind="stable")]
    if components == LARGEST:
        order = order[:1]
    rows, columns = heat.shape
    found = []
    for number in order:
        left, top, width, height = statistics[number, :4].tolist()
        inside = (slice(top, top + height), slice(left, left + width))
        mask = areas[inside] == number
        if components == "all" and heat[inside][mask].sum(dtype=np.float64) < LEAST_SHARE * total:
            continue
        box = (left / columns, top / rows, (left + width) / columns, (top + height) / rows)
        found.append(FoundBox(box, mask, float(heat[inside].sum(dtype=np.float64)) / total))
    return found
