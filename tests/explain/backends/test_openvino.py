"""OpenVINO as the backbone's backend: the same maps as torch, or torch."""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import get_model

from streamcam.errors import InvalidArgumentError, UnknownNameError
from streamcam.explain import Explainer
from streamcam.explain.backends import split, split_network
from streamcam.explain.backends.requests import BatchRequest
from streamcam.explanations import Explanation
from streamcam.frames import Frame
from streamcam.models import Classifier, InputSpec, Layer
from streamcam.models.labels import numbered_labels
from streamcam.sources.given_images import frames_of
from streamcam.temporal import TemporalSettings, Tracker


def network(name: str = "resnet18", size: int = 64) -> Classifier:
    torch.manual_seed(0)
    module = get_model(name, weights=None, num_classes=10).eval()
    return Classifier(name, module, numbered_labels(10), InputSpec(size, size), "none")


def new_images(count: int, height: int, width: int) -> list[np.ndarray]:
    return [
        np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
        for seed in range(count)
    ]


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("gradcam", {}),
        ("hirescam", {"classes": [3, "top2"]}),
        ("shapleycam", {}),
        ("gradcam", {"signed": True}),
        ("eigencam", {}),
        ("occlusion:patch=32,stride=32", {}),
    ],
)
def test_maps_and_predictions_are_those_of_torch(method: str, settings: dict[str, object]) -> None:
    images = new_images(5, 64, 96)  # a full batch of 4 and a short one
    both = []
    for backend in ("openvino", "torch"):
        explainer = Explainer(network(), method=method, backend=backend, precision="fp32", **settings)  # type: ignore[arg-type]
        assert explainer.backend == backend
        both.append(explainer.explain(images))
        assert explainer.backend == backend  # and not given up on the way
    for fast, exact in zip(*both, strict=True):
        assert [one.index for one in fast.predictions] == [one.index for one in exact.predictions]
        for index, heatmap in exact.heatmaps.items():
            tolerance = 1e-3 * float(np.abs(heatmap).max())
            np.testing.assert_allclose(fast.heatmaps[index], heatmap, atol=tolerance)


@pytest.mark.parametrize(("width", "threads"), [(16, 1), (4096, 3)])  # 20 thousand and 4.2 million parameters
def test_only_a_large_head_gets_several_threads(
    width: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamcam.explain.backends.split_network.available_cores", lambda: 3)
    pooled = nn.Sequential(nn.AdaptiveAvgPool2d(8), nn.Flatten())
    head = nn.Sequential(nn.Linear(1024, width), nn.ReLU(), nn.Linear(width, 10))
    module = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), pooled, head).eval()
    classifier = Classifier("own", module, numbered_labels(10), InputSpec(64, 64), "none")
    halves = split.split_network(module, "0")
    assert halves is not None
    layer = Layer("0", "Conv2d", (1, 16, 62, 62), None, explains=True)
    assert split_network.SplitNetwork(classifier, layer, halves, [], 1).head_threads == threads


def test_a_frame_that_comes_alone_is_run_by_itself_if_most_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the maps of batches of one; several together are still a full batch."""
    images = new_images(3, 64, 96)
    full, one = (Explainer(network(), backend="openvino", precision="fp32", batch_size=n) for n in (4, 1))
    frames = frames_of(images)
    expected = [*one.explain_frames(frames[:1]), *full.explain_frames(frames[1:])]
    shapes: list[int] = []
    run = BatchRequest.run

    def note(self: BatchRequest, images: Any, count: int) -> Any:
        shapes.append(len(images))
        return run(self, images, count)

    monkeypatch.setattr(BatchRequest, "run", note)
    with full.short_batches():
        found = [*full.explain_frames(frames[:1]), *full.explain_frames(frames[1:])]
    assert shapes == [1, 4]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.predictions == theirs.predictions
        for index, heatmap in theirs.heatmaps.items():
            assert np.array_equal(ours.heatmaps[index], heatmap)
    full.explain_frames(frames[:1])
    assert shapes == [1, 4, 4], "it fills up again"


def test_every_shape_of_image_is_explained() -> None:
    explainer = Explainer(network(), backend="openvino", precision="fp32")
    exact = Explainer(network(), backend="torch")
    images = [*new_images(1, 64, 96), *new_images(1, 96, 64), *new_images(2, 64, 64)]
    for fast, slow in zip(explainer.explain(images), exact.explain(images), strict=True):
        ((index, heatmap),) = slow.heatmaps.items()
        np.testing.assert_allclose(fast.heatmaps[index], heatmap, atol=1e-3 * float(heatmap.max()))
    assert explainer.backend == "openvino"


def test_a_network_whose_tracing_writes_sizes_down_is_converted_again() -> None:
    # Swin pads and shifts by numbers that its Python works out: right for one shape, wrong for others.
    images = new_images(1, 64, 128)
    fast = Explainer(network("swin_t"), backend="openvino", fit="full", precision="fp32")
    slow = Explainer(network("swin_t"), backend="torch", fit="full")
    ((index, heatmap),) = slow.explain(images)[0].heatmaps.items()
    found = fast.explain(images)[0].heatmaps[index]
    np.testing.assert_allclose(found, heatmap, atol=1e-2 * float(heatmap.max()))


@pytest.mark.parametrize(
    "name",
    [
        "alexnet",
        "convnext_tiny",
        "densenet121",
        "efficientnet_b0",
        "mnasnet0_5",
        "mobilenet_v3_small",
        "regnet_y_400mf",
        "shufflenet_v2_x0_5",
        "squeezenet1_1",
        "swin_t",
        "swin_v2_t",
    ],
)
def test_full_batches_of_every_family_are_those_of_torch(name: str) -> None:
    """Swin's attention adds a table of relative positions, which is there once, to all images of a batch."""
    images = new_images(5, 64, 64)
    fast = Explainer(network(name), backend="openvino", precision="fp32")
    slow = Explainer(network(name), backend="torch")
    for ours, torchs in zip(fast.explain(images), slow.explain(images), strict=True):
        ((index, heatmap),) = torchs.heatmaps.items()
        np.testing.assert_allclose(ours.heatmaps[index], heatmap, atol=1e-2 * float(heatmap.max()))
    assert fast.backend == "openvino"


class Measuring(nn.Module):
    """Adds, behind its features, a table that it makes of the size of the image, once for all images."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 10, 3, stride=4)
        self.table = nn.Parameter(torch.ones(1, 10, 4, 4))

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        table = nn.functional.interpolate(self.table, scale_factor=batch.size(-1) / 64)
        features = self.features(batch)
        return features.mean((2, 3)) + table.mean((2, 3))


def test_a_network_that_carries_what_belongs_to_no_image_runs_in_torch() -> None:
    module = Measuring().eval()
    model = Classifier("own", module, numbered_labels(10), InputSpec(64, 64), "none")
    explainer = Explainer(model, target_layer="features", precision="fp32", device="cpu")
    assert len(explainer.explain(new_images(4, 64, 64))) == 4
    assert explainer.backend == "torch"


def test_an_backend_that_computes_something_else_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    image = new_images(1, 64, 64)
    expected = Explainer(network(), backend="torch").explain(image)[0]
    explainer = Explainer(network(), backend="openvino", precision="fp32")
    monkeypatch.setattr(split_network, "close_to", lambda *_: False)
    explanation = explainer.explain(image)[0]
    assert explainer.backend == "torch"
    assert any("differently from torch" in note for note in explainer.notes)
    assert "differently from torch" in explainer.backend_reason
    ((index, heatmap),) = expected.heatmaps.items()
    np.testing.assert_array_equal(explanation.heatmaps[index], heatmap)


def test_what_one_video_decided_does_not_hold_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = frames_of(new_images(2, 64, 64))
    expected = Explainer(network(), backend="openvino", precision="fp32").explain_frames(frames[:1])
    explainer = Explainer(network(), backend="openvino", precision="fp32")
    with monkeypatch.context() as patch:
        patch.setattr(split_network, "close_to", lambda *_: False)
        explain_observed(explainer, frames[0], tracker := Tracker(TemporalSettings()))
    assert explainer.backend == "torch"
    explain_observed(explainer, frames[1], tracker)  # no beginning
    assert explainer.backend == "torch"
    assert any("differently from torch" in note for note in explainer.notes)
    explanation = explain_observed(explainer, frames[0], Tracker(TemporalSettings()))
    assert explainer.backend == "openvino"
    assert "differently from torch" not in explainer.backend_reason
    assert not any("differently from torch" in note for note in explainer.notes)
    ((index, heatmap),) = explanation.heatmaps.items()
    np.testing.assert_array_equal(heatmap, expected[0].heatmaps[index])


def explain_observed(explainer: Explainer, frame: Frame, tracker: Tracker) -> Explanation:
    tracker.observe(frame)
    (explanation,) = explainer.explain_frames([frame], tracker)
    return explanation


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"method": "ablationcam"}, "whole network in torch"),
        ({"method": "refinecam"}, "several target layers"),
    ],
)
def test_what_needs_the_whole_network_says_so(settings: dict[str, str], reason: str) -> None:
    explainer = Explainer(network(), **settings)  # type: ignore[arg-type]
    assert explainer.backend == "torch"
    assert reason in explainer.backend_reason
    with pytest.raises(InvalidArgumentError, match="`backend='openvino'` cannot be used here"):
        Explainer(network(), backend="openvino", **settings)  # type: ignore[arg-type]


def test_unknown_backends_are_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown backend 'warp'.*openvino, torch"):
        Explainer(network(), backend="warp")
    with pytest.raises(UnknownNameError, match=r"unknown OpenVINO device 'TPU'"):
        Explainer(network(), device="openvino:TPU")


# --- The cache -----------------------------------------------------------------------------------------


def converted(cache: Path) -> list[Path]:
    return sorted(cache.glob("openvino-*"))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STREAMCAM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_converted_network_is_kept_and_used_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = new_images(1, 64, 64)
    first = Explainer(network(), backend="openvino").explain(image)[0]
    (entry,) = converted(cache)

    def convert_again(*_: object) -> None:
        raise AssertionError("converted again")

    monkeypatch.setattr("streamcam.explain.backends.conversion._convert", convert_again)
    second = Explainer(network(), backend="openvino").explain(image)[0]
    ((index, heatmap),) = first.heatmaps.items()
    np.testing.assert_array_equal(second.heatmaps[index], heatmap)
    assert converted(cache) == [entry]


@pytest.mark.usefixtures("cache")
def test_what_takes_long_is_logged_where_it_is_done(caplog: pytest.LogCaptureFixture) -> None:
    def activities() -> list[str]:
        caplog.clear()
        with caplog.at_level(logging.INFO, logger="streamcam.explain"):
            Explainer(network(), device="openvino:CPU", precision="bf16")
        return [record.getMessage() for record in caplog.records if getattr(record, "activity", False)]

    converting = "converting the network for OpenVINO, once"
    assert activities() == [converting]
    assert activities() == []


def test_other_weights_are_another_entry(cache: Path) -> None:
    Explainer(network(), backend="openvino")
    changed = network()
    with torch.no_grad():
        next(changed.module.parameters())[0, 0, 0, 0] += 1e-6
    Explainer(changed, backend="openvino")
    assert len(converted(cache)) == 2


@pytest.mark.parametrize("name", ["model.xml", "model.bin", "manifest.json"])
@pytest.mark.parametrize("damage", ["cut", "gone", "flipped"])
def test_a_damaged_entry_is_made_again(cache: Path, name: str, damage: str) -> None:
    image = new_images(1, 64, 64)
    expected = Explainer(network(), backend="openvino").explain(image)[0]
    (entry,) = converted(cache)
    held = (entry / name).read_bytes()
    if damage == "gone":
        (entry / name).unlink()
    elif damage == "cut":
        (entry / name).write_bytes(held[: len(held) // 2])
    else:
        middle = len(held) // 2
        (entry / name).write_bytes(held[:middle] + bytes([held[middle] ^ 1]) + held[middle + 1 :])
    found = Explainer(network(), backend="openvino").explain(image)[0]
    ((index, heatmap),) = expected.heatmaps.items()
    np.testing.assert_array_equal(found.heatmaps[index], heatmap)
    assert len((converted(cache)[0] / name).read_bytes()) == len(held)


def test_a_cache_that_cannot_be_written_costs_only_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("STREAMCAM_CACHE", str(tmp_path / "file"))
    assert Explainer(network(), backend="openvino").backend == "openvino"


def test_openvino_reports_nothing_over_the_network() -> None:
    program = (
        "from streamcam.models.openvino_runtime import load_openvino; import sys; load_openvino();"
        "assert sys.modules.get('openvino_telemetry') is None, 'telemetry is loaded'"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_converter_is_imported_when_something_is_converted() -> None:
    program = (
        "from streamcam.models.openvino_runtime import load_openvino; import sys; ov = load_openvino();"
        "assert 'openvino.tools.ovc' not in sys.modules;"
        "wrapped = ov.convert_model\n"
        "try: wrapped('nowhere.onnx')\n"
        "except Exception: pass\n"
        "import openvino.tools.ovc as own;"
        "assert ov.convert_model is own.convert_model is not wrapped"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


def test_signals_are_safe_after_an_explainer_has_gone() -> None:
    # The backend lends the thread that loads it a stack for signal handlers: it must never be taken back.
    program = """
import faulthandler, gc, signal, threading
import numpy as np
from streamcam import Explainer
faulthandler.enable()
held = [Explainer(backend="openvino")]
held[0].explain([np.zeros((64, 64, 3), np.uint8)])
thread = threading.Thread(target=lambda: (held.clear(), gc.collect()))
thread.start()
thread.join()
caught = []
signal.signal(signal.SIGTERM, lambda *_: caught.append(True))
signal.raise_signal(signal.SIGTERM)
assert caught
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


class Operated(nn.Module):
    """A network with one operation of torch's before the target layer."""

    def __init__(self, operation: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.operation = operation
        self.stem, self.last, self.fc = nn.Conv2d(3, 8, 4, 4), nn.Conv2d(8, 16, 3), nn.Linear(16, 10)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.fc(self.last(self.operation(self.stem(batch))).relu().mean((2, 3)))
        return logits


@pytest.mark.parametrize(
    "operation",
    [
        lambda values: values + torch.linalg.svdvals(values).mean(-1)[..., None, None],
        lambda values: values - values.flatten(2).median(-1).values[..., None, None],
        lambda values: torch.lgamma(values.abs() + 1),
        lambda values: values - torch.quantile(values.flatten(2), 0.5, dim=2)[..., None, None],
        torch.sinc,
        torch.i0,
        lambda values: torch.logcumsumexp(values, dim=3),
    ],
    ids=["svdvals", "median", "lgamma", "quantile", "sinc", "i0", "logcumsumexp"],
)
def test_what_openvino_cannot_convert_runs_in_torch(
    operation: Callable[[torch.Tensor], torch.Tensor],
) -> None:
    model = Classifier("own", Operated(operation).eval(), numbered_labels(10), InputSpec(64, 64), "none")
    image = new_images(1, 64, 96)[0]
    explainer = Explainer(model, target_layer="last", classes=3)
    assert explainer.backend == "torch"
    assert "cannot" in explainer.backend_reason
    exact = Explainer(model, target_layer="last", classes=3, backend="torch").explain(image)[0]
    np.testing.assert_array_equal(explainer.explain(image)[0].heatmaps[3], exact.heatmaps[3])


def test_nothing_is_left_of_explainers_that_are_dropped() -> None:
    """They are freed at once, without the garbage collector, which counts objects and not bytes."""
    held: list[weakref.ref[Any]] = []
    gc.collect()
    gc.disable()
    try:
        for seed in range(3):
            torch.manual_seed(seed)
            module = nn.Sequential(
                nn.Conv2d(3, 4, 8, 8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
            )
            model = Classifier("small", module.eval(), ("one", "other"), InputSpec(32, 32), "none")
            explainer = Explainer(model, backend="openvino", device="cpu", precision="fp32", batch_size=1)
            explainer.explain(np.zeros((32, 32, 3), np.uint8))
            run = explainer.runner._split
            assert run is not None
            held += map(weakref.ref, (module, explainer, run, run._candidates[-1]))
            del module, model, explainer, run
    finally:
        gc.enable()
    assert [type(reference()).__name__ for reference in held if reference() is not None] == []
