"""Exported programs and TorchScript that are no classifiers: segmenters, and detectors in rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from streamcam import Explainer, InputSpec, load_model
from streamcam.errors import InvalidArgumentError, ModelError
from streamcam.models import Segmenter
from streamcam.models.detector import Detector

SIDE = 224
EXAMPLE = torch.zeros(1, 3, SIDE, SIDE)
IMAGE = np.random.default_rng(0).integers(0, 256, (14, 14, 3), np.uint8).repeat(16, 0).repeat(16, 1)
OCCLUSION = "occlusion:patch=112,stride=112"


class Planes(nn.Module):
    """A segmenter of three classes, at an eighth of the resolution and then enlarged."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, stride=8, padding=1), nn.ReLU())
        self.classifier = nn.Conv2d(8, 3, 3, padding=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return nn.functional.interpolate(self.classifier(self.body(images)), scale_factor=8.0)


class Rows(nn.Module):
    """A detector that returns the boxes of 14x14 places, and their scores of two classes: (N, 6, 196)."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, stride=16, padding=1), nn.ReLU())
        self.boxes = nn.Conv2d(8, 4, 1)
        self.scores = nn.Conv2d(8, 2, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.body(images)
        boxes = self.boxes(features).sigmoid() * 224
        return torch.cat([boxes, self.scores(features).sigmoid()], dim=1).flatten(2)


class Boxes(nn.Module):
    """A detector as torchvision's are in TorchScript: it takes a list of images, and returns losses too."""

    def __init__(self) -> None:
        super().__init__()
        self.score = nn.Linear(3, 1)

    def forward(
        self, images: list[torch.Tensor]
    ) -> tuple[dict[str, torch.Tensor], list[dict[str, torch.Tensor]]]:
        warnings.warn("always returns losses", stacklevel=1)
        found: list[dict[str, torch.Tensor]] = []
        for image in images:
            score = self.score(image.mean(dim=(1, 2)))
            found.append({"boxes": torch.zeros(1, 4), "scores": score, "labels": torch.ones(1)})
        losses: dict[str, torch.Tensor] = {}
        return losses, found


def scripted(module: nn.Module, path: Path) -> str:
    torch.jit.script(module).save(str(path))
    return str(path)


def traced(module: nn.Module, path: Path) -> str:
    torch.jit.trace(module, EXAMPLE).save(str(path))
    return str(path)


def exported(module: nn.Module, path: Path) -> str:
    torch.export.save(torch.export.export(module, (EXAMPLE,)), path.with_suffix(".pt2"))
    return str(path.with_suffix(".pt2"))


Save = Callable[[nn.Module, Path], str]


def written(save: Save, module: nn.Module, folder: Path) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that TorchScript is deprecated
        return save(module.eval(), folder / "net.pt")


@pytest.mark.parametrize("save", [scripted, traced])
def test_a_segmenter_in_torchscript_is_explained_without_gradients(save: Save, tmp_path: Path) -> None:
    network = Planes()
    model = load_model(written(save, network, tmp_path), labels=["sky", "road", "car"])
    assert isinstance(model, Segmenter)
    original = Segmenter("net", network, model.labels, InputSpec(SIDE), "none")
    settings: dict[str, Any] = {"classes": [0, 1, 2], "fit": "stretch", "method": OCCLUSION}
    (found,) = Explainer(model, **settings).explain(IMAGE)
    (expected,) = Explainer(original, backend="torch", precision="fp32", **settings).explain(IMAGE)
    for index, heatmap in expected.heatmaps.items():
        assert np.ptp(heatmap) > 0
        np.testing.assert_allclose(
            found.heatmaps[index], heatmap, rtol=1e-3, atol=1e-4 * np.abs(heatmap).max()
        )


@pytest.mark.parametrize("save", [scripted, traced])
def test_a_segmenter_in_torchscript_says_which_methods_need_no_gradients(save: Save, tmp_path: Path) -> None:
    model = load_model(written(save, Planes(), tmp_path))
    with pytest.raises((InvalidArgumentError, ModelError), match=r"use `method='occlusion'`|occlusion$"):
        Explainer(model, method="gradcam")


def test_a_torchscript_detector_of_lists_is_told_with_the_way_out_and_no_warning(tmp_path: Path) -> None:
    file = written(scripted, Boxes(), tmp_path)
    with pytest.raises(ModelError, match=r"is a detector in a TorchScript program.* name its network"):
        load_model(file)


def test_a_segmenter_in_an_exported_program_has_the_maps_of_its_module(tmp_path: Path) -> None:
    network = Planes()
    model = load_model(written(exported, network, tmp_path))
    assert isinstance(model, Segmenter)
    original = Segmenter("net", network, model.labels, InputSpec(SIDE), "none")
    settings: dict[str, Any] = {
        "classes": [0, 1, 2],
        "fit": "stretch",
        "backend": "torch",
        "precision": "fp32",
    }
    (found,) = Explainer(model, target_layer="body.1", **settings).explain(IMAGE)
    (expected,) = Explainer(original, target_layer="body.1", **settings).explain(IMAGE)
    assert any(heatmap.any() for heatmap in expected.heatmaps.values())
    for index, heatmap in expected.heatmaps.items():
        np.testing.assert_allclose(found.heatmaps[index], heatmap, rtol=1e-4, atol=1e-5 * heatmap.max())


@pytest.mark.parametrize(
    ("save", "method"), [(scripted, OCCLUSION), (traced, OCCLUSION), (exported, "gradcam")]
)
def test_a_detector_that_answers_in_rows_is_explained(save: Save, method: str, tmp_path: Path) -> None:
    path = written(save, Rows(), tmp_path)
    with pytest.raises(ModelError, match=r"\(1, 6, 196\).*give the names of 2 classes with `labels`"):
        load_model(path)
    model = load_model(path, labels=["a", "b"], confidence=0.01)
    assert isinstance(model, Detector)
    (explanation,) = Explainer(model, method=method, classes=["a"], fit="stretch", signed=True).explain(IMAGE)
    assert np.ptp(explanation.heatmaps[0]) > 0
    with torch.no_grad():
        scores = Rows()(model.input.normalize(torch.from_numpy(IMAGE).movedim(-1, 0)[None]))[0, 4:]
    best = explanation.instances[0]
    assert best.score == pytest.approx(float(scores.max()), abs=1e-3)
