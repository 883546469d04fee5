"""No command makes maps that are blank, even or the same for every image without a word, by any method."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from media_factory import make_clip
from numpy.typing import NDArray

from streamcam.cli import run
from streamcam.explain.methods import METHODS

TOOLS = Path(__file__).parents[2] / "tools"

QUICK = {"occlusion": "occlusion:patch=16,stride=16", "sscam": "sscam:samples=2", "iscam": "iscam:samples=2"}
"""Options that make the slowest methods quick."""

NETWORKS = """
import torch
from torch import nn
from streamcam.models import Detector, InputSpec
from streamcam.models.detector import Candidates

class Net(nn.Module):
    def __init__(self, weight=1.0):
        super().__init__()
        torch.manual_seed(0)
        self.features = nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.ReLU(), nn.Conv2d(8, 8, 4, 2), nn.ReLU())
        self.fc = nn.Linear(8, 4)
    def forward(self, batch):
        return self.fc(self.features(batch).mean((2, 3)))

class Cells(Detector):
    def candidates(self, planes):
        logits = planes.flatten(2).mT
        boxes = torch.rand(logits.shape[1], 4, generator=torch.Generator().manual_seed(0)).sort(dim=1).values
        return [Candidates(boxes, rows.detach().sigmoid(), rows.__getitem__) for rows in logits]

def classifier(): return Net().eval()
def softened(): return nn.Sequential(Net(), nn.Softmax(dim=1)).eval()
def regressor(): return nn.Sequential(Net(), nn.Linear(4, 1)).eval()
def cells():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 8, 8), nn.ReLU(), nn.Conv2d(8, 2, 1))
    return Cells("cells", network.eval(), ("a", "b"), InputSpec(64, 64), "none")
"""


def paint_blocks(index: int, planes: Sequence[NDArray[np.uint8]]) -> None:
    """Paint blocks of noise, other ones in each frame."""
    random = np.random.default_rng(index)
    for plane in planes:
        height, width = plane.shape
        side = -(-height // 4)
        blocks = random.integers(0, 256, (4, -(-width // side)), dtype=np.uint8)
        plane[:] = blocks.repeat(side, 0).repeat(side, 1)[:height, :width]


@pytest.fixture(autouse=True)
def _inputs(work: Path) -> Iterator[None]:
    (work / "family_nets.py").write_text(NETWORKS)
    make_clip(work / "clip.mp4", frames=2, size=(96, 64), paint=paint_blocks)
    yield
    sys.modules.pop("family_nets", None)


def heatmaps_in(record: Any) -> Iterator[list[float]]:
    """Yield the values of all maps in a part of a sidecar's line that are not said to show nothing."""
    if isinstance(record, list):
        for part in record:
            yield from heatmaps_in(part)
    elif isinstance(record, dict):
        if "heatmap" in record and "empty" not in record:
            yield record["heatmap"]["values"]
        for part in record.values():
            yield from heatmaps_in(part)


def fault_of(code: int, said: str, records: list[dict[str, Any]]) -> str | None:
    """Say what is wrong with a command that its messages do not say."""
    if "internal error" in said or (code != 0 and "error: " not in said):
        return said
    if code != 0:
        return None
    if not records or (
        any('"empty"' in json.dumps(record) for record in records) and "shows nothing" not in said
    ):
        return "a map shows nothing, and no message says so"
    maps = [np.array(next(heatmaps_in(record), ()), np.float64) for record in records]
    shown = [values / np.abs(values).max() for values in maps if values.size and np.abs(values).max() > 0]
    if sum(values.size > 0 for values in maps) > len(shown):
        return "a map is blank"
    if any(np.ptp(values) < 1e-3 for values in shown):
        return "a map is the same at every place"
    if len(shown) > 1 and all(np.abs(values - shown[0]).max() < 1e-3 for values in shown[1:]):
        return "the map is the same for every image"
    return None


def check(model: Sequence[str], capfd: pytest.CaptureFixture[str]) -> None:
    """Render by every method, and see that what shows nothing is named; most methods show something."""
    faults, shown = {}, 0
    for method in METHODS:
        arguments = ["--model", *model, "--method", QUICK.get(method, method), "--overwrite"]
        code = run(["render", "clip.mp4", "-o", "maps.jsonl", *arguments])
        said = capfd.readouterr().err
        lines = Path("maps.jsonl").read_text().splitlines()[1:] if code == 0 else []
        fault = fault_of(code, said, [json.loads(line) for line in lines])
        if fault is not None:
            faults[method] = fault
        shown += code == 0
    assert faults == {}
    assert shown >= len(METHODS) // 3


@pytest.mark.parametrize("name", ["classifier", "cells"])
def test_every_method_on_own_networks(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    check([f"family_nets:{name}", "--backend", "torch"], capfd)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["softened", "regressor"])
def test_every_method_on_networks_of_other_answers(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    check([f"family_nets:{name}"], capfd)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["CLIP", "DETR"])
def test_every_method_on_folders_of_transformers(
    name: str, work: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("transformers")
    monkeypatch.syspath_prepend(TOOLS)
    kinds = importlib.import_module("transformers_networks")
    torch.manual_seed(0)
    kinds.save(name, work / "network")
    architecture, _ = kinds.NETWORKS[name]
    prompts = ["--prompt", "a cat", "--prompt", "a cup"] if architecture.endswith("Model") else []
    confidence = ["--confidence", "0"] if architecture.endswith("Detection") else []
    check(["hf:network", *prompts, *confidence], capfd)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("suffix", ["onnx", "pt2", "pt"])
def test_every_method_on_files(
    suffix: str, work: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(work)
    network = importlib.import_module("family_nets").classifier()
    image = torch.zeros(1, 3, 64, 64)
    if suffix == "onnx":
        pytest.importorskip("onnx")
        torch.onnx.export(network, (image,), work / "network.onnx", dynamo=False)
    elif suffix == "pt2":
        torch.export.save(torch.export.export(network, (image,)), work / "network.pt2")
    else:
        torch.jit.save(torch.jit.trace(network, image), work / "network.pt")
    check([f"network.{suffix}"], capfd)
