"""Gradients of many objects at once: those of one backward pass for each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchvision.models import get_model

from streamcam import Explainer, load_model
from streamcam.explain import batch as batches
from streamcam.explain.targets import Target


@pytest.mark.parametrize("name", ["ssdlite320_mobilenet_v3_large", "fasterrcnn_mobilenet_v3_large_320_fpn"])
def test_maps_are_those_of_one_backward_pass_for_each_object(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(3)
    original = get_model(name, weights=None, weights_backbone=None, num_classes=5)
    torch.save(original.state_dict(), tmp_path / "weights.pth")
    settings: dict[str, Any] = {"confidence": 0.0, "iou": 1.0, "max_detections": 8}  # found whatever it sees
    size = 320 if name.startswith("ssd") else 160
    model = load_model(f"detection:{name}", weights=tmp_path / "weights.pth", input_size=size, **settings)
    images = list(np.random.default_rng(1).integers(0, 256, (2, 120, 160, 3), np.uint8))
    explainer = Explainer(model, classes="instances", batch_size=2, precision="fp32")
    counts = []
    together = batches.differentiate_objects

    def count(*arguments: Any) -> None:
        together(*arguments)
        counts.append(len(arguments[1].gradients))

    compared = 0
    for against in (None, 0, 1):
        explainer = explainer.with_targets([Target(objects=True, against=against)])
        monkeypatch.setattr(batches, "differentiate_objects", count)
        ours = explainer.explain(images)
        monkeypatch.setattr(batches, "differentiate_objects", lambda *_: None)
        theirs = explainer.explain(images)
        for one, other in zip(ours, theirs, strict=True):
            assert len(one.heatmaps) == len(other.heatmaps) == 8
            for key, heatmap in other.heatmaps.items():
                np.testing.assert_allclose(one.heatmaps[key], heatmap, rtol=0, atol=1e-5)
                compared += bool(heatmap.any())
    assert counts == [8, 8, 8]
    assert compared >= 16


@pytest.mark.parametrize("method", ["guided-backprop", "guided-gradcam", "fullgrad"])
def test_methods_that_reach_the_input_pass_levels_without_objects_by(method: str) -> None:
    torch.manual_seed(3)
    model = load_model(
        "detection:ssdlite320_mobilenet_v3_large", weights="none", confidence=0.0, max_detections=1
    )
    image = np.random.default_rng(1).integers(0, 256, (120, 160, 3), np.uint8)
    found = Explainer(model, classes="instances", backend="torch").explain(image)[0].instances[0]
    explainer = Explainer(model, classes=found.class_index, method=method, backend="torch")
    (heatmap,) = explainer.explain(image)[0].heatmaps.values()
    assert np.isfinite(heatmap).all()
    assert heatmap.any()
