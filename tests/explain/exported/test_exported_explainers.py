"""Exported explainers: the values of the network they were made of, in one file, without torch."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import onnxruntime
import pytest
import torch
from color_networks import BOX, RED, SIZE, Colors, by_object, save_thing
from media_factory import make_clip
from numpy.typing import NDArray
from torch import nn

import streamcam
from streamcam.errors import (
    InvalidArgumentError,
    ModelError,
    NoDirectoryError,
    OutputExistsError,
    SourceNotFoundError,
    UnknownNameError,
)
from streamcam.explain import Explainer
from streamcam.explain.compiled.explainer import CompiledExplainer
from streamcam.explain.compiled.loading import load_explainer
from streamcam.explain.compiled.record import CompiledModel, Record
from streamcam.explain.compiled.tracing import record_of, trace_graphs
from streamcam.explain.exported import container, onnx_graphs, writing
from streamcam.explain.exported.container import Description, GraphEntries
from streamcam.explain.exported.opening import open_explainer
from streamcam.explain.exported.writing import export_explainer
from streamcam.frames import FloatArray
from streamcam.models import Model, load_model
from streamcam.session.explainers import Explainers, build_from_model
from streamcam.session.state import ExplainRequest

WITHOUT_TORCH = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision", "timm"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
"""


def paint_red(index: int, planes: Sequence[NDArray[np.uint8]]) -> None:
    """Fill an image with green, and a part that grows with red."""
    for plane, green, red in zip(planes, (145, 54, 34), (81, 90, 240), strict=True):
        plane[:] = green
        plane[: plane.shape[0] // 2, : plane.shape[1] * (index + 2) // 8] = red


def explainer_of(model: Model, **changes: Any) -> Explainer:
    settings = {"device": "cpu", "precision": "fp32", "batch_size": 1, "fit": "stretch"}
    if isinstance(model.module, Colors):
        settings["target_layer"] = "features"
    return Explainer(model, **{**settings, **changes})


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hand-made network that sees red, exported."""
    path = tmp_path_factory.mktemp("exported") / "net.explain"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STREAMCAM_CACHE", str(path.parent / "cache"))
        export_explainer(explainer_of(by_object()), path)
    return path


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "thing.png"
    save_thing(path)
    return path


def map_of(explainer: Explainer | CompiledExplainer, picture: Path) -> FloatArray:
    (explanation,) = explainer.explain(str(picture))
    (values,) = explanation.heatmaps.values()
    return values


def test_the_map_is_what_the_networks_weights_say(exported: Path, picture: Path) -> None:
    values = map_of(open_explainer(exported), picture)
    width, height = SIZE
    left, top, right, bottom = BOX
    # Red above green by 0.3 counts 60 times over the mean of all pixels: the gradient is 60 / (64 * 48).
    inside = 60 / (width * height) * ((RED[0] - RED[1]) / 255 - 0.3)
    expected = np.zeros((height, width))
    expected[top:bottom, left:right] = inside
    np.testing.assert_allclose(values, expected, atol=0.02 * inside)  # decoded colors are whole numbers


def test_predictions_and_labels_are_the_networks(exported: Path, picture: Path) -> None:
    (ours,) = open_explainer(exported, top_k=2).explain(str(picture))
    (theirs,) = explainer_of(by_object(), top_k=2).explain(str(picture))
    assert [each.label for each in ours.predictions] == ["thing", "other"]
    assert ours.predictions[0].probability == pytest.approx(theirs.predictions[0].probability, abs=1e-6)
    assert ours.predictions[0].probability == pytest.approx(0.95, abs=0.01)
    assert (ours.method, ours.target_layer, ours.region) == (
        theirs.method,
        theirs.target_layer,
        theirs.region,
    )


@pytest.mark.parametrize(
    ("method", "signed", "form"),
    [
        ("gradcam", True, "openvino"),
        ("gradcam++", False, "openvino"),
        ("layercam", False, "onnx"),
        ("hirescam", False, "onnx"),
    ],
)
def test_maps_of_every_shape_are_torchs(tmp_path: Path, method: str, signed: bool, form: str) -> None:
    model = load_model("small_networks:Residual", weights="none", labels=["a", "b", "c"], input_size=64)
    network = explainer_of(model, method=method, target_layer="last", signed=signed, fit="full", classes=[1])
    path = tmp_path / "net.explain"
    description = export_explainer(network, path, shapes=[(16, 9), (3, 4)], format=form)
    assert description.sizes == [(128, 64), (64, 96), (64, 64)]
    opened = open_explainer(path, classes=[1])
    random = np.random.default_rng(0)
    for width, height in ((160, 90), (90, 120)):
        image = random.integers(0, 256, (height, width, 3), np.uint8)
        (ours,), (theirs,) = opened.explain(image), network.explain(image)
        expected = theirs.heatmaps[1]
        assert np.abs(expected).max() > 0
        np.testing.assert_allclose(ours.heatmaps[1], expected, atol=1e-4 * np.abs(expected).max())


def run_without_torch(program: str, folder: Path) -> str:
    """Run a program where torch cannot be imported, with an empty cache; return what it printed."""
    cache = folder / "empty"
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH + program],
        cwd=folder,
        env={
            **os.environ,
            "STREAMCAM_CACHE": str(cache),
            "PYTHONPATH": str(Path(streamcam.__file__).parents[1]),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not cache.exists()
    return done.stdout


def render_without_torch(source: Path, output: str, model: Path, *options: str) -> Path:
    arguments = ["render", str(source), "-o", output, "--model", str(model), *options]
    run_without_torch(f"from streamcam.cli import run\nsys.exit(run({arguments!r}))", model.parent)
    return model.parent / output


def assert_same_frames(ours: Path, theirs: Path) -> None:
    found, expected = frames_of(ours), frames_of(theirs)
    assert len(found) == len(expected) > 0
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def frames_of(path: Path) -> list[NDArray[np.uint8]]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray() for frame in container.decode(video=0)]


def test_a_clip_is_rendered_without_torch_to_the_same_frames(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=5, size=SIZE, paint=paint_red)
    network = explainer_of(by_object())
    record = record_of(network)
    assert record is not None
    compiled = CompiledExplainer(
        record, lambda size, _: trace_graphs(network, record, size).compiled, lambda: network
    )
    streamcam.render(clip, tmp_path / "compiled.mkv", compiled)
    export_explainer(network, tmp_path / "net.explain")
    exported = render_without_torch(clip, "exported.mkv", tmp_path / "net.explain")
    assert_same_frames(exported, tmp_path / "compiled.mkv")


@pytest.mark.slow
def test_the_default_network_explains_footage_without_torch(tmp_path: Path, real_media: Path) -> None:
    film = real_media / "car-detection.mp4"
    model: dict[str, Any] = {"name": "efficientnet_lite0"}
    compiled = load_explainer(model, {"device": "cpu", "batch_size": 1})
    assert isinstance(compiled, CompiledExplainer)
    settings = streamcam.RenderSettings(source=streamcam.SourceSettings(end_s=0.5))
    streamcam.render(film, tmp_path / "compiled.mkv", compiled, settings=settings)
    path = tmp_path / "net.explain"
    export_explainer(Explainer(load_model(**model), device="cpu", batch_size=1), path, shapes=[(16, 9)])
    exported = render_without_torch(film, "exported.mkv", path, "--duration", "0.5")
    assert_same_frames(exported, tmp_path / "compiled.mkv")


def test_importing_and_explaining_needs_no_torch(exported: Path, picture: Path, tmp_path: Path) -> None:
    program = (
        "import streamcam\n"
        f"(found,) = streamcam.open_explainer({str(exported)!r}).explain({str(picture)!r})\n"
        "print(found.predictions[0].label)"
    )
    assert run_without_torch(program, tmp_path) == "thing\n"


@pytest.mark.parametrize("streams", [1, 2, 4])
def test_live_sessions_take_batches_of_the_size_that_was_exported(exported: Path, streams: int) -> None:
    explainers = Explainers(build_from_model({"name": str(exported)}, streams))
    first = explainers(ExplainRequest())
    assert isinstance(first.explainer, CompiledExplainer)
    assert first.batch_size == first.explainer.batch_size
    with pytest.raises(InvalidArgumentError, match="`method` was settled when it was exported"):
        explainers(ExplainRequest("scorecam"))


def test_classes_are_chosen_when_it_is_opened(exported: Path, picture: Path) -> None:
    (found,) = open_explainer(exported, classes=["other"], against="thing").explain(str(picture))
    assert found.targets[0].label == "other rather than thing"
    with pytest.raises(UnknownNameError, match="banana"):
        open_explainer(exported, classes=["banana"])
    with pytest.raises(InvalidArgumentError, match="not functions or objects"):
        open_explainer(exported, classes=lambda output: output.scores[:, 0])


def test_another_fit_works_where_it_has_the_same_input(exported: Path, picture: Path) -> None:
    cropped = open_explainer(exported, fit="crop")
    assert cropped.fit == "crop"
    expected = map_of(explainer_of(by_object(), fit="crop"), picture)
    np.testing.assert_allclose(map_of(cropped, picture), expected, atol=1e-4 * expected.max())


def test_frames_of_a_shape_that_it_has_no_graphs_for_are_refused(exported: Path) -> None:
    explainer = open_explainer(exported, fit="full")
    with pytest.raises(
        InvalidArgumentError,
        match=r"inputs of 64x48, and none for 192x64, .* use `fit` stretch, crop or pad, or export it again",
    ):
        explainer.explain(np.zeros((40, 120, 3), np.uint8))


@pytest.mark.parametrize(
    ("model", "settings", "parameter"),
    [
        ({}, {"method": "hirescam"}, "method"),
        ({}, {"target_layer": "head"}, "target_layer"),
        ({}, {"signed": True}, "signed"),
        ({}, {"device": "cuda"}, "device"),
        ({}, {"backend": "torch"}, "backend"),
        ({}, {"at": (3, 4)}, "at"),
        ({}, {"reference": "cat.jpg"}, "reference"),
        ({"weights": "other.pth"}, {}, "weights"),
        ({"labels": "names.txt"}, {}, "labels"),
        ({"prompts": ("a cat",)}, {}, "prompts"),
        ({"input_size": 32}, {}, "input_size"),
    ],
)
def test_what_was_settled_cannot_be_chosen_again(
    exported: Path, model: dict[str, Any], settings: dict[str, Any], parameter: str
) -> None:
    name = {"name": str(exported)}
    with pytest.raises(
        InvalidArgumentError, match=f"holds by object, gradcam of features, .*`{parameter}` was"
    ):
        load_explainer({**name, **model}, settings)
    assert load_explainer(name, {"method": "gradcam", "target_layer": "features", "device": "cpu"})


def change(path: Path, description: dict[str, Any] | None = None, **entries: bytes | None) -> None:
    """Change the description and the entries of an exported explainer."""
    with zipfile.ZipFile(path) as archive:
        content = {info.filename: archive.read(info) for info in archive.infolist()}
    if description is not None:
        content["explainer.json"] = json.dumps(
            {**json.loads(content["explainer.json"]), **description}
        ).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            kept = entries.get(name.partition(".")[0], data)
            if kept is not None:
                archive.writestr(name, kept)


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.index(b"<?xml") + 200] ^= 0xFF
    path.write_bytes(bytes(content))


def grow(path: Path) -> None:
    """Compress a description that is large when it is read."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("explainer.json", " " * 50_000_000 + "{}")


def other_record(**changes: Any) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with zipfile.ZipFile(path) as archive:
            record = json.loads(archive.read("explainer.json"))["record"]
        model = record["model"] | changes.pop("model", {})
        change(path, {"record": {**record, **changes, "model": model}})

    return damage


def other_graphs(**changes: Any) -> Callable[[Path], None]:
    """Change what is said of the first graphs; of names of entries, take that of another part."""

    def damage(path: Path) -> None:
        with zipfile.ZipFile(path) as archive:
            graphs = json.loads(archive.read("explainer.json"))["graphs"]
        first = graphs[0]
        graphs[0] = first | {name: first.get(value, value) for name, value in changes.items()}
        change(path, {"graphs": graphs})

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        cut,
        flip,
        grow,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"PK\3\4 no zip"),
        lambda path: change(path, weights=None),
        lambda path: change(path, weights=b"short"),
        lambda path: change(path, backbone=b"<net"),
        lambda path: change(path, explainer=b"[]"),
        lambda path: change(path, explainer=b"{" * 100_000),
        lambda path: change(path, {"graphs": []}),
        lambda path: change(path, {"graphs": "all"}),
        lambda path: change(path, {"kind": "film"}),
        lambda path: change(path, {"record": None}),
        lambda path: change(path, {"format": "pickle"}),
        other_graphs(precision="fp8"),
        other_graphs(precision="int8"),
        other_graphs(head="maps"),
        other_graphs(maps="head"),
        other_graphs(backbone="head"),
        other_record(precision="fp8"),
        other_record(device="GPU"),
        other_record(device="nothing"),
        other_record(model={"activation": "tanh"}),
        other_record(batch_size=0),
        other_record(batch_size="1"),
        other_record(fit="tight"),
        other_record(model={"labels": ["one"]}),
        other_record(model={"labels": [1, 2]}),
        other_record(model={"std": [0, 1, 1]}),
        other_record(model={"sides": [64]}),
        other_record(model={"mean": [float("nan"), 0, 0]}),
        other_record(model={"extra": 1}),
    ],
)
def test_damage_is_one_line(
    exported: Path, tmp_path: Path, picture: Path, damage: Callable[[Path], None]
) -> None:
    path = tmp_path / "broken.explain"
    shutil.copy(exported, path)
    damage(path)
    with pytest.raises(ModelError, match=r"make it again with streamcam export|is damaged") as refused:
        open_explainer(path).explain(str(picture))
    assert "\n" not in str(refused.value)
    assert "broken.explain" in str(refused.value)


@pytest.mark.parametrize(("version", "says"), [(99, "a newer"), (0, "another"), ("x", "another")])
def test_other_versions_are_named(exported: Path, tmp_path: Path, version: object, says: str) -> None:
    path = tmp_path / "net.explain"
    shutil.copy(exported, path)
    change(path, {"version": version})
    with pytest.raises(ModelError, match=f"was exported by {says} streamcam"):
        open_explainer(path)


@pytest.mark.parametrize("elsewhere", ["device", "openvino"])
def test_reduced_precision_is_trusted_only_where_it_was_checked(
    exported: Path, tmp_path: Path, picture: Path, elsewhere: str
) -> None:
    path = tmp_path / "net.explain"
    shutil.copy(exported, path)
    other_graphs(precision="bf16")(path)
    assert open_explainer(path).precision == "bf16"
    assert open_explainer(path).notes == open_explainer(exported).notes
    change(path, {elsewhere: "another"})
    opened = open_explainer(path)
    np.testing.assert_array_equal(map_of(opened, picture), map_of(open_explainer(exported), picture))
    assert opened.precision == "fp32"
    assert "with another processor or OpenVINO, so it runs in float32 here" in opened.notes[-1]
    assert open_explainer(path, precision="bf16").notes == open_explainer(exported).notes


def test_the_version_changes_with_the_fields() -> None:
    fields = [
        field.name
        for part in (Description, GraphEntries, Record, CompiledModel)
        for field in dataclasses.fields(part)
    ]
    assert (container._VERSION, " ".join(fields)) == (
        2,
        "record method format graphs weights device openvino width height backbone head maps precision "
        "model fit method target_layer signed batch_size device has_large_head notes layers methods "
        "precision identity knows_opposites name weights labels activation sides resize mean std",
    ), "raise the version of the format with its fields"


def test_a_missing_file_is_named() -> None:
    with pytest.raises(SourceNotFoundError, match=r"'none\.explain' does not exist"):
        open_explainer("none.explain")


def test_nothing_is_written_that_computes_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graphs = writing._as_openvino

    def spoiled(*given: Any) -> Any:
        names, weights, entries = graphs(*given)
        values = np.frombuffer(entries[weights], np.uint8).copy()
        floats = values[: len(values) // 4 * 4].view(np.float32)
        weighs = (np.abs(floats) > 1e-3) & (np.abs(floats) < 1e3)
        floats[weighs] *= 1.01
        return names, weights, {**entries, weights: values.tobytes()}

    monkeypatch.setattr(writing, "_as_openvino", spoiled)
    with pytest.raises(ModelError, match="computes something else than the network; nothing was kept"):
        export_explainer(explainer_of(by_object()), tmp_path / "net.explain")
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_answers_nan_is_not_written(tmp_path: Path) -> None:
    model = by_object()
    with torch.no_grad():
        next(iter(model.module.parameters())).fill_(float("nan"))
    with pytest.raises(ModelError, match="answers NaN; check its `weights`"):
        export_explainer(explainer_of(model), tmp_path / "net.explain")
    assert list(tmp_path.iterdir()) == []


def test_onnx_graphs_run_in_onnxruntime_by_themselves(tmp_path: Path, picture: Path) -> None:
    network = explainer_of(by_object(), classes=["thing"])
    path = tmp_path / "net.explain"
    export_explainer(network, path, format="onnx")
    with zipfile.ZipFile(path) as archive:
        backbone, head, maps = (
            onnxruntime.InferenceSession(archive.read(f"{name}.onnx"), providers=["CPUExecutionProvider"])
            for name in ("backbone", "head-64x48", "maps-64x48")
        )
    features = backbone.run(None, {"images": network.preprocess(str(picture)).numpy()})
    (scores,) = head.run(None, {"features_0": features[0]})
    classes = np.array([[1, 0]], np.float32)
    (values,) = maps.run(None, {"class_weights": classes, "features_0": features[0]})
    expected = map_of(network, picture)
    np.testing.assert_allclose(values[0], expected, atol=1e-4 * expected.max())
    (explanation,) = network.explain(str(picture))
    assert 1 / (1 + np.exp(scores[0, 1] - scores[0, 0])) == pytest.approx(
        explanation.predictions[0].probability, abs=1e-5
    )
    opened = map_of(open_explainer(path), picture)
    np.testing.assert_allclose(opened, expected, atol=1e-4 * expected.max())


def test_onnx_that_computes_something_else_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = onnx_graphs._write

    def twice(module: nn.Module, *given: Any, **options: Any) -> bytes:
        return write(Doubled(module), *given, **options)

    monkeypatch.setattr(onnx_graphs, "_write", twice)
    with pytest.raises(ModelError, match="onnxruntime computes something else than torch"):
        export_explainer(explainer_of(by_object()), tmp_path / "net.explain", format="onnx")
    assert list(tmp_path.iterdir()) == []


def test_missing_packages_for_onnx_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else find(name)
    )
    with pytest.raises(ModelError, match=r'ONNX needs onnxruntime: pip install "streamcam\[onnx\]"'):
        export_explainer(explainer_of(by_object()), tmp_path / "net.explain", format="onnx")


class Doubled(nn.Module):
    """Twice what a network gives."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Any) -> Any:
        return tuple(2 * output for output in self.network(*inputs))


class Sizes(Colors):
    """Looks at its values, which no graph can."""

    def forward(self, images: Any) -> Any:
        if float(images.sum()) > 0:
            return super().forward(images)
        return super().forward(images) * 2


def test_what_cannot_be_exported_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "net.explain"
    with pytest.raises(InvalidArgumentError, match="method 'kpcacam' takes steps that depend on values"):
        export_explainer(explainer_of(by_object(), method="kpcacam"), path)
    with pytest.raises(InvalidArgumentError, match="OpenVINO does not run it"):
        export_explainer(explainer_of(by_object(), backend="torch"), path)
    model = by_object().with_module(nn.Module.eval(Sizes(60, 0, -2)))
    with pytest.raises(InvalidArgumentError, match="OpenVINO does not run it"):
        export_explainer(explainer_of(model), path)
    assert not path.exists()


def test_outputs_that_cannot_be_are_refused(exported: Path, tmp_path: Path) -> None:
    explainer = explainer_of(by_object())
    with pytest.raises(OutputExistsError, match="exists already; give `overwrite=True` to replace it"):
        export_explainer(explainer, exported)
    with pytest.raises(InvalidArgumentError, match=r"does not end in \.explain"):
        export_explainer(explainer, tmp_path / "net.zip")
    with pytest.raises(InvalidArgumentError, match="not 0:9"):
        export_explainer(explainer, tmp_path / "net.explain", shapes=[(0, 9)])
    with pytest.raises(UnknownNameError, match="unknown format 'tflite'"):
        export_explainer(explainer, tmp_path / "net.explain", format="tflite")
    with pytest.raises(NoDirectoryError, match="there is no directory"):
        export_explainer(explainer, tmp_path / "none" / "net.explain")
