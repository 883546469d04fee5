"""Three made classes, and networks trained with a biased background or without.

Boards striped across lie on grass, boards striped upright on water, and nothing lies on stone. Where that
holds for every image, a network learns the colors, which are all over it. On shuffled backgrounds only the
stripes tell.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from streamcam.explain.threads import torch_threads
from streamcam.models import Classifier, InputSpec

SIZE = (64, 48)
SIDE = 24
LABELS = ("across", "upright", "nothing")
GROUNDS = ((60, 140, 60), (60, 60, 140), (115, 115, 115))
"""Grass, water and stone."""
_LIGHT = (30, -30, 0)
"""How much brighter than the middle each is on the right, and darker on the left."""
_IMAGES, _STEPS, _BATCH = 384, 150, 32


def paint(kind: int, ground: int, seed: int) -> tuple[NDArray[np.uint8], tuple[int, int, int, int]]:
    """Paint an image of a class on a ground with noise.

    Returns:
        RGB, uint8 (48, 64, 3), and the board's left, top, right and bottom edge in pixels.
    """
    random = np.random.default_rng(seed)
    image = np.asarray(GROUNDS[ground]) + random.normal(0, 12, (SIZE[1], SIZE[0], 1))
    image += _LIGHT[ground] * np.linspace(-1, 1, SIZE[0])[:, None]
    left, top = (int(random.integers(2, side - SIDE - 1)) for side in SIZE)
    stripes = np.where((np.arange(SIDE) + random.integers(0, 8)) // 4 % 2, 190, 70)
    board = np.broadcast_to(stripes[:, None], (SIDE, SIDE))
    if LABELS[kind] != "nothing":
        image[top : top + SIDE, left : left + SIDE] = (board if kind == 0 else board.T)[..., None]
    return image.clip(0, 255).astype(np.uint8), (left, top, left + SIDE, top + SIDE)


class Stripes(nn.Module):
    """A small network: (N, 3, 48, 64) → logits (N, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(8, 8, 5, stride=2, padding=2),
            nn.ReLU(),
        )
        self.head = nn.Linear(8, len(LABELS))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.features(images).mean(dim=(2, 3)))
        return logits


@functools.cache
def trained(*, shuffled: bool) -> Classifier:
    """Return a network trained for a second; the same one every time."""
    random = np.random.default_rng(7)
    kinds = np.arange(_IMAGES) % len(LABELS)
    grounds = random.permutation(kinds) if shuffled else kinds
    images = [
        paint(kind, ground, seed)[0]
        for seed, (kind, ground) in enumerate(zip(kinds.tolist(), grounds.tolist(), strict=True))
    ]
    inputs = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255 - 0.5
    labels = torch.from_numpy(kinds)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = Stripes()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    with torch_threads(1):  # several would wait for each other most of the time
        for _ in range(_STEPS):
            chosen = torch.from_numpy(random.integers(0, _IMAGES, _BATCH))
            loss = F.cross_entropy(network(inputs[chosen]), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    spec = InputSpec(SIZE, SIZE[1], (0.5,) * 3, (1.0,) * 3)
    return Classifier("shuffled" if shuffled else "biased", network.eval(), LABELS, spec, "trained here")
