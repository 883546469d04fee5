"""A network that int8 hardly changes, and images to quantize it by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from media_factory import make_clip
from numpy.typing import NDArray
from torch import nn

from streamcam.models import Classifier, InputSpec
from streamcam.models.labels import numbered_labels

Images = list[NDArray[np.uint8]]


class Convolutions(nn.Module):
    """Five convolutions, of which int8 is to compute the three in the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 8, 1),
            nn.ReLU(),
        )
        self.fc = nn.Linear(8, 4)
        generator = torch.Generator().manual_seed(0)
        for parameter in self.parameters():
            with torch.no_grad():
                parameter.normal_(std=0.1, generator=generator)
                if parameter.dim() > 1:
                    parameter.abs_()  # so that nothing cancels out, and rounding is all that differs

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.fc(self.features(batch).mean(dim=(2, 3)))
        return logits


def model_of(module: nn.Module) -> Classifier:
    return Classifier("convolutions", module.eval(), numbered_labels(4), InputSpec(64), "a seed")


def blobs(count: int, seed: int = 0) -> Images:
    """Light on dark, somewhere else in each image."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:64, :64]
    images = []
    for _ in range(count):
        center, color = generator.uniform(8, 56, 2), generator.uniform(60, 255, 3)
        light = np.exp(-((x - center[0]) ** 2 + (y - center[1]) ** 2) / 200)
        images.append((light[..., None] * color).astype(np.uint8))
    return images


def make_film(path: Path) -> Path:
    """Write a video of 24 of them, in gray."""

    def paint(index: int, planes: Sequence[NDArray[np.uint8]]) -> None:
        planes[0][:] = images[index].max(axis=2)
        for plane in planes[1:]:
            plane[:] = 128

    images = blobs(24)
    return make_clip(path, frames=24, size=(64, 64), paint=paint)
