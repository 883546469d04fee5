"""Vision transformers, whose attention is traced as matrix products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from compiled_checks import check_compiled
from torchvision.models import SwinTransformer, VisionTransformer

from streamcam.explain import Explainer
from streamcam.models import Classifier, InputSpec
from streamcam.models.labels import numbered_labels

SETTINGS: dict[str, Any] = {"precision": "fp32", "device": "cpu", "batch_size": 2}


def transformer() -> Classifier:
    torch.manual_seed(1)
    network = VisionTransformer(64, 16, num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=64, num_classes=5)
    torch.nn.init.normal_(network.heads.head.weight)  # torchvision begins with zeros
    return Classifier("small", network.eval(), numbered_labels(5), InputSpec(64, 64), "none")


def windowed() -> Classifier:
    """A Swin transformer whose windows do not fit the image, and are shifted to one side only."""
    torch.manual_seed(0)
    network = SwinTransformer([4, 4], 16, [1, 2], [2, 2], window_size=[3, 3], num_classes=5)
    return Classifier("windowed", network.eval(), numbered_labels(5), InputSpec(24, 64), "none")


@pytest.mark.parametrize(
    ("make", "method"),
    [
        (transformer, "gradcam"),
        (transformer, "layercam"),
        (transformer, "eigencam"),
        (transformer, "eigengradcam"),
        (windowed, "gradcam"),
    ],
)
def test_maps_and_scores_are_torchs(make: Callable[[], Classifier], method: str) -> None:
    explainer = Explainer(make(), method=method, classes=["top2"], **SETTINGS)
    assert explainer.backend == "openvino"
    cat = skimage.data.chelsea()
    check_compiled(explainer, [cat, np.ascontiguousarray(cat[50:250, 100:300])])
