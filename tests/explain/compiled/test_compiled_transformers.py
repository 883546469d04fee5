"""Vision transformers, whose attention is traced as matrix products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from torchvision.models import SwinTransformer, VisionTransformer

from streamcam.explain import Explainer
from streamcam.explain.compiled.explainer import CompiledExplainer
from streamcam.explain.compiled.tracing import record_of, trace_graphs
from streamcam.models import Classifier, InputSpec
from streamcam.models.labels import numbered_labels
from streamcam.sources.given_images import frames_of

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
    record = record_of(explainer)
    assert record is not None
    compiled = CompiledExplainer(
        record,
        lambda size, _: trace_graphs(explainer, record, size).compiled,
        lambda: pytest.fail("torch explains"),
        classes=["top2"],
    )
    cat = skimage.data.chelsea()
    frames = frames_of([cat, np.ascontiguousarray(cat[50:250, 100:300])])
    for ours, torchs in zip(compiled.explain_frames(frames), explainer.explain_frames(frames), strict=True):
        assert list(ours.heatmaps) == list(torchs.heatmaps)
        assert max(heatmap.max() for heatmap in torchs.heatmaps.values()) > 0
        for index, heatmap in torchs.heatmaps.items():
            np.testing.assert_allclose(ours.heatmaps[index], heatmap, atol=1e-4 * np.abs(heatmap).max())
        assert ours.probabilities is not None
        assert torchs.probabilities is not None
        np.testing.assert_allclose(ours.probabilities, torchs.probabilities, atol=1e-5)
