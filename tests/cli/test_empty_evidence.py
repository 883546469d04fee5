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

    class Net(nn.Module):
        def __init__(self, weight):
            super().__init__()
            torch.manual_seed(0)
            self.conv, self.fc = nn.Conv2d(3, 4, 8, 8), nn.Linear(4, 3)
            nn.init.constant_(self.conv.bias, 3.0)
            nn.init.constant_(self.fc.weight, weight)
        def forward(self, batch):
            return self.fc(self.conv(batch).relu().mean((2, 3)))

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
        ("negative", "all negative", "every place speaks against the class; show that with --signed, or try"),
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
