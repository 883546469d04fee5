"""Networks without layers to read: occlusion explains them, and other methods say so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from streamcam.errors import ModelError
from streamcam.explain import METHODS, Explainer
from streamcam.models import Classifier, InputSpec
from streamcam.models.labels import numbered_labels
from streamcam.sinks.sidecar import frame_record

IMAGE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)


class Convolutional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 8, 8, 8)
        self.fc = nn.Linear(8, 3)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.fc(self.conv(batch).relu().mean((2, 3)))
        return logits


class Perceptron(nn.Module):
    """Weighs every pixel by itself, so that covering a place loses what lies there."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.fc = nn.Linear(3 * 32 * 32, 3)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.fc(batch.flatten(1))
        return logits


class Volume(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.fc = nn.Conv3d(1, 4, 3, padding=1), nn.Linear(4, 3)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.fc(self.conv(batch[:, None]).relu().mean((2, 3, 4)))
        return logits


def program(kind: str) -> nn.Module:
    network = Convolutional().eval()
    if kind == "scripted":
        return torch.jit.script(network)
    if kind == "traced":
        return torch.jit.trace(network, torch.zeros(1, 3, 32, 32))  # type: ignore[no-any-return]
    if kind == "exported":
        return torch.export.export(network, (torch.zeros(1, 3, 32, 32),)).module()
    return torch.compile(network, backend="eager")  # type: ignore[return-value]


def explainer_of(module: nn.Module, method: str = "occlusion:patch=8,stride=8", **settings: Any) -> Explainer:
    model = Classifier("net", module, numbered_labels(3), InputSpec(32, 32), "none")
    return Explainer(model, method=method, classes=1, signed=True, fit="stretch", backend="torch", **settings)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", ["scripted", "traced", "exported", "compiled"])
def test_a_program_is_occluded_like_the_network_it_was_made_from(kind: str) -> None:
    expected = explainer_of(Convolutional().eval()).explain(IMAGE)[0].heatmaps[1]
    assert np.ptp(expected) > 0
    for explanation in explainer_of(program(kind)).explain([IMAGE, IMAGE]):
        np.testing.assert_allclose(explanation.heatmaps[1], expected, rtol=1e-3, atol=1e-6)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("kind", "words"), [("scripted", "a TorchScript program"), ("exported", r"a program of torch\.export")]
)
@pytest.mark.parametrize("method", ["gradcam", "hirescam", "xgradcam"])
def test_other_methods_name_the_kind_and_the_way_out(kind: str, words: str, method: str) -> None:
    message = rf"net is {words}, whose layers cannot be read; use `method='occlusion'`, .*or return the torch"
    with pytest.raises(ModelError, match=message):
        explainer_of(program(kind), method)


def test_a_perceptron_loses_what_lies_at_a_place() -> None:
    module = Perceptron().eval()
    explainer = explainer_of(module)
    (explanation,) = explainer.explain(IMAGE)
    contributions = module.fc.weight[1].detach().view(1, 3, 32, 32) * explainer.preprocess(IMAGE)
    expected = contributions.sum(1).view(4, 8, 4, 8).sum((1, 3))
    np.testing.assert_allclose(explanation.heatmaps[1], expected, rtol=1e-3, atol=1e-4)
    assert explanation.target_layer == ""
    assert frame_record(0, 0.0, explanation)["target_layer"] is None
    assert "<p>occlusion</p>" in explanation._repr_html_()
    with pytest.raises(ModelError, match=r"flattens the image at once; use `method='occlusion'`, which"):
        explainer_of(module, "gradcam")


def test_convolutions_over_depth_inside_are_no_obstacle() -> None:
    (explanation,) = explainer_of(Volume().eval()).explain(IMAGE)
    assert np.ptp(explanation.heatmaps[1]) > 0


def test_probabilities_of_a_program_are_recognized() -> None:
    class Probable(Convolutional):
        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            return super().forward(batch).softmax(dim=1)

    exported = torch.export.export(Probable().eval(), (torch.zeros(1, 3, 32, 32),)).module()
    plain, own = (explainer_of(module).explain(IMAGE)[0] for module in (Convolutional().eval(), exported))
    assert [label.index for label in own.predictions] == [label.index for label in plain.predictions]
    assert own.predictions[0].probability == pytest.approx(plain.predictions[0].probability, rel=1e-4)


def test_only_what_needs_no_layer_says_so() -> None:
    assert [name for name, row in METHODS.items() if not row.needs_layer] == ["occlusion"]
