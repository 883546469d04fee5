"""Videos whose maps show nothing: why is said once, and the exit code is 1 where no frame has a map."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from media_factory import make_clip, paint_quadrants

from streamcam.cli import run

NETWORKS = """
    import torch
    from torch import nn
    from streamcam.models import Detector, InputSpec
    from streamcam.models.detector import Candidates

    class Net(nn.Module):
        def __init__(self, weight):
            super().__init__()
            torch.manual_seed(0)
            self.conv, self.fc = nn.Conv2d(3, 4, 8, 8), nn.Linear(4, 3)
            nn.init.constant_(self.conv.bias, 3.0)
            nn.init.constant_(self.fc.weight, weight)
        def forward(self, batch):
            return self.fc(self.conv(batch).relu().mean((2, 3)))

    class Cells(Detector):
        def candidates(self, planes):
            logits = planes.flatten(2).mT - 9
            boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0]]).expand(logits.shape[1], 4)
            return [Candidates(boxes, rows.detach().sigmoid(), rows.__getitem__) for rows in logits]

    def finds_nothing():
        network = nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.ReLU(), nn.Conv2d(4, 2, 1))
        return Cells("cells", network.eval(), ("a", "b"), InputSpec(64, 64), "none")
    def quantized():
        return torch.ao.quantization.quantize_dynamic(Net(1.0).eval(), {nn.Linear}, dtype=torch.qint8)
    def mixed():
        net = Net(1.0)
        with torch.no_grad():
            net.fc.weight[1:] = -1.0
        return net
    def fine(): return Net(1.0)
    def negative(): return Net(-1.0)
    def broken(): return Net(float("nan"))
"""


@pytest.fixture(autouse=True)
def _networks(work: Path) -> Iterator[None]:
    lines = NETWORKS.strip("\n").split("\n")
    (work / "empty_nets.py").write_text("\n".join(line[4:] for line in lines))
    yield
    sys.modules.pop("empty_nets", None)


def strictly(line: str) -> dict[str, Any]:
    """Read JSON as others do, who know no NaN."""

    def refuse(token: str) -> None:
        raise AssertionError(f"{token} is not JSON")

    record: dict[str, Any] = json.loads(line, parse_constant=refuse)
    return record


@pytest.mark.parametrize(
    ("network", "flag", "words"),
    [
        (
            "negative",
            "all negative",
            "every place speaks against the class; --method hirescam with --signed shows",
        ),
        (
            "broken",
            "not finite",
            "the network's answers or gradients are NaN or infinite; check its --weights",
        ),
    ],
)
@pytest.mark.parametrize("quiet", [[], ["--quiet"]], ids=["", "quiet"])
@pytest.mark.usefixtures("clip")
def test_a_render_without_a_map_fails_and_says_why_once(
    network: str, flag: str, words: str, quiet: list[str], work: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--model", f"empty_nets:{network}", "--sidecar", "maps.jsonl", "--backend", "torch"]
    assert run(["render", "clip.mp4", "-o", "out.mp4", *arguments, *quiet]) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"streamcam: error: no frame of 'clip.mp4' has a map: {words}")
    assert (work / "out.mp4").exists()
    _, *records = map(strictly, (work / "maps.jsonl").read_text().splitlines())
    assert {record["empty"] for record in records} == {flag}
    if network == "broken":
        probabilities = {label["probability"] for record in records for label in record["predictions"]}
        assert probabilities == {None}


@pytest.mark.usefixtures("clip")
def test_maps_of_an_even_image_are_constant_and_that_is_noted(capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["--model", "empty_nets:fine", "--backend", "torch"]
    assert run(["render", "clip.mp4", "-o", "out.mp4", *arguments]) == 0
    said = capfd.readouterr().err
    assert said.startswith("note: the map of 20 of 20 explained frames shows nothing: every place counts")


def test_a_render_with_maps_is_fine(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    make_clip(work / "clip.mp4", frames=3, paint=paint_quadrants)
    arguments = ["--model", "empty_nets:fine", "--sidecar", "maps.jsonl", "--backend", "torch"]
    assert run(["render", "clip.mp4", "-o", "out.mp4", *arguments]) == 0
    assert capfd.readouterr().err == ""
    assert not any("empty" in strictly(line) for line in (work / "maps.jsonl").read_text().splitlines())


@pytest.mark.parametrize(
    ("network", "words"), [("negative", "every place speaks against"), ("broken", "NaN or infinite")]
)
def test_a_live_session_without_a_map_says_why_once_and_fails(
    network: str, words: str, work: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make_clip(work / "long.mp4", frames=10)
    arguments = ["--model", f"empty_nets:{network}", "--backend", "torch", "--stats", "stats.jsonl", "--loop"]
    # Long enough for a network that is slow to load: the session ends with its time, whatever it has shown.
    assert run(["live", "long.mp4", "--display", "none", "--duration", "8", *arguments]) == 1
    said = capfd.readouterr().err.splitlines()
    assert sum(words in line for line in said) == 1
    assert said[-1].endswith("explanations has a map")
    *_, whole = map(strictly, (work / "stats.jsonl").read_text().splitlines())
    assert 0 < whole["explained"] == whole["empty"]


@pytest.mark.usefixtures("clip")
def test_a_pane_or_a_class_without_a_map_is_named(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    make_clip(work / "clip.mp4", frames=3, paint=paint_quadrants)
    arguments = ["--model", "empty_nets:mixed", "--backend", "torch", "--overwrite"]
    classes = ["--class", "0", "--class", "1"]
    expected = "note: no map shows anything for class 1: every place speaks against the class; "
    assert run(["render", "clip.mp4", "-o", "out.mp4", *arguments, *classes]) == 0
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(expected)
    assert run(["compare", "clip.mp4", "-o", "out.mp4", "--classes", "0,1", *arguments]) == 0
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(expected)
    assert run(["render", "clip.mp4", "-o", "out.mp4", *arguments, "--class", "0"]) == 0
    assert capfd.readouterr().err == ""


def test_each_of_many_files_is_named_once(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("a.mp4", "b.mp4"):
        make_clip(work / name, frames=2, paint=paint_quadrants)
    arguments = ["--model", "empty_nets:negative", "--backend", "torch"]
    assert run(["render", "a.mp4", "b.mp4", "-o", "out/", *arguments]) == 1
    said = capfd.readouterr().err
    assert [name for name in ("a.mp4", "b.mp4") if said.count(f"'{name}' has a map: every place") == 1]
    assert said.count("every place speaks against") == 2


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_evidence_of_a_quantized_network_is_kept(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    make_clip(work / "clip.mp4", frames=2, paint=paint_quadrants)
    arguments = ["--model", "empty_nets:quantized", "--method", "occlusion:patch=128,stride=128"]
    assert run(["render", "clip.mp4", "-o", "out.h5", *arguments]) == 0, capfd.readouterr().err
    assert run(["render", "clip.mp4", "-o", "out.mp4", *arguments[:2]]) == 1
    assert "no gradient reaches layer 'conv' from the score" in capfd.readouterr().err


@pytest.mark.parametrize("target", [[], ["--target", "instances"]], ids=["class", "objects"])
def test_a_detector_that_finds_nothing_says_so(
    target: list[str], work: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make_clip(work / "clip.mp4", frames=2, paint=paint_quadrants)
    arguments = ["--model", "empty_nets:finds_nothing", *target]
    assert run(["render", "clip.mp4", "-o", "out.mp4", *arguments]) == 1
    words = (
        "'clip.mp4' has a map: the network finds nothing of the kind; try another class, or a lower --conf"
    )
    said = capfd.readouterr().err
    assert words in said
    assert "no object reached --confidence where nothing was found; the best one had 0.0" in said
