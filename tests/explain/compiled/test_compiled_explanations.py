"""Compiled explanations: equal to torch's, kept, and made again where they are damaged."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data

from streamcam.errors import UnknownNameError
from streamcam.explain import Explainer
from streamcam.explain.backends.requests import BatchRequest
from streamcam.explain.compiled import tracing
from streamcam.explain.compiled.explainer import CompiledExplainer
from streamcam.explain.compiled.graphs import CompiledGraphs
from streamcam.explain.compiled.loading import load_explainer
from streamcam.explain.compiled.store import ExplanationStore, store_for
from streamcam.explain.compiled.tracing import record_of
from streamcam.explanations import Explanation
from streamcam.frames import FloatArray, Frame
from streamcam.models import load_model
from streamcam.sources.given_images import frames_of

DEFAULT = {"name": "efficientnet_lite0"}
SETTINGS: dict[str, Any] = {"fit": "stretch", "precision": "fp32", "device": "cpu", "batch_size": 2}
"""float32, so that the processor does not matter."""


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    return pictures()


def pictures() -> list[Frame]:
    """A cat, larger and larger."""
    cat = skimage.data.chelsea()
    return frames_of(
        [np.ascontiguousarray(cat[edge : 300 - edge, edge : 440 - edge]) for edge in (0, 20, 40)]
    )


def load(**changes: Any) -> CompiledExplainer:
    explainer = load_explainer(DEFAULT, {**SETTINGS, **changes})
    assert isinstance(explainer, CompiledExplainer)
    return explainer


def only_map(explanation: Explanation) -> FloatArray:
    (values,) = explanation.heatmaps.values()
    return values


def entries(cache: Path) -> dict[str, Path]:
    """Return the entry of the graphs, and that of the description."""
    found = sorted(cache.glob("explanation-*"), key=lambda path: path.name.count("-"))
    record, graphs = found
    return {"record": record, "graphs": graphs}


@pytest.fixture
def cache(tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with the converted default network, and nothing compiled."""
    for entry in own_cache.glob("openvino-*"):
        shutil.copytree(entry, tmp_path / entry.name)
    monkeypatch.setenv("STREAMCAM_CACHE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("method", "layer"),
    [
        ("gradcam", "auto"),
        ("hirescam", "features.7"),
        ("layercam", "features.6.1"),
        ("finercam", "auto"),
    ],
)
def test_maps_and_predictions_are_torchs(frames: list[Frame], method: str, layer: str) -> None:
    changes = {"method": method, "target_layer": layer, "classes": ["top2", 285], "against": None}
    compiled = load(**changes)
    expected = Explainer(load_model(**DEFAULT), **{**SETTINGS, **changes}, backend="openvino")
    for ours, torchs in zip(compiled.explain_frames(frames), expected.explain_frames(frames), strict=True):
        assert list(ours.heatmaps) == list(torchs.heatmaps)
        assert [each.label for each in ours.predictions] == [each.label for each in torchs.predictions]
        for index, heatmap in torchs.heatmaps.items():
            assert heatmap.max() > 0
            np.testing.assert_allclose(ours.heatmaps[index], heatmap, atol=1e-4 * heatmap.max())
        assert ours.region == torchs.region
        assert ours.probabilities is not None
        assert torchs.probabilities is not None
        np.testing.assert_allclose(ours.probabilities, torchs.probabilities, atol=1e-5)


def test_a_frame_that_comes_alone_is_run_by_itself_if_most_do(
    frames: list[Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    alike = [frames[0], dataclasses.replace(frames[0], index=1)]
    explainer = load()
    _, graphs = explainer.graphs_for(frames[0].image.width, frames[0].image.height)
    (same,) = load(batch_size=1).explain_frames(alike[:1])
    size = (frames[0].image.width, frames[0].image.height)
    with explainer.short_batches():
        (ours,) = explainer.explain_frames(alike[:1])
        assert np.array_equal(only_map(ours), only_map(same))
        single, several = (explainer.graphs_for(*size, count)[1] for count in (1, 2))
        assert several is graphs
        assert single is not graphs
        monkeypatch.setattr(graphs, "run", lambda _pixels: pytest.fail("it is filled up"))
        explainer.explain_frames(alike[:1])
        with pytest.raises(pytest.fail.Exception, match="filled up"):
            explainer.explain_frames(alike)
    with pytest.raises(pytest.fail.Exception, match="filled up"):
        explainer.explain_frames(alike[:1])


def test_torch_explains_a_frame_that_comes_alone_by_itself_too(
    frames: list[Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    explainer = load()
    monkeypatch.setattr(explainer, "_graphs_for", lambda _size, _batch_size: None)
    explainer.explain_frames(frames[:1])
    sizes: list[int] = []
    run = BatchRequest.run

    def note(self: BatchRequest, images: Any, count: int) -> Any:
        sizes.append(len(images))
        return run(self, images, count)

    monkeypatch.setattr(BatchRequest, "run", note)
    explainer.explain_frames(frames[:1])
    with explainer.short_batches():
        explainer.explain_frames(frames[:1])
    assert sizes == [2, 1]


def test_what_speaks_for_the_other_class_is_kept_beside_the_map(frames: list[Frame]) -> None:
    changes = {"classes": ["Egyptian cat"], "against": "tabby"}
    (ours,) = load(**changes).explain_frames(frames[:1])
    (torchs,) = Explainer(
        load_model(**DEFAULT), **{**SETTINGS, **changes}, backend="openvino"
    ).explain_frames(frames[:1])
    ((index, opposite),) = ours.opposites.items()
    np.testing.assert_allclose(opposite, torchs.opposites[index], atol=1e-3 * float(opposite.max()))
    assert opposite.max() > 0
    assert (opposite * ours.heatmaps[index] == 0).all()
    swapped = {"classes": ["tabby"], "against": "Egyptian cat"}
    (other,) = load(**swapped).explain_frames(frames[:1])
    np.testing.assert_allclose(
        opposite, next(iter(other.heatmaps.values())), atol=1e-3 * float(opposite.max())
    )
    (alone,) = load(classes=["tabby"]).explain_frames(frames[:1])
    assert not alone.opposites


def test_differences_of_classes_are_torchs(frames: list[Frame]) -> None:
    changes = {"classes": ["Egyptian cat"], "against": "tabby", "signed": True}
    (ours,) = load(**changes).explain_frames(frames[:1])
    expected = Explainer(load_model(**DEFAULT), **{**SETTINGS, **changes}, backend="openvino")
    (torchs,) = expected.explain_frames(frames[:1])
    assert ours.targets[0].label == torchs.targets[0].label == "Egyptian cat rather than tabby"
    heatmap = torchs.heatmaps[torchs.targets[0].index]
    assert heatmap.min() < 0
    found = ours.heatmaps[ours.targets[0].index]
    np.testing.assert_allclose(found, heatmap, atol=1e-4 * np.abs(heatmap).max())


def test_a_second_start_imports_no_torch_and_gives_the_same(frames: list[Frame]) -> None:
    first = load().explain_frames(frames)
    program = f"""
import sys
import skimage.data
import numpy as np
from streamcam.sources.given_images import frames_of
from streamcam.explain.compiled.loading import load_explainer
explainer = load_explainer({DEFAULT!r}, {SETTINGS!r})
cat = skimage.data.chelsea()
pictures = [np.ascontiguousarray(cat[edge : 300 - edge, edge : 440 - edge]) for edge in (0, 20, 40)]
explanations = explainer.explain_frames(frames_of(pictures))
assert "torch" not in sys.modules, "torch was imported"
print([float(values.sum()) for each in explanations for values in each.heatmaps.values()])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [float(only_map(each).sum()) for each in first]


@pytest.mark.parametrize(
    ("entry", "file"),
    [
        ("graphs", "maps.blob"),
        ("graphs", "graphs.json"),
        ("graphs", "backbone.blob"),
        ("record", "explanation.json"),
    ],
)
def test_a_damaged_entry_is_made_again(frames: list[Frame], cache: Path, entry: str, file: str) -> None:
    (expected,) = load().explain_frames(frames[:1])
    damaged = entries(cache)[entry] / file
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[: len(whole) // 2])
    (found,) = load().explain_frames(frames[:1])
    np.testing.assert_array_equal(only_map(found), only_map(expected))
    again = damaged.read_bytes()
    # What OpenVINO exports has numbers in it that are new each time, and not always equally long.
    close = pytest.approx(len(whole), rel=0.01)
    assert len(again) == close if file.endswith(".blob") else again == whole


def test_a_network_that_was_compiled_is_read_for_as_many_threads(
    frames: list[Frame], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (expected,) = load().explain_frames(frames[:1])
    imported: list[Path] = []
    read = BatchRequest.read

    def note(path: Path, *given: Any, **settings: Any) -> BatchRequest:
        imported.append(path)
        return read(path, *given, **settings)

    monkeypatch.setattr(BatchRequest, "read", note)
    (found,) = load().explain_frames(frames[:1])
    np.testing.assert_array_equal(only_map(found), only_map(expected))
    assert imported == [entries(cache)["graphs"] / "backbone.blob"]
    monkeypatch.setattr("streamcam.explain.compiled.store.available_cores", lambda: 7)
    load().explain_frames(frames[:1])
    assert len(imported) == 1, "it was compiled for another number of threads"


def test_what_is_read_differently_from_what_was_compiled_is_not_kept(
    frames: list[Frame], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = ExplanationStore.graphs

    def twice_as_hot(self: ExplanationStore, record: Any, size: Any) -> CompiledGraphs | None:
        graphs = read(self, record, size)
        if graphs is not None:
            monkeypatch.setattr(CompiledGraphs, "maps", lambda *given: 2 * maps(*given))
        return graphs

    maps = CompiledGraphs.maps
    monkeypatch.setattr(ExplanationStore, "graphs", twice_as_hot)
    (found,) = load().explain_frames(frames[:1])
    (expected,) = Explainer(load_model(**DEFAULT), **SETTINGS).explain_frames(frames[:1])
    np.testing.assert_array_equal(only_map(found), only_map(expected))
    assert list(cache.glob("explanation-*-*x*")) == []


def test_a_network_that_is_large_is_compiled_again(
    frames: list[Frame], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamcam.explain.compiled.store._LARGEST_COMPILED", 1000)
    (expected,) = load().explain_frames(frames[:1])
    assert not (entries(cache)["graphs"] / "backbone.blob").exists()
    (found,) = load().explain_frames(frames[:1])
    np.testing.assert_array_equal(only_map(found), only_map(expected))


def test_graphs_whose_network_was_dropped_from_the_cache_are_made_again(
    frames: list[Frame], cache: Path
) -> None:
    (expected,) = load().explain_frames(frames[:1])
    for network in cache.glob("openvino-*"):
        shutil.rmtree(network)
    (found,) = load().explain_frames(frames[:1])
    np.testing.assert_array_equal(only_map(found), only_map(expected))
    assert len(list(cache.glob("openvino-*"))) == 1


def test_torch_explains_what_cannot_be_compiled(
    frames: list[Frame], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise NotImplementedError("no such operation")

    monkeypatch.setattr(tracing, "_answer_of", lambda _split, _features: refuse)
    (found,) = load().explain_frames(frames[:1])
    (expected,) = Explainer(load_model(**DEFAULT), **SETTINGS).explain_frames(frames[:1])
    np.testing.assert_array_equal(only_map(found), only_map(expected))
    assert list(cache.glob("explanation-*-*x*")) == []
    monkeypatch.setattr(tracing, "compile_graphs", None)  # what failed is not tried again
    (again,) = load().explain_frames(frames[:1])
    np.testing.assert_array_equal(only_map(again), only_map(expected))


def test_graphs_that_differ_from_torch_are_not_taken(
    frames: list[Frame], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = tracing._maps_of
    monkeypatch.setattr(tracing, "_maps_of", lambda *given: lambda *inputs: 1.001 * exact(*given)(*inputs))
    (found,) = load().explain_frames(frames[:1])
    (expected,) = Explainer(load_model(**DEFAULT), **SETTINGS).explain_frames(frames[:1])
    np.testing.assert_array_equal(only_map(found), only_map(expected))
    assert list(cache.glob("explanation-*-*x*")) == []


def test_an_unknown_class_is_refused_as_by_an_explainer(frames: list[Frame]) -> None:
    load().explain_frames(frames[:1])
    with pytest.raises(UnknownNameError) as refused:
        load(classes=["Egyptian rat"])
    with pytest.raises(UnknownNameError) as expected:
        Explainer(load_model(**DEFAULT), classes=["Egyptian rat"])
    assert str(refused.value) == str(expected.value)


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ({"name": "package.module:factory"}, {}),
        ({"name": "timm:resnet18"}, {}),
        ({"name": "net.onnx"}, {}),
        ({"name": "resnet18", "weights": "."}, {}),
        ({"name": "resnet18", "weights": "model.safetensors.index.json"}, {}),
        ({"name": "resnet18", "trust_pickle": True}, {}),
        (DEFAULT, {"device": "cuda"}),
        (DEFAULT, {"backend": "torch"}),
        (DEFAULT, {"at": (3, 4)}),
        (DEFAULT, {"reference": "cat.jpg"}),
        (DEFAULT, {"classes": ("instances",)}),
        (DEFAULT, {"classes": lambda output: output.scores[:, 0]}),
    ],
)
def test_what_runs_code_or_elsewhere_is_never_compiled(
    model: dict[str, Any], settings: dict[str, Any]
) -> None:
    assert store_for(model, {"device": "cpu", **settings}) is None
    assert store_for(DEFAULT, {"device": "cpu"}) is not None


@pytest.mark.parametrize("method", ["kpcacam", "cam", "shapleycam", "scorecam", "refinecam"])
def test_methods_that_need_more_than_one_pass_are_not_compiled(method: str) -> None:
    assert record_of(Explainer(load_model(**DEFAULT), **{**SETTINGS, "method": method})) is None


def test_the_key_depends_on_what_is_in_the_files(tmp_path: Path) -> None:
    weights = tmp_path / "weights.pth"

    def key(**changes: Any) -> str:
        model = {**DEFAULT, "weights": str(weights), **changes.pop("model", {})}
        store = store_for(model, {"device": "cpu", **changes})
        assert isinstance(store, ExplanationStore)
        return store._key

    weights.write_bytes(b"one")
    first = key()
    assert key(classes=["cat"], top_k=1) == first  # chosen at every run
    assert key(method="hirescam") != first
    assert key(model={"input_size": 96}) != first
    (tmp_path / "config.json").write_text("{}")
    assert key() != first  # labels may be in it
    (tmp_path / "config.json").unlink()
    assert key() == first
    weights.write_bytes(b"two")
    assert key() != first
