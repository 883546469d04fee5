"""Networks in files that are no classifiers: segmenters, detectors, and what is neither."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from streamcam import Explainer, InputSpec, load_model
from streamcam.errors import ModelError
from streamcam.models import Segmenter
from streamcam.models.detector import Detector
from streamcam.models.openvino_runtime import load_openvino

onnx: Any = pytest.importorskip("onnx")
pytest.importorskip("onnx2torch")

IMAGE = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8).repeat(8, 0).repeat(8, 1)
HEIGHT, WIDTH = IMAGE.shape[:2]


class Planes(nn.Module):
    """A small segmenter of three classes, at half the resolution and then enlarged."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU())
        self.classifier = nn.Conv2d(8, classes, 3, padding=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return nn.functional.interpolate(self.classifier(self.body(images)), scale_factor=2.0)


class Returns(nn.Module):
    """Returns something of a shape that depends on the image."""

    def __init__(self, make: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.make = make

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.make(images)


def export(module: nn.Module, path: Path, **texts: str) -> str:
    """Write a network as ONNX, with texts in it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        example = torch.zeros(1, 3, HEIGHT, WIDTH)
        torch.onnx.export(module.eval(), (example,), path, dynamo=False, input_names=["image"])
    proto = onnx.load(path)
    for key, value in texts.items():
        entry = proto.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.save(proto, path)
    return str(path)


def test_a_file_that_answers_with_planes_is_a_segmenter(tmp_path: Path) -> None:
    network = Planes()
    model = load_model(export(network, tmp_path / "net.onnx", names="['sky', 'road', 'car']"))
    assert isinstance(model, Segmenter)
    assert model.labels == ("sky", "road", "car")
    assert "it is taken for a segmenter" in model.notes[0]
    spec = InputSpec((WIDTH, HEIGHT), HEIGHT)
    original = Segmenter("net", network, model.labels, spec, "none", layer="body.1")
    settings: dict[str, Any] = {
        "classes": [0, 1, 2],
        "fit": "stretch",
        "backend": "torch",
        "precision": "fp32",
    }
    (found,) = Explainer(model, **settings).explain(IMAGE)
    (expected,) = Explainer(original, **settings).explain(IMAGE)
    assert found.target_layer == "body/body/1/Relu"  # the last one before the logits
    assert any(heatmap.any() for heatmap in expected.heatmaps.values())
    for index, heatmap in expected.heatmaps.items():
        np.testing.assert_allclose(found.heatmaps[index], heatmap, rtol=1e-4, atol=1e-5 * heatmap.max())
    assert [one.label for one in found.instances] == [one.label for one in expected.instances]


def test_openvino_s_file_of_a_segmenter_is_explained_without_gradients(tmp_path: Path) -> None:
    path = Path(export(Planes(), tmp_path / "net.onnx"))
    openvino = load_openvino()
    openvino.save_model(openvino.convert_model(path), path.with_suffix(".xml"), compress_to_fp16=False)
    model = load_model(str(path.with_suffix(".xml")), labels=["sky", "road", "car"])
    assert isinstance(model, Segmenter)
    method = "occlusion:patch=16,stride=16"
    (explanation,) = Explainer(model, method=method, fit="stretch").explain(IMAGE)
    assert np.ptp(explanation.heatmaps[explanation.targets[0].index]) > 0


@pytest.mark.parametrize(
    ("make", "labels", "expected"),
    [
        (
            lambda x: x[:, :1],
            None,
            r"net\.onnx answers with one plane \(1, 1, 64, 96\), as segmenters",
        ),
        (lambda x: x[:, 0, :10, :6], None, r"answers with finished detections \(1, 10, 6\).*nms=False"),
        (lambda x: x[:, 0, :7], None, r"\(1, 7, 96\).*its 7 rows are a box and a score.*names of 3 classes"),
        (lambda x: x[:, 0, :7], ["a", "b"], r"\(1, 7, 96\).*give the names of 3 classes with `labels`"),
        (lambda x: x[:, :2], ["a"], r"1 labels were given for the 2 classes"),
    ],
)
def test_other_answers_are_refused_with_the_way_out(
    make: Any, labels: list[str] | None, expected: str, tmp_path: Path
) -> None:
    path = export(Returns(make), tmp_path / "net.onnx")
    with pytest.raises(ModelError, match=expected):
        load_model(path, labels=labels)


@pytest.mark.skipif(importlib.util.find_spec("ultralytics") is None, reason="ultralytics is not installed")
def test_ultralytics_onnx_files_are_detectors_with_the_same_maps(tmp_path: Path) -> None:
    from test_ultralytics import save, untrained

    network = untrained("yolov8n")
    for part in network.modules():  # untrained, signals would fade from layer to layer
        if isinstance(part, nn.BatchNorm2d):
            nn.init.constant_(part.weight, 2.0)
    save(network, tmp_path / "best.pt", ("cat", "dog", "bird"))
    head = network.model[-1]
    head.export, head.format = True, "onnx"
    path = export(network, tmp_path / "best.onnx", task="detect", names="{0: 'cat', 1: 'dog', 2: 'bird'}")
    settings: dict[str, Any] = {"confidence": 0.3, "max_detections": 5}
    model = load_model(path, **settings)
    assert isinstance(model, Detector)
    assert model.labels == ("cat", "dog", "bird")
    assert len(model.pyramid) == 3
    original = load_model(
        "ultralytics:yolov8n",
        weights=tmp_path / "best.pt",
        trust_pickle=True,
        input_size=(WIDTH, HEIGHT),
        **settings,
    )
    explained = []
    for each in (model, original):
        explainer = Explainer(each, classes="instances", fit="stretch", backend="torch", precision="fp32")
        explained.append(explainer.explain(IMAGE)[0])
    found, expected = explained
    assert len(expected.instances) == 5
    for ours, theirs in zip(found.instances, expected.instances, strict=True):
        assert (ours.label, ours.score) == (theirs.label, pytest.approx(theirs.score, abs=1e-4))
        assert ours.box == pytest.approx(theirs.box, abs=1e-3)
    for ours, theirs in zip(found.heatmaps.values(), expected.heatmaps.values(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-3)
