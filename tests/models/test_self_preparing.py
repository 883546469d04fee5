"""Networks that make their own input: of other channels, or of a second file's frames too."""

from __future__ import annotations

import sys
import types
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from streamcam import Explainer, load_model
from streamcam.cli import run
from streamcam.errors import InvalidArgumentError, ModelError
from streamcam.frames import Frame
from streamcam.sources import FramesInStep, open_source
from tests.support.media_factory import gray_of, make_clip, paint_quadrants

IMAGE = np.random.default_rng(0).integers(0, 256, (32, 64, 3), dtype=np.uint8)
SETTINGS: dict[str, Any] = {"device": "cpu", "precision": "fp32"}


class Averages(nn.Module):
    """Answers with the mean of each of its channels, on a grid of 8x8 places: no weight is random."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.places = nn.Conv2d(channels, channels, 8, 8, bias=False)
        nn.init.zeros_(self.places.weight)
        for channel in range(channels):
            self.places.weight.data[channel, channel] = 1 / 64

    def forward(self, inputs: torch.Tensor) -> Any:
        return self.head(self.places(inputs).mean((2, 3)))


class Inverted(Averages):
    """RGB, and the negative of the gray image."""

    def __init__(self) -> None:
        super().__init__(4)
        self.head = nn.Linear(4, 3, bias=False)
        self.head.weight.data = torch.eye(4)[[0, 2, 3]]

    def prepare(self, pixels: torch.Tensor) -> torch.Tensor:
        rgb = pixels.double() / 255
        return torch.cat([rgb, 1 - rgb.mean(1, keepdim=True)], dim=1)


class Beside(Averages):
    """RGB, and the gray of a second file."""

    location: str = ""

    def __init__(self) -> None:
        super().__init__(4)
        self.head = nn.Linear(4, 2, bias=False)
        self.head.weight.data = torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, 1]])
        self.second = FramesInStep(self.location)

    def companions(self, frames: Sequence[Frame]) -> list[Frame]:
        return [self.second.frame_at(frame.time_s) for frame in frames]

    def prepare(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels[:, :4].float() / 255


class Wrong(Inverted):
    def prepare(self, pixels: torch.Tensor) -> Any:
        return pixels


class Failing(Inverted):
    def prepare(self, _pixels: torch.Tensor) -> Any:
        raise KeyError("depth")


class Misfit(Inverted):
    def prepare(self, pixels: torch.Tensor) -> torch.Tensor:
        return super().prepare(pixels)[:, :3]


class TooFew(Beside):
    def companions(self, _frames: Sequence[Frame]) -> list[Frame]:
        return []


@pytest.fixture(autouse=True)
def networks(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("inputs")
    for factory in (Inverted, Beside, Wrong, Failing, Misfit, TooFew):
        setattr(module, factory.__name__, factory)
    monkeypatch.setitem(sys.modules, "inputs", module)


@pytest.fixture
def second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = make_clip(tmp_path / "second.mkv", frames=5, rate=Fraction(25), size=(64, 32))
    monkeypatch.setattr(Beside, "location", str(path))
    return path


def test_a_network_makes_channels_of_its_own() -> None:
    model = load_model("inputs:Inverted", input_size=32, activation="value")
    explainer = Explainer(model, fit="full", method="hirescam", classes=2, **SETTINGS)
    assert explainer.backend_reason == "the model prepares its input in its own way"
    (explanation,) = explainer.explain(IMAGE)
    assert explainer.target_layer == "places"
    red, _, blue = IMAGE.mean((0, 1)) / 255
    expected = [red, blue, 1 - IMAGE.mean() / 255]
    found = {prediction.index: prediction.value for prediction in explanation.predictions}
    assert [found[index] for index in range(3)] == pytest.approx(expected, abs=0.01)
    inputs = explainer.preprocess(IMAGE)
    assert inputs.shape[1] == 4
    cells = model.module.places(inputs)[0, 3].detach()  # type: ignore[operator]
    np.testing.assert_allclose(explanation.heatmaps[2], cells / cells.numel(), atol=1e-6)


@pytest.mark.usefixtures("second")
@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_second_file_is_seen_in_step(tmp_path: Path, batch_size: int) -> None:
    first = make_clip(
        tmp_path / "first.mkv", frames=5, rate=Fraction(25), size=(64, 32), paint=paint_quadrants
    )
    model = load_model("inputs:Beside", input_size=32, activation="value")
    explainer = Explainer(model, fit="full", top_k=2, batch_size=batch_size, **SETTINGS)
    with open_source(first) as source:
        explanations = explainer.explain_frames(list(source))
    values = [{one.index: one.value for one in explanation.predictions} for explanation in explanations]
    grays = [(gray_of(number) - 16) / 219 for number in range(5)]
    assert [found[1] for found in values] == pytest.approx(grays, abs=0.02)
    assert np.ptp([found[0] for found in values]) == pytest.approx(0, abs=0.01)


@pytest.mark.usefixtures("second")
@pytest.mark.parametrize("method", ["occlusion", "scorecam", "fullgrad"])
def test_other_methods_see_both(method: str) -> None:
    model = load_model("inputs:Beside", input_size=32, activation="value")
    explainer = Explainer(model, method=method, classes=1, batch_size=2, **SETTINGS)
    explanations = explainer.explain([IMAGE, IMAGE])
    assert len(explanations) == 2
    assert explanations[0].heatmaps[1].ndim == 2


def test_two_files_are_rendered(second: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["render", str(second), "-o", "out.mkv", "--model", "inputs:Beside", "--input-size", "32"]
    assert run([*command, "--activation", "value", "--sidecar", "out.jsonl", "--quiet"]) == 0
    assert len(Path("out.jsonl").read_text().splitlines()) == 6  # a header, and a line a frame


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Wrong", r"prepare\(\) of inputs:Wrong returned a tensor \(1, 3, 32, 32\) .*; return .* float32"),
        ("Failing", r"prepare\(\) of inputs:Failing failed: KeyError: 'depth'"),
        (
            "Misfit",
            r"does not run on what its prepare\(\) makes, a tensor \(1, 3, 32, 32\) .*; make what its",
        ),
    ],
)
def test_a_wrong_input_is_named(name: str, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        load_model(f"inputs:{name}", input_size=32)


def test_too_few_companions_are_named() -> None:
    explainer = Explainer(load_model("inputs:TooFew", input_size=32), **SETTINGS)
    with pytest.raises(ModelError, match=r"returned 0 things for 1 frames; return one frame for each"):
        explainer.explain(IMAGE)


def test_a_network_that_makes_its_input_has_no_mean() -> None:
    with pytest.raises(InvalidArgumentError, match="makes its own input, so `mean` cannot be changed"):
        load_model("inputs:Inverted", mean=(0.5, 0.5, 0.5))


@pytest.mark.usefixtures("second")
def test_a_second_file_goes_with_no_reference() -> None:
    with pytest.raises(InvalidArgumentError, match="leave it out"):
        Explainer(load_model("inputs:Beside", input_size=32), reference=IMAGE)
