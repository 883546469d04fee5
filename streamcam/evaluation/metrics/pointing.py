"""Metrics of where the heat lies, which need a region that holds the object."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamcam.frames import FloatArray
from streamcam.localization.shares import share_inside


def pointing(grid: FloatArray, region: NDArray[np.bool_]) -> float:
    """Pointing game: 1 if the hottest place of the frame is in the region, else 0.

    Zhang et al. 2018, "Top-Down Neural Attention by Excitation Backprop", https://arxiv.org/abs/1608.00507,
    without its margin of 15 pixels around the region.

    Args:
        grid: Heat, float32 (rows, columns), evenly on the frame.
        region: Bool (rows, columns).
    """
    return float(region[grid == grid.max()].any())


def energy(grid: FloatArray, region: NDArray[np.bool_]) -> float:
    """Energy inside: the share of the heat in the region, 0 to 1; see `share_inside`.

    Args:
        grid: As for `pointing`.
        region: Likewise.
    """
    return share_inside(grid, region)
