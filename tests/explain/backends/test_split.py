"""Cutting networks in two: the halves together are the whole."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models import get_model

from streamcam.explain.backends.split import run_head, split_network

FAMILIES = {
    "resnet18": "layer4",
    "mobilenet_v3_small": "features",
    "densenet121": "features",
    "shufflenet_v2_x0_5": "conv5",
    "vit_b_32": "encoder.layers.encoder_layer_11.ln_1",
}


@pytest.mark.parametrize(("name", "layer"), FAMILIES.items())
def test_the_halves_give_what_the_whole_gives(name: str, layer: str) -> None:
    torch.manual_seed(0)
    module = get_model(name, weights=None).eval()
    side = 224 if name.startswith("vit") else 64
    batch = torch.rand(2, 3, side, side)
    halves = split_network(module, layer)
    assert halves is not None
    with torch.no_grad():
        whole, outputs = module(batch), halves.backbone(batch)
    leaf, logits = run_head(halves, outputs)
    assert isinstance(logits, torch.Tensor)
    torch.testing.assert_close(logits.detach(), whole, rtol=1e-5, atol=1e-5)
    assert leaf.is_leaf
    (gradient,) = torch.autograd.grad(logits.sum(), leaf)
    assert gradient.shape == leaf.shape


def test_a_residual_connection_is_carried_over_the_cut() -> None:
    module = get_model("vit_b_32", weights=None).eval()
    halves = split_network(module, "encoder.layers.encoder_layer_11.ln_1")
    assert halves is not None
    assert halves.carried == 1


class Biased(nn.Module):
    """Adds what it makes of parameters behind the layer, too."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 4, 1)
        self.bias = nn.Parameter(torch.arange(4.0))

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        scaled = (self.bias * 2).view(1, 4)
        features = self.features(batch + scaled.mean())
        return features.mean(dim=(2, 3)) + scaled


def test_what_is_made_of_parameters_alone_is_computed_on_both_sides() -> None:
    """A backbone's outputs belong to the images of a batch, which may run in parts."""
    module = Biased()
    halves = split_network(module, "features")
    assert halves is not None
    assert halves.carried == 0
    batch = torch.rand(3, 3, 5, 5)
    with torch.no_grad():
        assert [len(output) for output in halves.backbone(batch)] == [3]
        _, answer = run_head(halves, halves.backbone(batch))
        torch.testing.assert_close(answer, module(batch))


class Branching(nn.Module):
    """Decides by its values, which no tracer can follow."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 4, 1)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        features = self.features(batch)
        return features.mean(dim=(2, 3)) if features.sum() > 0 else features.amax(dim=(2, 3))


def test_what_cannot_be_traced_stays_whole() -> None:
    assert split_network(Branching(), "features") is None


def test_cutting_leaves_the_network_as_it_was() -> None:
    module = get_model("resnet18", weights=None).train()
    flags = [part.training for part in module.modules()]
    split_network(module, "layer4")
    assert [part.training for part in module.modules()] == flags


def test_a_network_with_hooks_of_its_own_stays_whole() -> None:
    module = get_model("resnet18", weights=None).eval()
    for part in (module, module.layer1):
        handle = part.register_forward_pre_hook(lambda _module, inputs: (inputs[0] * 2,))
        assert split_network(module, "layer4") is None
        handle.remove()
    torch.nn.utils.parametrize.register_parametrization(module.fc, "weight", nn.Identity())
    assert split_network(module, "layer4") is not None
