"""From what a method computed to what travels: layers combined, everything finite, nothing hidden."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F

from streamcam.explanations import NOT_FINITE
from streamcam.frames import FloatArray

NO_EVIDENCE = "no positive evidence"


def combine_layers(
    maps: Sequence[torch.Tensor], how: Literal["mean", "product"], size: Sequence[int]
) -> torch.Tensor:
    """Make one map of those of several layers.

    Each layer's map is cut at zero and scaled to 0..1, so that no layer drowns the others; the result has
    the strength of their mean maximum. A single map is returned as it is.

    Args:
        maps: float32 (N, h, w), each of its own resolution.
        how: Whether to average them or to multiply them.
        size: (H, W) of the network's input, where grids of different resolution meet.

    Returns:
        float32 (N, H, W).
    """
    if len(maps) == 1:
        return maps[0]
    strengths = torch.stack([values.amax(dim=(1, 2)).clamp(min=0) for values in maps]).mean(dim=0)
    enlarged = [
        F.interpolate(
            _unit(values.clamp(min=0)).unsqueeze(1), tuple(size), mode="bilinear", align_corners=False
        ).squeeze(1)
        for values in maps
    ]
    if how == "mean":
        combined = torch.stack(enlarged).mean(dim=0)
    else:
        combined = torch.stack([_unit(values) for values in enlarged]).prod(dim=0)
    return combined * strengths.view(-1, 1, 1)


def _unit(values: torch.Tensor) -> torch.Tensor:
    """Scale each map of (N, h, w) to 0..1."""
    lowest, highest = values.amin(dim=(1, 2), keepdim=True), values.amax(dim=(1, 2), keepdim=True)
    return (values - lowest) / (highest - lowest).clamp(min=1e-12)


def finish_map(values: FloatArray, *, signed: bool) -> tuple[FloatArray, str | None]:
    """Make a map fit to travel.

    Args:
        values: float32 (h, w), as a method left it.
        signed: Whether negative values stay.

    Returns:
        float32 (h, w), finite; and why it is all zeros, where it is.
    """
    if not np.isfinite(values).all():
        return np.zeros_like(values), NOT_FINITE
    finished = values if signed else np.maximum(values, 0)
    return finished, None if finished.any() else NO_EVIDENCE
