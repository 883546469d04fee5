"""Networks that cast in their own code are explained in float32, and left as they are."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from small_networks import Pooled
from torch import nn

from streamcam import Explainer, load_model
from streamcam.models import Classifier, InputSpec
from streamcam.models.labels import numbered_labels

IMAGE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)


class Half(Pooled):
    def forward(self, x: torch.Tensor) -> Any:
        return super().forward(x.half())


class Brain(Pooled):
    def forward(self, x: torch.Tensor) -> Any:
        return super().forward(x.to(torch.bfloat16)).float()


class Double(Pooled):
    def forward(self, x: torch.Tensor) -> Any:
        return super().forward(x.type(torch.float64))


class HalfFeatures(Pooled):
    def forward(self, x: torch.Tensor) -> Any:
        return self.fc(self.features(x.half()).float().mean((2, 3)))


class DoubleTensor(Pooled):
    """Has a tensor that is no buffer, which no conversion reaches."""

    zero = torch.zeros(1, 3, 1, 1, dtype=torch.float64)

    def forward(self, x: torch.Tensor) -> Any:
        return super().forward(x + self.zero)


class WholeNumbers(Pooled):
    """Takes pixels from 0 to 255."""

    def forward(self, x: torch.Tensor) -> Any:
        if x.is_floating_point():
            raise TypeError("expected whole numbers")
        return super().forward(x.half() / 255)


class Pair(Pooled):
    def forward(self, image: torch.Tensor, other: torch.Tensor) -> Any:  # type: ignore[override]
        return (super().forward(image.double()) - super().forward(other.double())).abs().sum(1)


def only_features(net: nn.Module) -> nn.Module:
    net.features.half()  # type: ignore[union-attr, operator]
    return net


CASTING: dict[str, Callable[[], nn.Module]] = {
    "half": lambda: Half().half(),
    "bfloat16": lambda: Brain().bfloat16(),
    "double": lambda: Double().double(),
    "half of it": lambda: only_features(HalfFeatures()),
    "a tensor in double": lambda: DoubleTensor().double(),
}


def explain(model: Any, **settings: Any) -> Any:
    explainer = Explainer(model, fit="stretch", precision="fp32", classes=1, signed=True, **settings)
    return explainer.explain(IMAGE)[0]


@pytest.mark.parametrize("kind", CASTING)
@pytest.mark.parametrize("backend", ["auto", "torch"])
def test_a_network_that_casts_is_explained_like_one_that_does_not(
    kind: str, backend: str, factory: Callable[[Callable[[], nn.Module]], str]
) -> None:
    module = CASTING[kind]().eval()
    dtypes = [value.dtype for value in module.parameters()]
    plain = Pooled()
    plain.load_state_dict(module.state_dict())  # rounded as they are
    spec = InputSpec(32, 32)
    expected = explain(Classifier("plain", plain.eval(), numbered_labels(3), spec, "none"), backend="torch")
    given = Classifier("casting", module, numbered_labels(3), spec, "none")
    loaded = load_model(factory(lambda: copy.deepcopy(module)), input_size=32)
    for model in (given, loaded):
        explanation = explain(model, backend=backend)
        # Some round the image, too.
        np.testing.assert_allclose(explanation.heatmaps[1], expected.heatmaps[1], rtol=0.02, atol=1e-4)
        assert explanation.targets[0].probability == pytest.approx(expected.targets[0].probability, abs=2e-3)
    assert [value.dtype for value in module.parameters()] == dtypes
    assert "forward" not in vars(module)


def test_other_inputs_of_networks_that_cast_are_found(
    factory: Callable[[Callable[[], nn.Module]], str],
) -> None:
    model = load_model(factory(lambda: WholeNumbers().half()), input_size=32)
    assert model.input.dtype == torch.uint8
    assert np.ptp(explain(model).heatmaps[1]) > 0
    pair = load_model(factory(lambda: Pair().double()), input_size=32)
    explainer = Explainer(pair, reference=IMAGE[::-1].copy(), fit="stretch", signed=True)
    assert np.ptp(next(iter(explainer.explain(IMAGE)[0].heatmaps.values()))) > 0


def test_networks_without_casts_stay_fast(factory: Callable[[Callable[[], nn.Module]], str]) -> None:
    model = load_model(factory(lambda: Pooled().half()), input_size=32)
    assert "forward" not in vars(model.module)
    assert Explainer(model, fit="stretch").backend == "openvino"


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", ["exported", "traced"])
def test_programs_that_cast_run_as_they_are(
    kind: str, factory: Callable[[Callable[[], nn.Module]], str]
) -> None:
    module, image = Double().double().eval(), torch.zeros(1, 3, 32, 32)
    if kind == "exported":
        program: Any = torch.export.export(module, (image,)).module()
    else:
        program = torch.jit.trace(module, image)  # type: ignore[no-untyped-call]
    model = load_model(factory(lambda: program), input_size=32)
    explanation = explain(model, method="occlusion:patch=8,stride=8")
    expected = explain(
        Classifier("plain", Pooled().eval(), numbered_labels(3), InputSpec(32, 32), "none"),
        method="occlusion:patch=8,stride=8",
    )
    np.testing.assert_allclose(explanation.heatmaps[1], expected.heatmaps[1], rtol=1e-3, atol=1e-5)
