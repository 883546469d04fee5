"""Graphs that compute only what their output depends on, held to the graphs that compute everything."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import fx, nn
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.vision_transformer import EncoderBlock

from streamcam.explain.compiled.decompositions import slice_backward
from streamcam.explain.compiled.narrowing import Box, box_before_reshape, narrow

TOKENS, UNITS, HEADS = 9, 8, 2

OF_ONE_TOKEN = 2 * TOKENS * UNITS**2 + 2 * TOKENS * UNITS + 2 * UNITS**2 + 8 * UNITS**2
"""Products of a block for one of its tokens: keys and values of all, its attention, its query and projection,
and what is made of it."""


def traced(function: Callable[[torch.Tensor], torch.Tensor], inputs: torch.Tensor) -> fx.GraphModule:
    with torch.enable_grad():
        return make_fx(function, pre_dispatch=True)(inputs)


def narrowed(function: Callable[[torch.Tensor], torch.Tensor], inputs: torch.Tensor) -> fx.GraphModule:
    whole = traced(function, inputs)
    graph = narrow(whole.graph)
    assert graph is not None
    return fx.GraphModule(whole, graph)


def products(function: Callable[[torch.Tensor], torch.Tensor], inputs: torch.Tensor) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        function(inputs)
    return counter.get_total_flops() // 2


def leaf(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0)).requires_grad_()


class Attention(nn.Module):
    """As most write it: one linear layer for queries, keys and values, and plain products."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(UNITS, 3 * UNITS)
        self.proj = nn.Linear(UNITS, UNITS)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        count, places, units = tokens.shape
        split = self.qkv(tokens).reshape(count, places, 3, HEADS, units // HEADS).permute(2, 0, 3, 1, 4)
        queries, keys, values = split[0], split[1], split[2]
        attention = (queries @ keys.transpose(-2, -1) / math.sqrt(units // HEADS)).softmax(dim=-1)
        result: torch.Tensor = self.proj((attention @ values).transpose(1, 2).reshape(count, places, units))
        return result


class Block(nn.Module):
    """A block of a transformer, and a class from one of its tokens."""

    def __init__(self, attention: nn.Module, token: int) -> None:
        super().__init__()
        self.attention = attention
        self.norm = nn.LayerNorm(UNITS)
        self.mlp = nn.Sequential(nn.Linear(UNITS, 4 * UNITS), nn.GELU(), nn.Linear(4 * UNITS, UNITS))
        self.classes = nn.Linear(UNITS, 3)
        self.token = token

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        tokens = tokens + self.attention(tokens)
        tokens = tokens + self.mlp(self.norm(tokens))
        scores: torch.Tensor = self.classes(tokens[:, self.token])
        return scores


@pytest.mark.parametrize("token", [0, 4, -1])
def test_a_class_read_from_one_token_leaves_the_others_out(token: int) -> None:
    torch.manual_seed(0)
    block, inputs = Block(Attention(), token).eval(), leaf(2, TOKENS, UNITS)
    narrower = narrowed(block, inputs)
    expected, found = block(inputs), narrower(inputs)
    torch.testing.assert_close(found, expected)
    weights = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(
        torch.autograd.grad(found, inputs, weights), torch.autograd.grad(expected, inputs, weights)
    )
    assert products(narrower, inputs) == 2 * (OF_ONE_TOKEN + 3 * UNITS)


def test_torchvisions_block_is_narrowed() -> None:
    torch.manual_seed(0)
    encoder = EncoderBlock(HEADS, UNITS, 4 * UNITS, 0.0, 0.0).eval()

    def first(tokens: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = encoder(tokens)[:, 0]
        return result

    inputs = leaf(2, TOKENS, UNITS)
    narrower = narrowed(first, inputs)
    expected, found = first(inputs), narrower(inputs)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        torch.autograd.grad(found.square().sum(), inputs),
        torch.autograd.grad(expected.square().sum(), inputs),
    )
    assert products(narrower, inputs) <= 2 * OF_ONE_TOKEN  # torch does not count every kind of attention


@pytest.mark.parametrize(
    "function",
    [
        lambda inputs: inputs.relu().mean(dim=1),
        lambda inputs: inputs.clone().relu_()[:, 0],  # writes
    ],
)
def test_what_cannot_be_narrowed_is_left_alone(function: Callable[[torch.Tensor], torch.Tensor]) -> None:
    assert narrow(traced(function, leaf(2, TOKENS, UNITS)).graph) is None


@pytest.mark.parametrize(
    "function",
    [
        lambda inputs: (inputs.cumsum(dim=1) * 2)[:, 3],  # whole: it has no rule
        lambda inputs: inputs.softmax(dim=1).neg()[:, 3],  # whole: every value depends on all
        lambda inputs: nn.functional.layer_norm(inputs, [TOKENS, UNITS]).neg()[:, 3],
        lambda inputs: (inputs * torch.ones(TOKENS, 1))[:, 1] + inputs[:, 5],  # two parts, and a broadcast
        lambda inputs: inputs.reshape(2, 3, 3, UNITS).neg()[:, :, 1].flatten(),  # no box of what it was
        lambda inputs: inputs.transpose(1, -1).exp()[:, 2].neg(),
        lambda inputs: (inputs @ inputs.transpose(1, 2))[:, 0],
        lambda inputs: inputs.exp().unbind(1)[2].neg()[0],
    ],
)
def test_every_other_graph_gives_what_it_gave(function: Callable[[torch.Tensor], torch.Tensor]) -> None:
    inputs = leaf(2, TOKENS, UNITS)
    torch.testing.assert_close(narrowed(function, inputs)(inputs), function(inputs))


@pytest.mark.parametrize(
    ("before", "after", "box", "expected"),
    [
        ((4, 6), (4, 2, 3), ((1, 2), (0, 2), (0, 3)), ((1, 2), (0, 6))),
        ((4, 6), (4, 2, 3), ((0, 4), (1, 2), (0, 3)), ((0, 4), (3, 6))),
        ((4, 6), (4, 2, 3), ((0, 4), (1, 2), (1, 3)), ((0, 4), (4, 6))),
        ((4, 6), (4, 2, 3), ((0, 4), (0, 2), (1, 3)), None),  # with gaps
        ((5, 2, 3), (10, 3), ((4, 6), (0, 3)), ((2, 3), (0, 2), (0, 3))),
        ((5, 2, 3), (10, 3), ((5, 6), (1, 2)), ((2, 3), (1, 2), (1, 2))),
        ((5, 2, 3), (10, 3), ((3, 6), (0, 3)), None),  # begins inside a row
        ((3,), (1, 3, 1), ((0, 1), (1, 3), (0, 1)), ((1, 3),)),
        ((2, 1, 3), (2, 3), ((1, 2), (0, 2)), ((1, 2), (0, 1), (0, 2))),
        ((), (1,), ((0, 1),), ()),
        ((0, 3), (3, 0), ((0, 3), (0, 0)), None),
    ],
)
def test_parts_are_found_in_another_shape(
    before: tuple[int, ...], after: tuple[int, ...], box: Box, expected: Box | None
) -> None:
    assert box_before_reshape(before, after, box) == expected


@pytest.mark.parametrize(("start", "end"), [(0, 1), (2, 5), (-2, 2**63 - 1)])
def test_a_slices_gradient_is_autograds(start: int, end: int) -> None:
    inputs = leaf(2, 5, 3)
    part = torch.ops.aten.slice.Tensor(inputs, 1, start, end)
    gradient = torch.randn(part.shape, generator=torch.Generator().manual_seed(1))
    (expected,) = torch.autograd.grad(part, inputs, gradient)
    torch.testing.assert_close(slice_backward(gradient, [2, 5, 3], 1, start, end, 1), expected)
