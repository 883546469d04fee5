"""Captured graphs of batches: made when they pay off, used when they are right, and never handed out."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torchvision.models import get_model

from streamcam.explain import METHODS, Explainer
from streamcam.explain.backends import cuda_graphs
from streamcam.explain.backends.cuda_graphs import (
    CapturedGraphs,
    CudaGraphCapturer,
    can_be_captured,
    captured_graphs_for,
)
from streamcam.explain.batch import MapMaker
from streamcam.explain.hooks import HookedNetwork
from streamcam.explain.objectives import objectives_of
from streamcam.explain.targets import Target
from streamcam.models import Classifier, InputSpec, probe_layers
from streamcam.models.labels import numbered_labels

CPU = torch.device("cpu")
BEST = (Target(rank=0),)


class Repeating:
    """Records on the processor: repeats the Python itself, and puts results where the first ones are."""

    def __init__(self, _device: torch.device = CPU) -> None:
        self.captured = 0

    def warm_up(self, work: Callable[[], object]) -> None:
        work()

    def capture(self, work: Callable[[], torch.Tensor]) -> tuple[torch.Tensor, Callable[[], None]]:
        place = work().clone()
        self.captured += 1

        def repeat() -> None:
            place.copy_(work())

        return place, repeat


class Mirror(nn.Module):
    """Class k has the mean of channel k, squared: gradients depend on the image."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.AvgPool2d(4)
        self.features = nn.Conv2d(3, 3, 1, bias=False)
        with torch.no_grad():
            self.features.weight.copy_(torch.eye(3).view(3, 3, 1, 1))

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.features(self.cells(batch)).mean(dim=(2, 3)).square()


def map_maker(module: nn.Module | None = None, method: str = "gradcam") -> MapMaker:
    spec = InputSpec(8, 8, (0.0,) * 3, (1.0,) * 3)
    classifier = Classifier("mirror", module or Mirror(), numbered_labels(3), spec, "none")
    layers = [one for one in probe_layers(classifier, torch.zeros(1, 3, 8, 8)) if one.name == "features"]

    def normalize(pixels: NDArray[np.uint8] | torch.Tensor) -> torch.Tensor:
        given = pixels if isinstance(pixels, torch.Tensor) else torch.from_numpy(pixels)
        return spec.normalize(given.permute(0, 3, 1, 2))

    return MapMaker(HookedNetwork(classifier, layers), METHODS[method], {}, normalize)


def batch(seed: int, count: int = 2, side: int = 8) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def graphs(over: MapMaker | None = None, make: Callable[..., Any] = Repeating) -> CapturedGraphs:
    return CapturedGraphs(CPU, over or map_maker(), make)


def settled(seed: int = 0, count: int = 2, **more: Any) -> CapturedGraphs:
    """CapturedGraphs that have a batch of this shape."""
    made = graphs(**more)
    for _ in range(3):
        made.run(batch(seed, count), BEST)
    return made


def test_a_shape_is_recorded_when_it_comes_the_third_time_in_a_row() -> None:
    made = graphs()
    kinds = [(2, 8), (2, 8), (1, 8), (2, 8), (2, 8), (2, 8), (1, 8), (2, 8)]
    found = [made.run(batch(0, *kind), BEST) is not None for kind in kinds]
    assert found == [False, False, False, False, False, True, False, True]


def test_other_targets_are_another_recording_and_functions_none() -> None:
    made = settled()
    pixels = batch(0)
    assert made.run(pixels, BEST) is not None
    assert made.run(pixels, (Target(class_index=2),)) is not None  # which class is no matter
    assert made.run(pixels, (Target(rank=0, against=1),)) is None
    assert made.run(pixels, (Target(rank=0), Target(rank=1))) is None
    own = (Target(function=lambda output: output.scores[:, 0]),)
    assert [made.run(pixels, own) for _ in range(4)] == [None] * 4


def test_only_so_many_recordings_are_kept_and_the_last_used_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_graphs, "_MAX_CAPTURED", 2)
    made = graphs()
    for count in (1, 2, 1, 3):  # batches of one are used once more before the third shape comes
        for _ in range(3):
            made.run(batch(0, count), BEST)
    kept = [made.run(batch(0, count), BEST) is not None for count in (1, 2, 3)]
    assert kept == [True, False, True]


@pytest.mark.parametrize("method", [name for name, row in METHODS.items() if can_be_captured(row)])
def test_recordings_give_what_torch_gives(method: str) -> None:
    over = map_maker(method=method)
    made = settled(over=over)
    for seed in (1, 2):
        run, direct = made.run(batch(seed), BEST), over.run(batch(seed))
        assert run is not None
        torch.testing.assert_close(run.scores, direct.scores)
        for classes in ([0, 2], [1, 1]):
            objectives = objectives_of(Target(rank=0), torch.tensor(classes).view(2, 1), None)
            np.testing.assert_allclose(run.maps(objectives), direct.maps(objectives), rtol=1e-5, atol=1e-7)


def test_gradients_of_classes_that_are_gone_are_not_used_again() -> None:
    over = map_maker()
    run = over.run(batch(1))
    for _ in range(20):  # tensors that are freed leave their place to the next ones
        for classes in ([0, 2], [1, 1], [2, 0]):
            found = run.maps(objectives_of(Target(rank=0), torch.tensor(classes).view(2, 1), None))
            objectives = objectives_of(Target(rank=0), torch.tensor(classes).view(2, 1), None)
            np.testing.assert_array_equal(found, over.run(batch(1)).maps(objectives))


def test_what_is_handed_out_stays_as_it_is() -> None:
    made = settled()
    objectives = objectives_of(Target(rank=0), torch.tensor([[0], [1]]), None)
    run = made.run(batch(1), BEST)
    assert run is not None
    maps = run.maps(objectives)
    before = maps.copy()
    again = made.run(batch(2), BEST)
    assert again is not None
    assert not np.array_equal(again.maps(objectives), before)
    np.testing.assert_array_equal(maps, before)


def test_memory_that_is_short_takes_recordings_away() -> None:
    made = settled()
    made.clear()
    assert [made.run(batch(0), BEST) is not None for _ in range(3)] == [False, False, True]


class Stale(Repeating):
    """Gives what it gave at first, as a recording would that does not read its input."""

    def capture(self, work: Callable[[], torch.Tensor]) -> tuple[torch.Tensor, Callable[[], None]]:
        return work().clone(), lambda: None


class Failing(Repeating):
    """Cannot record, as where a network looks at its values on the way."""

    def capture(self, work: Callable[[], torch.Tensor]) -> tuple[torch.Tensor, Callable[[], None]]:
        work()
        raise RuntimeError("operation not permitted\nwhen stream is capturing")


class Short(Repeating):
    """Is out of memory."""

    def warm_up(self, work: Callable[[], object]) -> None:
        work()
        raise torch.OutOfMemoryError("tried to allocate more than there is")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (Stale, "CUDA graphs compute something else than eager torch"),
        (Failing, "it cannot be captured as a CUDA graph (operation not permitted when stream is capturing)"),
        (Short, "it cannot be captured as a CUDA graph (tried to allocate more than there is)"),
    ],
)
def test_what_cannot_be_recorded_is_run_piece_by_piece_and_not_tried_again(
    make: type[Repeating], reason: str
) -> None:
    tried = []

    def counted(device: torch.device) -> Repeating:
        tried.append(device)
        return make()

    made = graphs(make=counted)
    assert [made.run(batch(seed), BEST) for seed in range(6)] == [None] * 6
    assert (len(tried), made.reason) == (1, reason)


def test_a_recording_that_is_wrong_in_its_maps_only_is_not_believed() -> None:
    class WrongMaps(Repeating):
        def capture(self, work: Callable[[], torch.Tensor]) -> tuple[torch.Tensor, Callable[[], None]]:
            place, repeat = super().capture(work)
            return (place, repeat) if self.captured == 1 else (place, lambda: None)

    assert settled(make=WrongMaps).reason.startswith("CUDA graphs compute something else")


def test_weights_stay_where_a_recording_reads_them() -> None:
    module = Mirror()
    made = settled(over=map_maker(module))
    address = module.features.weight.data_ptr()
    module.features.weight.data = torch.ones(3, 3, 1, 1)
    run = made.run(batch(0), BEST)
    assert run is not None
    assert address in {tensor.data_ptr() for tensor in run._kept_alive}


def test_methods_that_see_values_or_the_input_are_not_recorded() -> None:
    able = {name for name, row in METHODS.items() if can_be_captured(row)}
    assert {"gradcam", "gradcam++", "hirescam", "layercam", "eigencam", "finercam", "shapleycam"} <= able
    assert "refinecam" in able
    assert not able & {"cam", "kpcacam", "scorecam", "occlusion", "legrad", "fullgrad"}


def test_only_cuda_is_recorded() -> None:
    assert captured_graphs_for(CPU, map_maker()) is None
    assert captured_graphs_for(torch.device("mps"), map_maker()) is None
    refused = captured_graphs_for(torch.device("cuda"), map_maker(method="kpcacam"))
    assert refused is not None
    assert refused.reason == "the method cannot be captured as a CUDA graph"
    assert [refused.run(batch(0), BEST) for _ in range(4)] == [None] * 4


# --- In an explainer -------------------------------------------------------------------------------------


def network(name: str) -> Classifier:
    torch.manual_seed(0)
    module = get_model(name, weights=None, num_classes=10).eval()
    return Classifier(name, module, numbered_labels(10), InputSpec(64, 64), "none")


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("resnet18", {"classes": ["top2", 3]}),
        ("mobilenet_v3_small", {"against": 3, "signed": True}),  # whose head is not linear
        ("resnet18", {"method": "refinecam"}),
    ],
)
def test_explanations_are_the_same_with_graphs(
    name: str, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [*batch(3, 8, 64), *batch(4, 1, 64)]
    make = {"backend": "torch", "batch_size": 2, "fit": "stretch", **settings}
    expected = Explainer(network(name), **make).explain(images)
    made: list[CapturedGraphs] = []

    def recorded(device: torch.device, over: MapMaker) -> CapturedGraphs:
        made.append(CapturedGraphs(device, over, Repeating))
        return made[0]

    monkeypatch.setattr("streamcam.explain.runner.captured_graphs_for", recorded)
    explainer = Explainer(network(name), **make)
    found = explainer.explain(images)
    assert len(made[0]._runs) == 1
    assert explainer.backend_reason == (
        "torch was requested; batches of a shape that repeats run as CUDA graphs"
    )
    for one, other in zip(found, expected, strict=True):
        assert one.predictions == other.predictions
        assert one.heatmaps.keys() == other.heatmaps.keys()
        for index, heatmap in other.heatmaps.items():
            tolerance = 1e-5 * float(np.abs(heatmap).max())
            np.testing.assert_allclose(one.heatmaps[index], heatmap, atol=tolerance)


# --- What is asked of CUDA, by stand-ins that write it down ------------------------------------------------


class Stream:
    """Writes down what waits for what."""

    def __init__(self, told: list[str], name: str) -> None:
        self._told, self._name = told, name

    def wait_stream(self, other: Stream) -> None:
        self._told.append(f"{self._name} waits for {other._name}")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    told: list[str] = []
    streams = {"usual": Stream(told, "usual"), "own": Stream(told, "own")}

    def inside(name: str) -> Callable[..., contextlib.AbstractContextManager[None]]:
        @contextlib.contextmanager
        def context(*given: Any, **settings: Any) -> Iterator[None]:
            shown = [str(getattr(one, "_name", one)) for one in (*given, *settings.values())]
            told.append(f"{name} {' '.join(shown)}")
            yield
            told.append(f"end of {name}")

        return context

    for name, stand_in in {
        "Stream": lambda _device: streams["own"],
        "current_stream": lambda _device: streams["usual"],
        "graph_pool_handle": lambda: "pool",
        "stream": inside("stream"),
        "device": inside("device"),
        "graph": inside("graph"),
        "CUDAGraph": lambda: SimpleNamespace(_name="new", replay=lambda: told.append("replay")),
    }.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    return told


def test_cuda_is_warmed_up_and_recorded_on_one_stream_of_its_own(told: list[str]) -> None:
    def work() -> torch.Tensor:
        told.append("work")
        return torch.zeros(1)

    capturer = CudaGraphCapturer(torch.device("cuda"))
    capturer.warm_up(work)
    assert told == [
        *("own waits for usual", "stream own", "work", "work", "work", "end of stream"),
        "usual waits for own",
    ]
    told.clear()
    place, repeat = capturer.capture(work)
    assert told == ["device cuda", "graph new pool own thread_local", "work", "end of graph", "end of device"]
    told.clear()
    repeat()
    assert told == ["replay"]
    assert place.tolist() == [0.0]


def test_cuda_has_what_the_stand_ins_stand_in_for() -> None:
    assert {"pool", "stream", "capture_error_mode"} <= set(inspect.signature(torch.cuda.graph).parameters)
    assert callable(torch.cuda.CUDAGraph.replay)
    assert callable(torch.cuda.Stream.wait_stream)
