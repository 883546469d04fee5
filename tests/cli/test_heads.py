"""Heads of networks by command line: what their numbers are shown as, and where the heat of each lies.

The networks are made by hand and see how much red, green and blue each place has. A quarter of the image is
red and a quarter green, so the means of both are 1/4.
"""

from __future__ import annotations

import json
import math
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from torch import nn

from streamcam.cli import run

RED, GREEN = np.s_[:4, :4], np.s_[4:, 4:]
"""Cells of a map of 8x8."""


class Colors(nn.Module):
    """Numbers that are sums of factors times the means of red, green and blue, and a constant."""

    def __init__(self, *factors: tuple[float, ...], constant: float = 0.0) -> None:
        super().__init__()
        self.colors = nn.Conv2d(3, 3, 8, 8, bias=False)
        self.head = nn.Linear(3, len(factors))
        with torch.no_grad():
            self.colors.weight.copy_((torch.eye(3) / 64).view(3, 3, 1, 1).expand(3, 3, 8, 8))
            self.head.weight.copy_(torch.tensor(factors))
            self.head.bias.fill_(constant)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        numbers: torch.Tensor = self.head(self.colors(batch).mean((2, 3)))
        return numbers


class One(Colors):
    """One number without an axis for it: 8 times red less 4 times green, less 3."""

    def __init__(self) -> None:
        super().__init__((8.0, -4.0, 0.0), constant=-3.0)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return super().forward(batch)[:, 0]


def three() -> nn.Module:
    return Colors((8.0, -4.0, 0.0), (-4.0, 12.0, 0.0), (0.0, 0.0, 8.0))


class Pair(nn.Module):
    """The colors of two images."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Colors((4.0, 0.0, 0.0), (0.0, 4.0, 0.0), (0.0, 0.0, 4.0))

    def forward(self, image: torch.Tensor, other: torch.Tensor) -> Any:
        return self.net(image), self.net(other)


class Distance(Pair):
    """How far apart the colors of two images are."""

    def forward(self, image: torch.Tensor, other: torch.Tensor) -> Any:
        first, second = super().forward(image, other)
        return (first - second).norm(dim=1)


@pytest.fixture
def _images(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("heads")
    for factory in (One, three, Pair, Distance):
        setattr(module, factory.__name__, factory)
    monkeypatch.setitem(sys.modules, "heads", module)
    image, reference = np.zeros((2, 64, 64, 3), np.uint8)
    image[:32, :32, 0] = reference[:32, :32, 0] = image[32:, 32:, 1] = 255
    for name, array in (("image.png", image), ("red.png", reference)):
        PIL.Image.fromarray(array).save(work / name)
    (work / "binary.txt").write_text("no\nyes\n")
    (work / "colors.txt").write_text("red\ngreen\nblue\n")


def sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


_BINARY = {"no": sigmoid(2), "yes": sigmoid(-2)}
_MULTI_LABEL = {"red": sigmoid(1), "green": sigmoid(2), "blue": 0.5}
_SIGMOID = ["--activation", "sigmoid"]
_COLORS = ["--labels", "colors.txt"]

HEADS = [
    ("One", [], "value", {"value": -2.0}, RED),
    ("One", _SIGMOID, "probability", {"class 0": sigmoid(2), "class 1": sigmoid(-2)}, GREEN),
    ("One", ["--labels", "binary.txt"], "probability", _BINARY, GREEN),
    ("One", ["--labels", "binary.txt", "--class", "yes"], "probability", _BINARY, RED),
    ("three", [*_COLORS, *_SIGMOID], "probability", _MULTI_LABEL, GREEN),
    ("three", [*_COLORS, *_SIGMOID, "--class", "red"], "probability", _MULTI_LABEL, RED),
    ("three", [*_COLORS, "--activation", "value"], "value", {"red": 1, "green": 2, "blue": 0}, GREEN),
    ("Pair", ["--reference", "red.png"], "value", {"similarity": math.sqrt(0.5)}, RED),
    ("Distance", ["--reference", "red.png"], "value", {"value": 1.0}, GREEN),
]


@pytest.mark.usefixtures("_images")
@pytest.mark.parametrize(("name", "options", "kind", "numbers", "place"), HEADS)
def test_each_head_is_shown_and_explained_as_what_it_is(
    name: str, options: list[str], kind: str, numbers: dict[str, float], place: tuple[slice, slice]
) -> None:
    command = ["render", "image.png", "-o", "out.png", "--sidecar", "out.jsonl", "--model", f"heads:{name}"]
    command += ["--weights", "none", "--input-size", "64", "--mean", "0,0,0", "--std", "1,1,1"]
    assert run([*command, "--precision", "fp32", "--backend", "torch", *options]) == 0
    (record,) = map(json.loads, Path("out.jsonl").read_text().splitlines()[1:])
    found = {one["label"]: one[kind] for one in record["predictions"]}
    assert found == pytest.approx(numbers, abs=0.02)  # the image went through YUV
    heat = np.array(record["heatmap"]["values"]).reshape(record["heatmap"]["shape"])
    expected = np.zeros((8, 8))
    expected[place] = 1
    np.testing.assert_allclose(heat / heat.max(), expected, atol=0.02)
