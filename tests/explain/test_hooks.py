"""Networks whose weights are cast beforehand: the same numbers, and nothing else copied."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn
from torchvision.models import get_model

from streamcam.explain.hooks import HookedNetwork, with_cast_weights
from streamcam.models import Classifier, InputSpec, probe_layers
from streamcam.models.labels import numbered_labels


def network(module: nn.Module) -> Classifier:
    return Classifier("test", module.eval(), numbered_labels(10), InputSpec(64, 64), "none")


@pytest.mark.parametrize(("name", "side"), [("resnet18", 64), ("convnext_tiny", 64), ("vit_b_32", 224)])
def test_weights_cast_beforehand_change_no_bit(name: str, side: int) -> None:
    torch.manual_seed(0)
    classifier = network(get_model(name, weights=None, num_classes=10))
    cast = with_cast_weights(classifier, torch.bfloat16)
    assert cast is not classifier
    batch = torch.rand(2, 3, side, side)
    layers = [layer for layer in probe_layers(classifier, batch[:1]) if layer.explains][-1:]
    runs = [HookedNetwork(one, layers, torch.bfloat16).run(batch) for one in (classifier, cast)]
    torch.testing.assert_close(runs[0].scores, runs[1].scores, rtol=0, atol=0)
    torch.testing.assert_close(runs[0].layer_outputs, runs[1].layer_outputs, rtol=0, atol=0)
    gradients = [torch.autograd.grad(run.scores[:, 3].sum(), run.layer_outputs[0])[0] for run in runs]
    torch.testing.assert_close(*gradients, rtol=0, atol=0)


def test_only_what_is_cast_is_copied() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    cast = with_cast_weights(network(module), torch.float16).module
    (convolution, norm) = cast.children()
    assert (convolution.weight.dtype, module[0].weight.dtype) == (torch.float16, torch.float32)
    assert convolution.bias is module[0].bias
    assert all(one is other for one, other in zip(norm.parameters(), module[1].parameters(), strict=True))
    assert norm.running_mean is module[1].running_mean


class Scaled(nn.Conv2d):
    """Does more with its weights than multiply."""

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self._conv_forward(batch, self.weight / self.weight.std(), self.bias)


def test_layers_of_other_classes_keep_their_weights() -> None:
    cast = with_cast_weights(network(nn.Sequential(Scaled(3, 4, 1))), torch.float16).module
    assert cast[0].weight.dtype == torch.float32


def test_a_network_that_cannot_be_copied_is_left_as_it_is() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 1))
    module.lock = threading.Lock()
    classifier = network(module)
    assert with_cast_weights(classifier, torch.float16) is classifier
