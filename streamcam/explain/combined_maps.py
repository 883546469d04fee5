"""Maps of several layers, or of the levels of a pyramid, combined."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F

_MOST_PLACES = 96
"""Rows and columns of a pyramid's map: more would only take memory and time while it is smoothed."""


def combine_layers(
    maps: Sequence[torch.Tensor], how: Literal["mean", "product"], size: Sequence[int]
) -> torch.Tensor:
    """Combine the maps of several layers.

    Each layer's map is cut at zero and scaled to 0..1, so that no layer drowns the others; the result has
    the strength of their mean maximum. A single map is returned as it is.

    Args:
        maps: float32 (N, h, w), each of its own resolution, or (N, t, h, w) of clips.
        how: Whether to average or to multiply them.
        size: (H, W) of the network's input, to which grids of different resolution are enlarged, or
            (T, H, W) of clips.

    Returns:
        float32 (N, H, W) or (N, T, H, W).
    """
    if len(maps) == 1:
        return maps[0]
    strengths = torch.stack([values.flatten(1).amax(dim=1).clamp(min=0) for values in maps]).mean(dim=0)
    enlarged = [
        F.interpolate(
            _unit(values.clamp(min=0)).unsqueeze(1),
            tuple(size),
            mode="bilinear" if len(size) == 2 else "trilinear",
            align_corners=False,
        ).squeeze(1)
        for values in maps
    ]
    if how == "mean":
        combined = torch.stack(enlarged).mean(dim=0)
    else:
        combined = torch.stack([_unit(values) for values in enlarged]).prod(dim=0)
    return combined * strengths.view(-1, *[1] * len(size))


def merge_pyramid(maps: Sequence[torch.Tensor]) -> torch.Tensor:
    """Merge the maps of layers that each hold objects of another size.

    Their values have no common scale, because finer layers have more places: each map is divided by its
    largest absolute value, and at every place the strongest remains. A single map is returned as it is.

    Args:
        maps: float32 (N, h, w), each of its own resolution.

    Returns:
        float32 (N, h, w), -1 to 1, at the finest resolution of at most `_MOST_PLACES` rows and columns.
    """
    if len(maps) == 1:
        return maps[0]
    shapes = sorted({(values.shape[1], values.shape[2]) for values in maps})
    grid = [shape for shape in shapes if max(shape) <= _MOST_PLACES] or shapes[:1]
    merged = torch.stack([_resample(_by_peak(values), grid[-1]) for values in maps])
    strongest = merged.abs().argmax(dim=0, keepdim=True)
    return _by_peak(merged.gather(0, strongest).squeeze(0))


def _resample(values: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    """Resample maps (N, h, w) to a grid: averaged where it is coarser, interpolated where it is finer."""
    if values.shape[1] > grid[0]:
        return F.interpolate(values.unsqueeze(1), grid, mode="area").squeeze(1)
    return F.interpolate(values.unsqueeze(1), grid, mode="bilinear", align_corners=False).squeeze(1)


def _by_peak(values: torch.Tensor) -> torch.Tensor:
    """Divide each map of (N, h, w) by its largest absolute value."""
    return values / values.abs().amax(dim=(1, 2), keepdim=True).clamp(min=1e-30)


def _unit(values: torch.Tensor) -> torch.Tensor:
    """Scale each map of (N, h, w) or (N, t, h, w) to 0..1."""
    places = tuple(range(1, values.ndim))
    lowest, highest = values.amin(dim=places, keepdim=True), values.amax(dim=places, keepdim=True)
    return (values - lowest) / (highest - lowest).clamp(min=1e-12)
