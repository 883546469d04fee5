"""The two libraries that streamcam's values are compared with, and the way they scale a map."""

from __future__ import annotations

import importlib
import os
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn


def require_peer(name: str) -> ModuleType:
    """Import a peer, or skip the test where it is not installed; CI has it and must not skip."""
    if os.environ.get("CI") == "true":
        return importlib.import_module(name)
    module: ModuleType = pytest.importorskip(name)
    return module


def scaled_as_pytorch_grad_cam(raw: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Scale a raw map as pytorch-grad-cam does: cut at 0, to 0..1, enlarged, to 0..1 again.

    Args:
        raw: float32 (h, w).
        size: (width, height) of the network's input.
    """
    cut = np.maximum(raw, 0)
    unit = (cut - cut.min()) / (1e-7 + (cut - cut.min()).max())
    enlarged = cv2.resize(unit.astype(np.float32), size)
    moved = enlarged - enlarged.min()
    return np.asarray(moved / (1e-7 + moved.max()), np.float32)


class LogitsOnly(nn.Module):
    """A network of transformers that answers with its logits alone, as pytorch-grad-cam needs them."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(images).logits
        return logits
