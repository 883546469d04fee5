"""Compiled explanations of networks that pool behind the target layer: those of torch."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
import torch
from compiled_checks import check_compiled
from torch import nn

from streamcam.explain import Explainer
from streamcam.models import Classifier, InputSpec
from streamcam.models.labels import numbered_labels


class ChannelsLast(nn.Module):
    """Averages an image whose channels are the last in memory, as Swin does."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        last = features.permute(0, 2, 3, 1).contiguous()
        averaged: torch.Tensor = nn.functional.adaptive_avg_pool2d(last.permute(0, 3, 1, 2), 1)
        return averaged


@pytest.mark.parametrize(
    "pooling",
    [
        nn.Sequential(nn.MaxPool2d(3, stride=2, padding=1), nn.AdaptiveAvgPool2d(1)),
        nn.Sequential(nn.MaxPool2d(2, ceil_mode=True), nn.AdaptiveAvgPool2d((3, 2))),
        nn.Sequential(nn.AvgPool2d(3, stride=2, padding=1), nn.AdaptiveAvgPool2d(7)),
        ChannelsLast(),
    ],
    ids=["maximum", "maximum, ceil", "average", "channels last"],
)
def test_maps_and_scores_are_torchs(pooling: nn.Module) -> None:
    torch.manual_seed(1)
    stem = nn.Sequential(nn.Conv2d(3, 8, 5, stride=3), nn.ReLU())
    rest = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), pooling, nn.Flatten())
    features = rest(stem(torch.zeros(1, 3, 64, 80))).shape[1]
    module = nn.Sequential(stem, rest, nn.Linear(features, 5)).eval()
    model = Classifier("pooling", module, numbered_labels(5), InputSpec(64, 80), "none")
    explainer = Explainer(
        model, target_layer="0", precision="fp32", device="cpu", fit="stretch", batch_size=2, classes=["top2"]
    )
    cat = skimage.data.chelsea()
    check_compiled(explainer, [cat, np.ascontiguousarray(cat[:, ::-1])])
