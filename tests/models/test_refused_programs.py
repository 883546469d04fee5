"""TorchScript, exported programs and quantized networks that take something else: told, and the way works."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from streamcam import Explainer, load_model
from streamcam.errors import InvalidArgumentError, ModelError

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"
)
IMAGE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
OCCLUSION = "occlusion:patch=8,stride=8"


class Net(nn.Module):
    """Three classes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.fc = nn.Conv2d(3, 8, 3, 4, 1), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.fc(self.conv(x).relu().mean((2, 3)))
        return logits


class Flat(nn.Module):
    """Fixed to images of 128x256, of which nothing but a number of features says so."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.fc = nn.Conv2d(3, 4, 3, 16, 1), nn.Linear(4 * 16 * 8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.fc(self.conv(x).relu().flatten(1))
        return logits


class Pixels(nn.Module):
    """Takes pixels from 0 to 255, and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Net()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.dtype != torch.uint8:
            raise RuntimeError("expected uint8")
        logits: torch.Tensor = self.net(x.float() / 255)
        return logits


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = Net()

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        difference: torch.Tensor = self.net(a) - self.net(b)
        return difference.abs()


class Fours(Net):
    """Has the number of images in it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.fc(self.conv(x).relu().reshape(4, 8, 64).mean(2))
        return logits


class InFours(nn.Module):
    """What the message about `Fours` says."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Fours()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.net(image.repeat(4, 1, 1, 1))[:1] for image in x.split(1)])


class Stubs(Net):
    def __init__(self) -> None:
        super().__init__()
        self.quant, self.dequant = torch.ao.quantization.QuantStub(), torch.ao.quantization.DeQuantStub()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.dequant(self.fc(self.conv(self.quant(x)).relu().mean((2, 3))))
        return logits


def quantized(module: nn.Module) -> nn.Module:
    module.qconfig = torch.ao.quantization.default_qconfig
    prepared = torch.ao.quantization.prepare(module.eval())
    prepared(torch.rand(2, 3, 32, 32))
    return torch.ao.quantization.convert(prepared)  # type: ignore[no-any-return]


def traced(module: nn.Module, *images: torch.Tensor) -> nn.Module:
    return torch.jit.trace(module.eval(), images)  # type: ignore[no-untyped-call, no-any-return]


def assert_occluded(model: Any, image: Any = IMAGE, **settings: Any) -> None:
    explainer = Explainer(model, method=OCCLUSION, fit="stretch", signed=True, **settings)
    (explanation,) = explainer.explain(image)
    assert all(np.ptp(heatmap) > 0 for heatmap in explanation.heatmaps.values())


def test_the_size_of_a_traced_network_is_found_in_spite_of_its_traceback(
    factory: Callable[[Callable[[], nn.Module]], str],
) -> None:
    name = factory(lambda: traced(Flat(), torch.zeros(1, 3, 256, 128)))
    says = "takes images of 128x256 or 256x128 pixels; set `input_size` to the one that it was trained on"
    with pytest.raises(ModelError, match=says):
        load_model(name)
    model = load_model(name, input_size=(128, 256))
    explainer = Explainer(model, method="occlusion:patch=64,stride=64", signed=True)
    assert np.ptp(next(iter(explainer.explain(IMAGE)[0].heatmaps.values()))) > 0


@pytest.mark.parametrize("scripts", [True, False])
def test_two_images_of_a_program_are_told(
    scripts: bool, factory: Callable[[Callable[[], nn.Module]], str]
) -> None:
    image = torch.zeros(1, 3, 32, 32)
    name = factory(lambda: torch.jit.script(Pair().eval()) if scripts else traced(Pair(), image, image))
    with pytest.raises(InvalidArgumentError, match=r"takes two images; give the second one with `reference`"):
        Explainer(load_model(name, input_size=32))
    with pytest.raises(ModelError, match=r"a TorchScript program, .* use `method='occlusion'`"):
        Explainer(load_model(name, input_size=32), reference=IMAGE[::-1].copy())
    assert_occluded(load_model(name, input_size=32), reference=IMAGE[::-1].copy())


def test_a_program_that_takes_pixels_gets_them(factory: Callable[[Callable[[], nn.Module]], str]) -> None:
    name = factory(lambda: torch.jit.script(Pixels().eval()))
    model = load_model(name, input_size=32)
    assert model.input.dtype == torch.uint8
    with pytest.raises(ModelError, match=r"a TorchScript program, .* use `method='occlusion'`"):
        Explainer(model)
    assert_occluded(model)


def test_a_fixed_number_of_images_is_told(factory: Callable[[Callable[[], nn.Module]], str]) -> None:
    says = "takes only batches of 4 images; return .* each image 4 times .*, and use `method='occlusion'`"
    with pytest.raises(ModelError, match=says):
        load_model(factory(Fours), input_size=32)
    assert_occluded(load_model(factory(InFours), input_size=32))


def test_quantized_networks_are_told_with_and_without_stubs(
    factory: Callable[[Callable[[], nn.Module]], str],
) -> None:
    with pytest.raises(ModelError, match=r"is quantized and takes .* return it between a QuantStub and a De"):
        load_model(factory(lambda: quantized(Net())), input_size=32)
    name = factory(lambda: quantized(Stubs()))
    with pytest.raises(ModelError, match=r"quantized networks and functions; .* use `method='occlusion'`"):
        Explainer(load_model(name, input_size=32), fit="stretch")
    assert_occluded(load_model(name, input_size=32))
