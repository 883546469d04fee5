"""Weights that a network shares with its gradient, which OpenVINO confuses in convolutions of points."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import small_networks
from torch import nn

from streamcam.explain import Explainer
from streamcam.explain.compiled.graphs import CompiledGraphs
from streamcam.explain.compiled.tracing import record_of, trace_graphs
from streamcam.models import Classifier, InputSpec
from streamcam.models.check_images import check_images
from streamcam.models.labels import numbered_labels
from streamcam.models.openvino_runtime import core, load_openvino


def explain(module: nn.Module, layer: str) -> Explainer:
    model = Classifier("small", module.eval(), numbered_labels(3), InputSpec(64), "a seed")
    return Explainer(model, target_layer=layer, precision="fp32", device="cpu", batch_size=2)


@pytest.mark.parametrize("layer", ["stem", "layer", "last"])
def test_every_layer_of_a_residual_network_is_compiled_and_read_again(tmp_path: Path, layer: str) -> None:
    explainer = explain(small_networks.Residual(), layer)
    record = record_of(explainer)
    assert record is not None
    traced = trace_graphs(explainer, record, (64, 64))  # refuses what torch computes differently
    pixels = check_images(64, 64, 2)
    run = traced.compiled.run(pixels)
    weights = np.eye(3, dtype=np.float32)[[0, 2]]
    expected = traced.compiled.maps(run, weights)
    for name, graph in (("head", traced.head), ("maps", traced.maps)):
        load_openvino().save_model(graph, tmp_path / f"{name}.xml", compress_to_fp16=False)
    again = CompiledGraphs(
        traced.request,
        core().read_model(tmp_path / "head.xml"),
        core().read_model(tmp_path / "maps.xml"),
        precision="fp32",
        batch_size=2,
        device="CPU",
        has_large_head=False,
    )
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(again.maps(again.run(pixels), weights), expected, rtol=1e-6)
