"""Live sessions of compiled explanations: without torch until somebody asks for more."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from media_factory import make_clip

from streamcam.explain import Explainer
from streamcam.explain.compiled.explainer import CompiledExplainer
from streamcam.explain.deletion import remove_hottest
from streamcam.frames import Frame
from streamcam.models import load_model
from streamcam.session.explainers import Explainers, build_from_model, live_batch_size
from streamcam.session.state import ExplainRequest
from streamcam.sources.given_images import frames_of

DEFAULT = {"name": "efficientnet_lite0"}
SETTINGS: dict[str, Any] = {"fit": "stretch", "precision": "fp32", "device": "cpu"}
"""float32, so that the processor does not matter."""


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    cat = skimage.data.chelsea()
    return frames_of([np.ascontiguousarray(cat[edge : 300 - edge, edge : 440 - edge]) for edge in (0, 40)])


def explainers(streams: int = 1, model: Mapping[str, Any] = DEFAULT) -> Explainers:
    return Explainers(build_from_model(model, streams, **SETTINGS))


PROGRAM = """
import json, os, signal, sys
from streamcam.cli import live, main
from streamcam.session.outputs import Output


class Interrupter(Output):
    def write(self, live_frame):
        pass

    def take(self, explained):
        self.facts = explained.facts
        self.explained = getattr(self, "explained", 0) + 1
        if self.explained == 3:
            os.kill(os.getpid(), signal.SIGINT)


output = Interrupter()
live._outputs_for_services = lambda **_: [output]
main.run(sys.argv[1:])
libraries = [name for name in ("torch", "torchvision") if name in sys.modules]
facts = output.facts
print(json.dumps([output.explained, libraries, facts.method, facts.layer, facts.backend, facts.precision]))
"""


@pytest.mark.parametrize("sources", [1, 2])
def test_a_live_session_imports_no_torch(frames: list[Frame], tmp_path: Path, sources: int) -> None:
    explainers(sources)(ExplainRequest()).explain_frames(frames[:1])
    clip = make_clip(tmp_path / "clip.mp4", size=(320, 240), frames=8)
    options = ["--display", "none", "--loop", "--duration", "60", "--record", str(tmp_path / "out.mp4")]
    chosen = ["--fit", "stretch", "--precision", "fp32", "--device", "cpu"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "live", *[str(clip)] * sources, *options, *chosen],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    explained, libraries, *facts = json.loads(done.stdout.splitlines()[-1])
    assert explained >= 3, done.stderr
    assert libraries == []
    assert facts == ["gradcam", "features", "openvino", "fp32"]
    assert len(list(tmp_path.glob("out*.mp4"))) == sources


def test_a_session_offers_what_it_offers_in_torch(frames: list[Frame]) -> None:
    explainers()(ExplainRequest()).explain_frames(frames[:1])
    warm = explainers()(ExplainRequest())
    assert isinstance(warm.explainer, CompiledExplainer)
    torchs = Explainers(build_from_model(load_model(**DEFAULT), **SETTINGS))(ExplainRequest())
    assert isinstance(torchs.explainer, Explainer)
    assert warm.facts == torchs.facts
    assert len(warm.facts.layers) > 2
    assert "scorecam" in warm.facts.methods


def test_going_back_to_what_auto_chose_loads_nothing() -> None:
    built = []
    build = build_from_model(DEFAULT, **SETTINGS)
    loaded = Explainers(lambda *key: (built.append(key), build(*key))[1])
    first = loaded(ExplainRequest())
    for method, layer in (("gradcam", "auto"), ("auto", "features"), ("gradcam", "features")):
        again = loaded(ExplainRequest(method, layer))
        assert again.explainer is first.explainer
        assert again.facts.method == "gradcam"
    assert built == [("auto", "auto")]


@pytest.mark.parametrize("request_", [ExplainRequest(class_index=285), ExplainRequest(rank=1)])
def test_a_class_that_is_chosen_is_explained_as_in_torch(
    frames: list[Frame], request_: ExplainRequest
) -> None:
    compiled = explainers()(request_)
    assert isinstance(compiled.explainer, CompiledExplainer)
    (ours,) = compiled.explain_frames(frames[:1])
    torchs = Explainers(build_from_model(load_model(**DEFAULT), backend="openvino", **SETTINGS))(request_)
    (expected,) = torchs.explain_frames(frames[:1])
    assert ours.targets[0].label == expected.targets[0].label
    assert list(ours.heatmaps) == list(expected.heatmaps)
    for index, heatmap in expected.heatmaps.items():
        assert heatmap.max() > 0
        np.testing.assert_allclose(ours.heatmaps[index], heatmap, atol=1e-4 * heatmap.max())


def test_what_is_compared_is_explained_in_torch(frames: list[Frame]) -> None:
    compared = explainers()(ExplainRequest(class_index=285, panes="methods"))
    assert isinstance(compared.explainer, Explainer)
    (explanation,) = compared.explain_frames(frames[:1])
    panes = [explanation, *explanation.others]
    assert [pane.pane for pane in panes] == ["gradcam", "hirescam", "gradcam++", "eigencam"]
    assert [list(pane.heatmaps) for pane in panes[:3]] == [[285]] * 3


def test_frames_of_several_streams_are_explained_two_at_a_time(frames: list[Frame]) -> None:
    assert [live_batch_size(streams) for streams in (1, 2, 3, 4)] == [1, 2, 2, "auto"]
    both = explainers(2)(ExplainRequest()).explain_frames(frames)
    for frame, ours in zip(frames, both, strict=True):
        (alone,) = explainers()(ExplainRequest()).explain_frames([frame])
        for index, heatmap in alone.heatmaps.items():
            np.testing.assert_allclose(ours.heatmaps[index], heatmap, atol=1e-4 * heatmap.max())


@pytest.mark.parametrize("backend", ["compiled", "openvino", "torch"])
def test_what_is_left_without_the_heat_is_what_an_image_without_it_gets(backend: str) -> None:
    cat = np.ascontiguousarray(skimage.data.chelsea()[38:262, 110:334])
    frames = frames_of([cat])
    if backend == "compiled":
        network = explainers()(ExplainRequest())
        assert isinstance(network.explainer, CompiledExplainer)
    else:
        network = Explainers(build_from_model(load_model(**DEFAULT), backend=backend, **SETTINGS))(
            ExplainRequest()
        )
    (explanation,) = network.explain_frames(frames)
    target = explanation.targets[0]
    heatmap = explanation.heatmaps[target.index]
    left = network.probabilities_without(frames[0], heatmap)
    mean = load_model(**DEFAULT).input.mean
    gray = remove_hottest(cat, heatmap, mean)
    (expected,) = network.explain_frames(frames_of([gray]))
    assert expected.probabilities is not None
    np.testing.assert_allclose(left, expected.probabilities, atol=0.01)  # frames are read by way of YUV
    assert explanation.probabilities is not None
    assert np.abs(left - explanation.probabilities).max() > 0.015
