"""Networks whose layers run several times for one image: the call that sees the image is explained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from streamcam import Explainer
from streamcam.explain.backends.split import run_head, split_network
from streamcam.models import Classifier, InputSpec
from streamcam.models.labels import numbered_labels

IMAGE = np.random.default_rng(0).integers(0, 256, (32, 64, 3), dtype=np.uint8)
OTHER = torch.linspace(-1, 1, 3 * 32 * 64).view(1, 3, 32, 64)


class Backbone(nn.Module):
    """Eight features of an image, four of them positive."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.fc = nn.Conv2d(3, 8, 8, 8), nn.Linear(8, 4)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.fc(self.conv(batch).relu().mean((2, 3)))
        return features


class Comparing(nn.Module):
    """Runs one backbone on an image and something else, and returns the products of their features."""

    def __init__(self, other: Callable[[torch.Tensor], torch.Tensor], *, other_first: bool) -> None:
        super().__init__()
        self.backbone, self.other, self.other_first = Backbone(), other, other_first

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        if self.other_first:
            compared = self.backbone(self.other(batch))
            return self.backbone(batch) * compared
        return self.backbone(batch) * self.backbone(self.other(batch))


def gradcam_by_hand(network: Comparing, inputs: torch.Tensor, class_index: int) -> np.ndarray:
    """Grad-CAM of the image's own branch, not rectified, (h, w)."""
    backbone = network.backbone
    features = backbone.conv(inputs).detach().requires_grad_()
    own = backbone.fc(features.relu().mean((2, 3)))
    score = (own * backbone(network.other(inputs)).detach())[0, class_index]
    (gradients,) = torch.autograd.grad(score, features)
    weights = gradients.mean((2, 3), keepdim=True)
    values: np.ndarray = (weights * features).sum(1)[0].detach().numpy()
    return values


@pytest.mark.parametrize("backend", ["torch", "auto"])
@pytest.mark.parametrize("other_first", [True, False])
@pytest.mark.parametrize("other", [lambda _: OTHER, lambda x: x.flip(-1)], ids=["a reference", "mirrored"])
def test_the_branch_of_the_image_is_explained(other: Any, other_first: bool, backend: str) -> None:
    network = Comparing(other, other_first=other_first).eval()
    model = Classifier("pair", network, numbered_labels(4), InputSpec(32, 32), "none")
    explainer = Explainer(
        model, classes=2, method="gradcam", signed=True, fit="full", backend=backend, precision="fp32"
    )
    (explanation,) = explainer.explain([IMAGE])
    name = f"backbone.conv@{2 if other_first else 1}"
    assert explainer.target_layer == explanation.target_layer == name
    assert f"layer 'backbone.conv' runs 2 times for one image; {name} is explained" in explainer.notes
    expected = gradcam_by_hand(network, explainer.preprocess(IMAGE), 2)
    np.testing.assert_allclose(explanation.heatmaps[2], expected, atol=1e-4 * np.abs(expected).max())


def test_a_call_can_be_named() -> None:
    network = Comparing(lambda x: x.flip(-1), other_first=False).eval()
    model = Classifier("pair", network, numbered_labels(4), InputSpec(32, 32), "none")
    settings: dict[str, Any] = {"classes": 2, "fit": "full", "method": "occlusion", "backend": "torch"}
    explainer = Explainer(model, **settings, target_layer="backbone.conv@2")
    assert explainer.target_layer == "backbone.conv@2"
    assert not any("2 times" in note for note in explainer.notes)


@pytest.mark.parametrize("call", [1, 2])
def test_a_split_is_behind_the_call(call: int) -> None:
    network = Comparing(lambda x: x.flip(-1), other_first=False).eval()
    halves = split_network(network, "backbone.conv", call, 2)
    assert halves is not None
    inputs = OTHER
    outputs = halves.backbone(inputs)
    seen = inputs if call == 1 else inputs.flip(-1)
    assert torch.equal(outputs[0], network.backbone.conv(seen))
    _, answer = run_head(halves, outputs)
    assert isinstance(answer, torch.Tensor)
    torch.testing.assert_close(answer, network(inputs))
    assert split_network(network, "backbone.conv", call, 3) is None
