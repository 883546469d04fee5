"""Which order of data a network bears."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from streamcam.errors import ModelError
from streamcam.models import Classifier, InputSpec, probe_arranged
from streamcam.models.labels import numbered_labels

CPU = torch.device("cpu")


class Flat(nn.Module):
    """Flattens its features, perhaps as older networks do, which only one order in memory bears."""

    def __init__(self, *, by_view: bool) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 4, 2, stride=2)
        self.head = nn.Linear(4 * 4 * 4, 3)
        self._by_view = by_view

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        features = self.features(batch)
        flat = features.view(len(batch), -1) if self._by_view else features.flatten(1)
        logits: torch.Tensor = self.head(flat)
        return logits


def network(module: nn.Module) -> Classifier:
    return Classifier("flat", module.eval(), numbered_labels(3), InputSpec(8, 8), "none")


@pytest.mark.parametrize(
    ("by_view", "order"), [(False, torch.channels_last), (True, torch.contiguous_format)]
)
def test_channels_come_last_where_the_network_bears_it(by_view: bool, order: torch.memory_format) -> None:
    module = Flat(by_view=by_view)
    probe = probe_arranged(network(module), "stretch", CPU, torch.channels_last)
    assert probe.memory_format == order
    assert [layer.name for layer in probe.layers if layer.explains] == ["features"]
    assert module.features.weight.is_contiguous(memory_format=order)


def test_a_network_that_bears_no_order_is_an_error() -> None:
    with pytest.raises(ModelError, match="does not run on an image"):
        probe_arranged(network(nn.Linear(7, 3)), "stretch", CPU, torch.channels_last)
