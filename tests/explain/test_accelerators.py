"""On an NVIDIA or Apple GPU: the same maps as on the processor. Skipped where there is none.

``STREAMCAM_TEST_DEVICE=cuda`` (or ``mps``) makes a missing device a failure, where there should be one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import get_model

from streamcam.explain import METHODS, Explainer
from streamcam.explain.backends.cuda_graphs import can_be_captured
from streamcam.explanations import Explanation
from streamcam.models import Classifier, InputSpec
from streamcam.models.labels import numbered_labels


def found_device() -> str | None:
    promised = os.environ.get("STREAMCAM_TEST_DEVICE")
    if promised:
        return promised
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else None


DEVICE = found_device()
pytestmark = pytest.mark.skipif(DEVICE is None, reason="there is no GPU here")
only_cuda = pytest.mark.skipif(DEVICE != "cuda", reason="there is no NVIDIA GPU here")

QUICK = {"sscam": "sscam:samples=2", "iscam": "iscam:samples=2", "occlusion": "occlusion:patch=32,stride=16"}

# Half precision is held to 0.999 on generated images; untrained networks on noise are harder.
CORRELATION = {"fp32": 0.9999, "fp16": 0.99, "bf16": 0.97}


@pytest.fixture(autouse=True)
def _as_exact_as_the_processor() -> Iterator[None]:
    former = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = former


def network(name: str = "resnet18", module: nn.Module | None = None) -> Classifier:
    torch.manual_seed(0)
    made = get_model(name, weights=None, num_classes=10) if module is None else module
    side = 224 if name.startswith("vit") else 64
    return Classifier(name, made.eval(), numbered_labels(10), InputSpec(side, side), "none")


def new_images(count: int, height: int = 64, width: int = 64, first: int = 0) -> list[np.ndarray]:
    return [
        np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
        for seed in range(first, first + count)
    ]


def explainer(name: str = "resnet18", module: nn.Module | None = None, **settings: Any) -> Explainer:
    settings = {"device": DEVICE, "classes": 3, "fit": "stretch", "batch_size": 4, **settings}
    return Explainer(network(name, module), backend="torch", **settings)


def assert_alike(found: list[Explanation], expected: list[Explanation], correlation: float) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.heatmaps.keys() == other.heatmaps.keys()
        for index, heatmap in other.heatmaps.items():
            pair = np.stack([one.heatmaps[index].ravel(), heatmap.ravel()]).astype(np.float64)
            assert np.isfinite(pair).all()
            if heatmap.std() > 0:
                assert np.corrcoef(pair)[0, 1] >= correlation
            assert abs(pair[0].max() - pair[1].max()) <= 2 * (1 - correlation) ** 0.5 * pair[1].max()


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_the_maps_of_the_processor(method: str) -> None:
    name = "vit_b_32" if method == "legrad" else "resnet18"
    settings = {"method": QUICK.get(method, method), "precision": "fp32"}
    images = new_images(2, first=1)
    if METHODS[method].passes == "many":
        settings["target_layer"] = "layer1.0.bn1"  # of few channels, each of which is tried
        images = images[:1]
    expected = explainer(name, device="cpu", **settings).explain(images)
    made = explainer(name, batch_size=1, **settings)
    assert_alike(made.explain(images), expected, CORRELATION["fp32"])


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "densenet121", "vit_b_32", "swin_t"])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_families_of_networks(name: str, precision: str) -> None:
    images = new_images(14)
    expected = explainer(name, device="cpu", precision="fp32").explain(images)
    made = explainer(name, precision=precision)
    assert made.precision == precision
    assert_alike(made.explain(images), expected, CORRELATION[precision])


# --- CUDA graphs -----------------------------------------------------------------------------------------


def recorded(made: Explainer) -> int:
    """Tell how many recordings an explainer has, and why none if none."""
    assert made.runner._graphs is not None
    assert not made.runner._graphs._given_up, made.backend_reason
    return len(made.runner._graphs._runs)


@only_cuda
@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
@pytest.mark.parametrize("method", [name for name, row in METHODS.items() if can_be_captured(row)])
def test_recordings_give_what_is_given_piece_by_piece(method: str, precision: str) -> None:
    settings = {"method": method, "precision": precision, "classes": None if method == "finercam" else "top2"}
    images = new_images(20)
    made, plain = explainer(**settings), explainer(**settings)
    assert plain.runner._graphs is not None
    plain.runner._graphs.give_up("for comparison")
    assert_alike(made.explain(images), plain.explain(images), 0.9999)
    assert recorded(made) == 1


@only_cuda
def test_every_shape_and_size_of_batch_is_right() -> None:
    made, plain = explainer(fit="full"), explainer(fit="full", device="cpu", precision="fp32")
    images = [*new_images(18), *new_images(18, 64, 96), *new_images(18, 96, 64), *new_images(5)]
    assert_alike(made.explain(images), plain.explain(images), CORRELATION["fp16"])
    for image in new_images(5, first=50):  # batches of one, as live
        assert_alike(made.explain([image]), plain.explain([image]), CORRELATION["fp16"])
    assert recorded(made) == 4


@only_cuda
def test_explanations_that_were_handed_out_stay_as_they_are() -> None:
    made = explainer()
    made.explain(new_images(16))
    kept = made.explain(new_images(4))
    before = [one.heatmaps[3].copy() for one in kept]
    made.explain(new_images(8, first=30))
    for one, heatmap in zip(kept, before, strict=True):
        np.testing.assert_array_equal(one.heatmaps[3], heatmap)


class Looking(nn.Module):
    """Decides by its values, for which it has to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 10, 8, stride=8)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        features = self.features(batch)
        return features.mean(dim=(2, 3)) if features.sum() > 0 else features.amax(dim=(2, 3))


@only_cuda
def test_a_network_that_cannot_be_recorded_is_run_piece_by_piece() -> None:
    images = new_images(24)
    expected = explainer("looking", Looking(), device="cpu", precision="fp32").explain(images)
    made = explainer("looking", Looking(), precision="fp32")
    assert_alike(made.explain(images), expected, CORRELATION["fp32"])
    assert "cannot be recorded as a CUDA graph" in made.backend_reason
    # And nothing is left of it: another network is recorded in the same process.
    other = explainer()
    other.explain(new_images(16))
    assert recorded(other) == 1


class Hungry(Looking):
    """Needs a third of the free memory for each image."""

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        torch.empty(self.share * len(batch), dtype=torch.uint8, device=batch.device)
        return self.features(batch).mean(dim=(2, 3))


@only_cuda
def test_batches_are_halved_where_memory_is_short() -> None:
    module = Hungry()
    module.share = 0
    made = explainer("hungry", module, batch_size=8, precision="fp32")
    module.share = torch.cuda.mem_get_info()[0] // 3
    images = new_images(24)
    found = made.explain(images)
    assert made.batch_size == 2
    assert [note for note in made.notes if "memory" in note] == [
        f"the memory of {made.device} is short: fewer images go through the network at once"
    ]
    module.share = 0
    expected = explainer("hungry", module, device="cpu", precision="fp32").explain(images)
    assert_alike(found, expected, CORRELATION["fp32"])


@only_cuda
def test_other_threads_may_use_the_device_while_a_graph_is_recorded() -> None:
    """As decoders do, which allocate, copy and wait by themselves."""
    stop, running = threading.Event(), threading.Event()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with torch.cuda.stream(torch.cuda.Stream()):
                while not stop.is_set():
                    values = torch.ones(1000).to("cuda") * 2
                    torch.cuda.current_stream().synchronize()
                    assert values.sum().item() == 2000
                    running.set()
        except BaseException as error:
            failures.append(error)
            running.set()

    thread = threading.Thread(target=work, name="another user of the device")
    thread.start()
    try:
        running.wait()
        made = explainer()
        made.explain(new_images(32))
    finally:
        stop.set()
        thread.join()
    assert failures == []
    assert recorded(made) == 1
