"""The share of heat inside a region, in a frame and over a video."""

from __future__ import annotations

import statistics

import numpy as np
from numpy.typing import NDArray

from streamcam.explanations import HeatInside
from streamcam.frames import FloatArray


def share_inside(grid: FloatArray, mask: NDArray[np.bool_]) -> float:
    """Return the share of heat inside a region: the energy-based pointing game.

    Wang et al. 2020, "Score-CAM", https://arxiv.org/abs/1910.01279.

    Args:
        grid: Heat, float32 (rows, columns), somewhere above zero; evidence against counts as none.
        mask: The region, bool (rows, columns).
    """
    heat = grid.clip(0)
    return float(heat[mask].sum(dtype=np.float64) / heat.sum(dtype=np.float64))


class ShareHistory:
    """The share of heat inside a region over a video."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._shares: list[float] = []
        self._areas: list[float] = []

    def add(self, time_s: float, inside: HeatInside) -> None:
        """Add a frame; what counts is the first target that has heat.

        Args:
            time_s: The frame's presentation time in seconds.
            inside: How much of its heat lies inside.
        """
        for share in list(inside.shares.values())[:1]:
            self._times.append(time_s)
            self._shares.append(share)
            self._areas.append(inside.area)

    def notes(self, region: str | None) -> tuple[str, ...]:
        """Describe the video in a sentence; nothing without a region.

        Args:
            region: The region as the user wrote it.
        """
        if region is None:
            return ()
        if not self._shares:
            return (f"no frame has both heat and the region {region}",)
        lowest = min(range(len(self._shares)), key=self._shares.__getitem__)
        return (
            f"{statistics.fmean(self._shares):.0%} of the heat is inside {region}, which covers "
            f"{statistics.fmean(self._areas):.0%} of the frame; least at {self._times[lowest]:.2f} s: "
            f"{self._shares[lowest]:.0%}",
        )
