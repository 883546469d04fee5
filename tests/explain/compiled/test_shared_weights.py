"""Weights that a network shares with its gradient, which OpenVINO confuses in convolutions of points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_networks
from torch import nn

from streamcam.explain import Explainer
from streamcam.explain.compiled.graphs import CompiledGraph, CompiledGraphs
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
    assert np.abs(expected).max() > 0

    def read_model(name: str, graph: Any) -> CompiledGraph:
        load_openvino().save_model(graph, tmp_path / f"{name}.xml", compress_to_fp16=False)
        return CompiledGraph.compile(core().read_model(tmp_path / f"{name}.xml"), "CPU", threads=1)

    def read_compiled(name: str, graph: Any) -> CompiledGraph:
        exported = CompiledGraph.compile(graph, "CPU", threads=1).export()
        (tmp_path / f"{name}.blob").write_bytes(exported)
        return CompiledGraph.read(tmp_path / f"{name}.blob", "CPU", threads=1)

    for read in (read_model, read_compiled):
        again = CompiledGraphs(
            traced.backbone.request_for(pixels.shape),
            read("head", traced.head),
            read("maps", traced.maps),
            precision="fp32",
            batch_size=2,
        )
        np.testing.assert_allclose(again.maps(again.run(pixels), weights), expected, rtol=1e-6)
