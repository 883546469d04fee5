"""From raw maps to the strength that is shown."""

from __future__ import annotations

import numpy as np

from streamcam.frames import FloatArray


def scale_to_unit(heatmap: FloatArray, *, signed: bool = False) -> FloatArray:
    """Scale a map so that its strongest place is 1; a map without evidence stays 0.

    Args:
        heatmap: float32 (h, w), finite.
        signed: Whether negative values, evidence against a class, are kept; else they count as none.

    Returns:
        float32 (h, w), 0 to 1; if signed -1 to 1, evidence for and against on one scale.
    """
    strongest = float(np.abs(heatmap).max() if signed else heatmap.max())
    if strongest <= 0:
        return np.zeros_like(heatmap)
    scaled = heatmap / np.float32(strongest)
    return scaled if signed else scaled.clip(min=0)
