"""EfficientNet-Lite0, the default model: small, quick, and its weights come with the installation.

EfficientNet (Tan and Le 2019, https://arxiv.org/abs/1905.11946) without squeeze-and-excitation and with
ReLU6 for SiLU, as published by the TensorFlow authors for devices without fast sigmoids. The weights were
converted from theirs (Apache-2.0); they expect pixels scaled as (x - 127) / 128.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import nn

from streamcam.models.base import InputSpec
from streamcam.models.state_dicts import StateDict

INPUT = InputSpec(size=224, resize=256, mean=(127 / 255,) * 3, std=(128 / 255,) * 3)

WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

# repeats, kernel, stride, channels in, channels out, expansion
_STAGES = (
    (1, 3, 1, 32, 16, 1),
    (2, 3, 2, 16, 24, 6),
    (2, 5, 2, 24, 40, 6),
    (3, 3, 2, 40, 80, 6),
    (3, 5, 1, 80, 112, 6),
    (4, 5, 2, 112, 192, 6),
    (1, 3, 1, 192, 320, 6),
)


class HalvingConv(nn.Conv2d):
    """Convolution of stride 2 that pads as TensorFlow does, as the weights are used to.

    Along an even side there is one more zero behind than before. With the same padding on both sides, as
    PyTorch's convolutions have it, every stage reads a place beside the one that it was trained on.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int, *, groups: int, bias: bool) -> None:
        super().__init__(channels_in, channels_out, kernel, 2, groups=groups, bias=bias)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Map (N, channels in, H, W) to (N, channels out, H / 2, W / 2), rounded up."""
        left, right = self._padding(input.shape[3])
        top, bottom = self._padding(input.shape[2])
        return super().forward(F.pad(input, (left, right, top, bottom)))

    def _padding(self, length: int) -> tuple[int, int]:
        # No `max` and no `if`: torch.fx traces this.
        total = self.kernel_size[0] - 2 + length % 2
        return total // 2, total - total // 2


class ConvNorm(nn.Sequential):
    """Convolution, normalization and, unless it is left out, ReLU6.

    torchvision has such a block; importing it takes longer than everything else at start-up together.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int = 1,
        *,
        stride: int = 1,
        groups: int = 1,
        activation: bool = True,
    ) -> None:
        convolution = (
            nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, groups=groups, bias=False)
            if stride == 1
            else HalvingConv(channels_in, channels_out, kernel, groups=groups, bias=False)
        )
        layers: list[nn.Module] = [convolution, nn.BatchNorm2d(channels_out, eps=1e-3)]
        super().__init__(*layers, *([nn.ReLU6(inplace=True)] if activation else []))


class InvertedBottleneck(nn.Module):
    """Expand, filter each channel by itself, project; add the input where the shapes allow it."""

    def __init__(self, kernel: int, stride: int, channels_in: int, channels_out: int, expansion: int) -> None:
        super().__init__()
        hidden = channels_in * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers.append(ConvNorm(channels_in, hidden))
        layers.append(ConvNorm(hidden, hidden, kernel, stride=stride, groups=hidden))
        layers.append(ConvNorm(hidden, channels_out, activation=False))
        self.block = nn.Sequential(*layers)
        self.adds_input = stride == 1 and channels_in == channels_out

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (N, channels_in, H, W) to (N, channels_out, H / stride, W / stride)."""
        projected: torch.Tensor = self.block(features)
        return features + projected if self.adds_input else projected


class EfficientNetLite0(nn.Module):
    """The network: a stem, seven stages, a 1x1 convolution, global average pooling and one linear layer."""

    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        layers: list[nn.Module] = [ConvNorm(3, 32, 3, stride=2)]
        for repeats, kernel, stride, channels_in, channels_out, expansion in _STAGES:
            blocks = [InvertedBottleneck(kernel, stride, channels_in, channels_out, expansion)]
            for _ in range(repeats - 1):
                blocks.append(InvertedBottleneck(kernel, 1, channels_out, channels_out, expansion))
            layers.append(nn.Sequential(*blocks))
        layers.append(ConvNorm(320, 1280))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(1280, num_classes)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """Map float32 (N, 3, H, W) to logits (N, classes)."""
        pooled = self.avgpool(self.features(batch)).flatten(1)
        logits: torch.Tensor = self.classifier(pooled)
        return logits


def from_published_names(published: Mapping[str, torch.Tensor]) -> StateDict:
    """Give the published tensors the names of `EfficientNetLite0`: both list them in module order."""
    with torch.device("meta"):  # only its names are needed
        own_names = list(EfficientNetLite0().state_dict())
    if len(own_names) != len(published):
        raise ValueError(f"{len(published)} tensors where EfficientNet-Lite0 has {len(own_names)}")
    return StateDict(zip(own_names, published.values(), strict=True))
