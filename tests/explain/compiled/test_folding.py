"""Constants of traced graphs: computed beforehand, with the values that torch computes."""

from __future__ import annotations

import torch
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx

from streamcam.explain.compiled.decompositions import decompositions
from streamcam.explain.compiled.folding import fold_constants


class Masked(nn.Module):
    """Adds a mask that is written part by part."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))
        self.register_buffer("places", torch.tensor([2, 0, 1]))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """float32 (2, 3) → float32 (2, 3)."""
        mask = inputs.new_zeros(2, 3)
        mask[0:-1, 1:] = 5
        mask[:, -1:0] = 7  # nothing
        mask[1, :] = torch.arange(3)
        return inputs * self.weight.exp() + mask[:, self.places]


def test_what_depends_on_no_input_is_a_constant() -> None:
    module, inputs = Masked(), torch.zeros(2, 3)
    traced = make_fx(module, decomposition_table=decompositions())(inputs)
    fold_constants(traced)
    operations = [node.target for node in traced.graph.nodes if node.op == "call_function"]
    aten = torch.ops.aten
    assert operations == [aten.exp.default, aten.alias.default, aten.mul.Tensor, aten.add.Tensor]
    assert traced(inputs).tolist() == [[5, 0, 5], [2, 0, 1]]
    assert torch.equal(traced(inputs + 1), module(inputs + 1))


def test_parameters_stay_what_they_are() -> None:
    """They may be large, and OpenVINO folds what is made of them itself."""
    module = Masked()
    traced = make_fx(module, decomposition_table=decompositions())(torch.zeros(2, 3))
    fold_constants(traced)
    assert [tuple(value.shape) for value in traced.parameters()] == [(3,)]
