"""Small networks, of which some are written to files in several formats."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Pooled(nn.Module):
    """Three classes, by the mean of eight features, which a grid of 8x8 has of an image of 32x32."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.ReLU())
        self.fc = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> Any:
        return self.fc(self.features(x).mean((2, 3)))


class Residual(nn.Module):
    """Small, with a connection around a layer, so that what stands before a cut is needed behind it."""

    def __init__(self, channels: int = 3, classes: int = 3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(channels, 8, 3, stride=4, padding=1)
        self.layer = nn.Conv2d(8, 8, 3, padding=1)
        self.last = nn.Conv2d(8, 8, 1)
        self.fc = nn.Linear(8, classes)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        features = self.stem(batch).relu()
        features = self.last(features + self.layer(features).relu()).relu()
        logits: torch.Tensor = self.fc(features.mean(dim=(2, 3)))
        return logits
