"""Networks that take one image at a time are explained as those that take batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from streamcam import Explainer
from streamcam.models import Classifier, InputSpec
from streamcam.models.labels import numbered_labels

IMAGES = list(np.random.default_rng(0).integers(0, 256, (3, 64, 96, 3), dtype=np.uint8))


class Net(nn.Module):
    """Three classes, for images of any size and batches of any."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.fc = nn.Conv2d(3, 8, 3, 4, 1), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> Any:
        return self.fc(self.conv(x).relu().mean((2, 3)))


class Strict(Net):
    """Refuses more than one image."""

    def forward(self, x: torch.Tensor) -> Any:
        if len(x) != 1:
            raise ValueError(f"expected 1 image, got {len(x)}")
        return super().forward(x)


class Flattening(Net):
    """Takes several images for one."""

    def forward(self, x: torch.Tensor) -> Any:
        return self.fc(self.conv(x).relu().transpose(0, 1).reshape(1, 8, -1).mean(2))


class First(Net):
    """Looks at the first image only."""

    def forward(self, x: torch.Tensor) -> Any:
        return super().forward(x[:1])


def classifier(module: nn.Module) -> Classifier:
    return Classifier("net", module.eval(), numbered_labels(3), InputSpec(32, 32), "none")


@pytest.mark.parametrize("kind", [Strict, Flattening, First])
@pytest.mark.parametrize("method", ["gradcam", "ablationcam", "occlusion", "scorecam"])
@pytest.mark.parametrize("backend", ["torch", "auto"])
def test_maps_are_those_of_batches(kind: type[Net], method: str, backend: str) -> None:
    settings: dict[str, Any] = {"method": method, "backend": backend, "precision": "fp32", "classes": 1}
    expected = Explainer(classifier(Net()), **settings).explain(IMAGES)
    explainer = Explainer(classifier(kind()), **settings)
    assert explainer.batch_size == 1
    assert "net takes one image at a time: batches have one image" in explainer.notes
    for one, other in zip(explainer.explain(IMAGES), expected, strict=True):
        np.testing.assert_allclose(one.heatmaps[1], other.heatmaps[1], rtol=1e-4, atol=1e-5)
        assert one.heatmaps[1].std() > 0
