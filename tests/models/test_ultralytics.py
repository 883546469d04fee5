"""Detectors of ultralytics, built untrained from its own descriptions."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import pytest
import torch
from media_factory import make_clip

from streamcam import Detector, Explainer, load_model
from streamcam.cli import run
from streamcam.errors import ModelError, UnknownNameError
from streamcam.models.families import ultralytics as family
from streamcam.models.loading import known_models

# Imported by `family` only, which undoes what that does to the process.
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ultralytics") is None, reason="ultralytics is not installed"
)
tasks = family._import_tasks()

IMAGE = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8).repeat(16, 0).repeat(16, 1)


def untrained(name: str, classes: int = 3) -> Any:
    """A network that answers differently from place to place."""
    torch.manual_seed(0)
    network = tasks.DetectionModel(tasks.yaml_model_load(f"{name}.yaml"), nc=classes, verbose=False).eval()
    for part in network.model[-1].cv3:
        torch.nn.init.normal_(part[-1].weight, std=0.3)
        torch.nn.init.zeros_(part[-1].bias)
    return network


def save(network: Any, path: Path, names: tuple[str, ...]) -> None:
    """Save a whole network in half precision, as ultralytics does."""
    network.names = dict(enumerate(names))
    torch.save({"epoch": -1, "ema": None, "model": network.half(), "train_args": {"imgsz": 640}}, path)
    network.float()


@pytest.mark.parametrize("name", ["yolov8n", "yolo26n"])
def test_candidates_are_those_of_ultralytics(name: str, tmp_path: Path) -> None:
    network = untrained(name)
    save(network, tmp_path / "best.pt", ("cat", "dog", "bird"))
    model = load_model(f"ultralytics:{name}", weights=tmp_path / "best.pt", trust_pickle=True)
    assert isinstance(model, Detector)
    assert model.labels == ("cat", "dog", "bird")
    images = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        answer, _ = network(images)
        found = model.candidates(model.module(images))
    for decoded, candidates in zip(answer.mT, found, strict=True):
        center, size = decoded[:, :2], decoded[:, 2:4]
        corners = torch.cat([center - size / 2, center + size / 2], dim=1) / torch.tensor([96, 64, 96, 64])
        torch.testing.assert_close(candidates.boxes, corners, atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(candidates.scores, decoded[:, 4:], atol=1e-4, rtol=1e-3)
        rows = torch.tensor([len(corners) - 1, 0, 50])  # of several levels, in any order
        torch.testing.assert_close(candidates.log_odds(rows).sigmoid(), candidates.scores[rows])


def test_an_object_s_map_is_its_score_s_gradient_at_its_level(tmp_path: Path) -> None:
    save(untrained("yolov8n"), tmp_path / "best.pt", ("cat", "dog", "bird"))
    model = load_model(
        "ultralytics:yolov8n", weights=tmp_path / "best.pt", trust_pickle=True, input_size=96, confidence=0.4
    )
    settings = {"classes": "instances", "method": "hirescam", "backend": "torch", "precision": "fp32"}
    assert Explainer(model, **settings).target_layer == "levels.0+levels.1+levels.2"
    explainer = Explainer(model, target_layer="levels.1", **settings)
    inputs = explainer.preprocess(IMAGE)
    (explanation,) = explainer.explain(IMAGE)
    network: Any = model.module
    features = [values.detach().requires_grad_() for values in network.body(inputs)]
    logits = [part(values).flatten(2)[0] for part, values in zip(network.head.cv3, features, strict=True)]
    scores = torch.cat(logits, dim=1).sigmoid()
    assert explanation.instances
    for one, heatmap in zip(explanation.instances, explanation.heatmaps.values(), strict=True):
        row = scores[one.class_index]
        place = int((row - one.score).abs().argmin())
        (gradient,) = torch.autograd.grad(
            row[place].logit(), features[1], retain_graph=True, allow_unused=True, materialize_grads=True
        )
        expected = (gradient * features[1]).sum(dim=1)[0].relu().detach().numpy()
        np.testing.assert_allclose(heatmap, expected, atol=1e-4)


def test_names_are_those_of_its_detectors_and_untrained_ones_have_coco_s_classes() -> None:
    names = [info.name for info in known_models("ultralytics:")]
    assert {"ultralytics:yolo11n", "ultralytics:yolov8x-p2", "ultralytics:yolov10n"} <= set(names)
    assert not any("-seg" in name or "rtdetr" in name for name in names)
    model = load_model("ultralytics:yolo11n", weights="none")
    assert (model.labels[0], len(model.labels)) == ("person", 80)
    assert model.input.normalize(torch.full((1, 3, 2, 2), 255, dtype=torch.uint8)).unique().tolist() == [1.0]
    assert any("AGPL-3.0" in note for note in model.notes)
    assert load_model("ultralytics:yolo11n", weights="none", labels=["a", "b"]).labels == ("a", "b")


def test_what_cannot_be_loaded_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown model 'ultralytics:yolo11n-seg'; the nearest are"):
        load_model("ultralytics:yolo11n-seg")
    with pytest.raises(ModelError, match=r"so it is not downloaded here: pass yolo11n.pt with `weights`"):
        load_model("ultralytics:yolo11n")
    save(untrained("yolov8n"), tmp_path / "best.pt", ("cat", "dog", "bird"))
    with pytest.raises(ModelError, match=r"would run code \(ultralytics"):
        load_model("ultralytics:yolov8n", weights=tmp_path / "best.pt")
    with pytest.raises(ModelError, match="2 labels were given for the 3 classes"):
        load_model("ultralytics:yolov8n", weights=tmp_path / "best.pt", trust_pickle=True, labels=["a", "b"])


def test_importing_it_leaves_the_process_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    threads, save_tensors, open_image = cv2.getNumThreads(), torch.save, PIL.Image.open
    with family._unchanged_process():
        assert os.environ["YOLO_OFFLINE"] == "true"  # else it asks the network for its own name
        os.environ["OMP_NUM_THREADS"] = "1"
        cv2.setNumThreads(0)
        torch.save = None  # type: ignore[assignment]
        PIL.Image.open = None  # type: ignore[assignment]
        np.set_printoptions(precision=2)
    assert os.environ["OMP_NUM_THREADS"] == "3"
    assert "YOLO_OFFLINE" not in os.environ
    assert cv2.getNumThreads() == threads
    assert torch.save is save_tensors
    assert PIL.Image.open is open_image
    assert np.get_printoptions()["precision"] == 8


def test_it_is_rendered_by_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    save(untrained("yolov8n"), tmp_path / "best.pt", ("cat", "dog", "bird"))
    make_clip(tmp_path / "clip.mp4", frames=3)
    command = [
        "render",
        "clip.mp4",
        "-o",
        "out.mp4",
        "--model",
        "ultralytics:yolov8n",
        "--weights",
        "best.pt",
    ]
    assert run([*command, "--trust-pickle", "--target", "instances", "--input-size", "64"]) == 0
    assert "AGPL-3.0" in capfd.readouterr().err


def test_scores_on_crops_are_those_of_whole_levels(tmp_path: Path) -> None:
    save(untrained("yolov8n"), tmp_path / "best.pt", ("cat", "dog", "bird"))
    model = load_model("ultralytics:yolov8n", weights=tmp_path / "best.pt", trust_pickle=True)
    assert isinstance(model, Detector)
    with torch.no_grad():
        (candidates,) = model.candidates(model.module(torch.rand(1, 3, 192, 256)))
        assert candidates.separate is not None
        rows = [0, 31, 24 * 32 - 1, 24 * 32 + 5]  # three corners of the first level, an edge of the second
        parts = candidates.separate(rows, len(rows))
    assert parts is not None
    expected = candidates.log_odds(torch.tensor(rows))
    scores = torch.cat([part.scores for part in parts])
    assert [member for part in parts for member in part.members] == [0, 1, 2, 3]
    torch.testing.assert_close(scores, expected, atol=1e-5, rtol=1e-5)
