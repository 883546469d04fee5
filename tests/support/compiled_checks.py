"""Compiled explanations, held to those of torch."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from streamcam.explain import Explainer
from streamcam.explain.compiled.explainer import CompiledExplainer
from streamcam.explain.compiled.tracing import record_of, trace_graphs
from streamcam.sources.given_images import frames_of


def check_compiled(explainer: Explainer, images: list[NDArray[np.uint8]]) -> None:
    """Compile an explainer of the two best classes, and compare maps and probabilities of images."""
    record = record_of(explainer)
    assert record is not None
    compiled = CompiledExplainer(
        record,
        lambda size, _: trace_graphs(explainer, record, size).compiled,
        lambda: pytest.fail("torch explains"),
        classes=["top2"],
    )
    frames = frames_of(images)
    for ours, torchs in zip(compiled.explain_frames(frames), explainer.explain_frames(frames), strict=True):
        assert len(torchs.heatmaps) == 2
        assert list(ours.heatmaps) == list(torchs.heatmaps)
        assert max(heatmap.max() for heatmap in torchs.heatmaps.values()) > 0
        for index, heatmap in torchs.heatmaps.items():
            np.testing.assert_allclose(ours.heatmaps[index], heatmap, atol=1e-4 * np.abs(heatmap).max())
        assert ours.probabilities is not None
        assert torchs.probabilities is not None
        np.testing.assert_allclose(ours.probabilities, torchs.probabilities, atol=1e-5)
