"""Networks none of whose layers can be explained: their kind is named, and following the advice works."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from streamcam import Explainer
from streamcam.errors import ModelError
from streamcam.models import Classifier, InputSpec
from streamcam.models.labels import numbered_labels

IMAGE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)


class Net(nn.Module):
    """Three classes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.fc = nn.Conv2d(3, 8, 3, 4, 1), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> Any:
        return self.fc(self.conv(x).relu().mean((2, 3)))


class Around(nn.Module):
    """A network that runs in some way."""

    def __init__(self, run: Callable[[nn.Module, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.net, self.run = Net(), run

    def forward(self, x: torch.Tensor) -> Any:
        return self.run(self.net, x)


def traced() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing is deprecated, but such files are around
        return torch.jit.trace(Net().eval(), torch.zeros(1, 3, 32, 32))  # type: ignore[no-any-return]


class Quantize(nn.Module):
    """Makes whole numbers, as the module of that name in quantized networks does."""

    def forward(self, x: torch.Tensor) -> Any:
        return torch.quantize_per_tensor(x, 0.1, 128, torch.quint8)


class DeQuantize(nn.Module):
    def forward(self, x: torch.Tensor) -> Any:
        return x.dequantize()


def quantized() -> nn.Module:
    return nn.Sequential(Quantize(), nn.AvgPool2d(8), nn.Flatten(), DeQuantize(), nn.Linear(3 * 16, 3))


class Volumes(nn.Module):
    """Takes an image for a volume of one slice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv3d(3, 4, (1, 4, 4), (1, 4, 4)), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> Any:
        return self.fc(self.conv(x[:, :, None]).relu().mean((2, 3, 4)))


SEVERAL = "runs its layers several times for one image, .*; return the network inside, which runs once"

KINDS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "traced": (
        traced,
        r"a TorchScript program, .* use `method='occlusion'`, .* or return the torch\.nn\.Module that",
    ),
    "quantized": (quantized, "cannot be read, as those of .* quantized networks"),
    "flips, together": (
        lambda: Around(lambda net, x: net(torch.cat([x, x.flip(-1)])).unflatten(0, (2, -1)).mean(0)),
        SEVERAL,
    ),
    "volumes": (
        Volumes,
        r"put out volumes .*; if it takes clips, return .*ClipClassifier\(\.\.\., frames=8, rate=10\) of it",
    ),
    "flat": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 3)), "it flattens the image at once"),
}


def classifier(module: nn.Module) -> Classifier:
    return Classifier("net", module.eval(), numbered_labels(3), InputSpec(32, 32), "none")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_without_a_layer_is_named(kind: str) -> None:
    make, says = KINDS[kind]
    with pytest.raises(ModelError, match=says) as caught:
        Explainer(classifier(make()), fit="stretch")
    assert "name one with" not in str(caught.value)


def test_the_network_inside_is_explained() -> None:
    around = KINDS["flips, together"][0]()
    assert isinstance(around, Around)
    (explanation,) = Explainer(classifier(around.net), fit="stretch", classes=1).explain([IMAGE])
    assert explanation.heatmaps[1].std() > 0
