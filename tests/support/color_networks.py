"""Networks made by hand that know a thing by its own color, by that of its background, or by either."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from streamcam.models import Classifier, InputSpec

SIZE = (64, 48)
BOX = (20, 12, 44, 36)
RED, GREEN = (220, 30, 30), (30, 200, 30)


class Colors(nn.Module):
    """How much red and green there is in all: (N, 3, H, W) → logits (N, 2)."""

    def __init__(self, red: float, green: float, bias: float) -> None:
        super().__init__()
        colors = nn.Conv2d(3, 2, 1)
        self.features = nn.Sequential(colors, nn.ReLU())
        self.head = nn.Linear(2, 2)
        with torch.no_grad():
            colors.weight.copy_(torch.tensor([[1.0, -1, 0], [-1, 1, 0]]).view(2, 3, 1, 1))
            colors.bias.copy_(torch.tensor([-0.3, -0.3]))
            self.head.weight.copy_(torch.tensor([[red, green], [0, 0]]))
            self.head.bias.copy_(torch.tensor([bias, 0.0]))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.features(images).mean(dim=(2, 3)))
        return logits


def _classifier(name: str, network: nn.Module) -> Classifier:
    spec = InputSpec(SIZE, SIZE[1], (0.0,) * 3, (1.0,) * 3)
    return Classifier(name, network, ("thing", "other"), spec, "by hand")


def by_object() -> Classifier:
    """Sees the red thing: its probability is 0.95 with it, and 0.12 without."""
    return _classifier("by object", Colors(60, 0, -2))


def by_background() -> Classifier:
    """Sees the green around it: its probability is 0.95 with it, and 0.05 without."""
    return _classifier("by background", Colors(0, 20, -3))


def by_either() -> Classifier:
    """Is nearly as sure where only one of both is there."""
    return _classifier("by either", Colors(80, 20, -2))


def save_thing(path: Path, box: tuple[int, int, int, int] = BOX) -> None:
    """Save an image of a red rectangle on green."""
    image = np.empty((SIZE[1], SIZE[0], 3), np.uint8)
    image[:] = GREEN
    left, top, right, bottom = box
    image[top:bottom, left:right] = RED
    Image.fromarray(image).save(path)
