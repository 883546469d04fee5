"""Random views of images: moved, scaled and turned, so that what is made does not hang on single pixels."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

_JITTER = 0.15
"""How far a view is moved at most, as a share of its side, in either direction."""
_ZOOM = 0.35
"""By how much it is scaled at most, up and down."""
_DEGREES = 10.0
"""How far it is turned at most."""


def random_views(images: torch.Tensor, size: tuple[int, int], generator: torch.Generator) -> torch.Tensor:
    """Return a random view of each image, differentiable.

    Args:
        images: float32 (N, C, H, W).
        size: Of a view, (width, height) in pixels.
        generator: On the CPU.

    Returns:
        float32 (N, C, height, width).
    """
    random = 2 * torch.rand(len(images), 4, generator=generator) - 1
    angles = random[:, 0] * math.radians(_DEGREES)
    scales = 1 + _ZOOM * random[:, 1]
    return _look(images, size, angles, scales, _JITTER * random[:, 2:])


def fixed_view(
    images: torch.Tensor, size: tuple[int, int], scale: float = 1.0, moved: tuple[float, float] = (0, 0)
) -> torch.Tensor:
    """Return the same view of each image.

    Args:
        images: float32 (N, C, H, W).
        size: Of a view, (width, height) in pixels.
        scale: How many pixels of the image make one of the view.
        moved: How far from the center it is, to the right and down, as shares of its sides.
    """
    count = len(images)
    places = torch.tensor(moved).expand(count, 2)
    return _look(images, size, torch.zeros(count), torch.full((count,), scale), places)


def _look(
    images: torch.Tensor,
    size: tuple[int, int],
    angles: torch.Tensor,
    scales: torch.Tensor,
    moved: torch.Tensor,
) -> torch.Tensor:
    width, height = size
    across, down = width / images.shape[3], height / images.shape[2]
    cos, sin = scales * angles.cos(), scales * angles.sin()
    # Coordinates of the image run from -1 to 1 along either side; a view keeps its shape when turned.
    rows = (
        torch.stack([cos * across, -sin * height / images.shape[3], 2 * moved[:, 0] * across], dim=1),
        torch.stack([sin * width / images.shape[2], cos * down, 2 * moved[:, 1] * down], dim=1),
    )
    transforms = torch.stack(rows, dim=1).to(images)
    grid = F.affine_grid(transforms, [len(images), images.shape[1], height, width], align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
