"""Networks that went through torch.compile are explained as what was compiled."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from streamcam import Explainer, load_model
from streamcam.errors import ModelError
from streamcam.models import Classifier, InputSpec

IMAGE = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)


class Small(nn.Module):
    """Convolutions and a linear classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.ReLU())
        self.fc = nn.Linear(8, 3)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.fc(self.features(batch).mean((2, 3)))
        return logits


def whole(module: nn.Module) -> nn.Module:
    compiled: nn.Module = torch.compile(module)  # type: ignore[assignment]
    return compiled


def part(module: nn.Module) -> nn.Module:
    module.features = whole(module.features)  # type: ignore[arg-type]
    return module


def in_place(module: nn.Module) -> nn.Module:
    module.compile()
    return module


def classifier(module: nn.Module, labels: tuple[str, ...] = ("a", "b", "c")) -> Classifier:
    return Classifier("small", module.eval(), labels, InputSpec(32, 32), "none")


@pytest.mark.parametrize("compile_", [whole, part, in_place])
@pytest.mark.parametrize("method", ["gradcam", "layercam", "occlusion:patch=8,stride=8"])
def test_compiled_networks_have_the_maps_of_their_originals(
    compile_: Callable[[nn.Module], nn.Module], method: str
) -> None:
    torch.manual_seed(0)
    module = Small()
    classes = ["a", "b"]  # more than one: compiled gradients can be taken only once
    plain = Explainer(classifier(copy.deepcopy(module)), method=method, classes=classes, backend="torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # importing torch's compiler
        compiled = Explainer(classifier(compile_(module)), method=method, classes=classes, backend="torch")
        (explanation,) = compiled.explain(IMAGE)
    assert compiled.target_layer == "features"
    (expected,) = plain.explain(IMAGE)
    for index in (0, 1):
        np.testing.assert_allclose(explanation.heatmaps[index], expected.heatmaps[index], atol=1e-6)


def test_a_factory_may_return_a_compiled_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "compiled_nets.py").write_text(
        "import torch\n"
        "from torch import nn\n"
        "def make():\n"
        "    return torch.compile(nn.Sequential(\n"
        "        nn.Conv2d(3, 4, 8, 8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)))\n"
    )
    monkeypatch.chdir(tmp_path)
    explainer = Explainer(load_model("compiled_nets:make"))
    assert explainer.target_layer == "1"
    assert explainer.explain(IMAGE)[0].heatmaps


@pytest.mark.parametrize("labels", [("a", "b"), ("a", "b", "c", "d")])
def test_labels_that_do_not_match_the_classes_are_refused(labels: tuple[str, ...]) -> None:
    message = f"small has {len(labels)} labels for its 3 classes; give one label for each class"
    with pytest.raises(ModelError, match=message):
        Explainer(classifier(Small(), labels))
