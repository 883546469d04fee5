"""Decompositions for compiling, held to torch's own operations and to autograd."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from streamcam.explain.compiled.decompositions import (
    adaptive_average_pool,
    adaptive_average_pool_backward,
    batch_norm,
    batch_norm_backward,
    convolution_backward,
    decompositions,
    layer_norm,
    layer_norm_backward,
    softmax,
    to_copy,
)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation", "groups"),
    [
        ((3, 3), 1, 1, 1, 1),
        ((1, 1), 1, 0, 1, 1),
        ((3, 5), 1, (2, 0), 2, 1),
        ((1, 3), 1, 1, 1, 1),
        ((3, 5), 2, (1, 2), 1, 2),
        ((3, 3), (2, 1), 0, 2, 1),
        ((2, 2), 3, 0, 1, 4),
    ],
)
def test_a_convolutions_gradient_is_autograds(
    kernel: tuple[int, int], stride: Any, padding: Any, dilation: Any, groups: int
) -> None:
    chance = torch.Generator().manual_seed(0)
    layer = torch.nn.Conv2d(
        4, 8, kernel, stride=stride, padding=padding, dilation=dilation, groups=groups
    ).double()
    inputs = torch.randn(2, 4, 11, 13, generator=chance, dtype=torch.float64, requires_grad=True)
    outputs = layer(inputs)
    gradient = torch.randn(outputs.shape, generator=chance, dtype=torch.float64)
    (expected,) = torch.autograd.grad(outputs, inputs, gradient)
    found, weight, bias = convolution_backward(
        gradient,
        inputs,
        layer.weight,
        [8],
        list(layer.stride),
        list(layer.padding),  # type: ignore[arg-type]
        list(layer.dilation),
        False,
        [0, 0],
        groups,
        [True, False, False],
    )
    assert weight is bias is None
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("affine", [True, False])
def test_batch_normalization_and_its_gradient_are_torchs(affine: bool) -> None:
    chance = torch.Generator().manual_seed(0)
    layer = torch.nn.BatchNorm2d(5, affine=affine).double()
    layer.train()
    layer(torch.randn(8, 5, 6, 6, generator=chance, dtype=torch.float64) * 3 + 1)
    layer.eval()
    if affine:
        torch.nn.init.normal_(layer.weight)
        torch.nn.init.normal_(layer.bias)
    inputs = torch.randn(2, 5, 3, 4, generator=chance, dtype=torch.float64, requires_grad=True)
    outputs = layer(inputs)
    gradient = torch.randn(outputs.shape, generator=chance, dtype=torch.float64)
    (expected,) = torch.autograd.grad(outputs, inputs, gradient)
    statistics = (layer.running_mean, layer.running_var)
    with torch.no_grad():
        found, *_ = batch_norm(inputs, layer.weight, layer.bias, *statistics, False, 0.1, layer.eps)
        torch.testing.assert_close(found, outputs)
        found, weight, bias = batch_norm_backward(
            gradient, inputs, layer.weight, *statistics, None, None, False, layer.eps, [True, False, False]
        )
    torch.testing.assert_close(found, expected)
    assert weight is bias is None


def test_batch_statistics_of_training_are_refused() -> None:
    with pytest.raises(NotImplementedError):
        batch_norm(torch.ones(2, 1, 2, 2), None, None, None, None, True, 0.1, 1e-5)


@pytest.mark.parametrize("dim", [1, -1])
def test_softmax_is_torchs_for_large_numbers_too(dim: int) -> None:
    values = torch.tensor([[1.0, 200.0, -300.0], [5.0, 5.0, 4.0]])
    torch.testing.assert_close(softmax(values, dim, False), values.softmax(dim))


@pytest.mark.parametrize(("shape", "affine"), [([5], True), ([4, 5], False)])
def test_layer_normalization_and_its_gradient_are_torchs(shape: list[int], affine: bool) -> None:
    chance = torch.Generator().manual_seed(0)
    layer = torch.nn.LayerNorm(shape, elementwise_affine=affine).double()
    if affine:
        torch.nn.init.normal_(layer.weight)
        torch.nn.init.normal_(layer.bias)
    inputs = torch.randn(2, 4, 5, generator=chance, dtype=torch.float64, requires_grad=True)
    outputs = layer(inputs)
    gradient = torch.randn(outputs.shape, generator=chance, dtype=torch.float64)
    (expected,) = torch.autograd.grad(outputs, inputs, gradient)
    with torch.no_grad():
        found, mean, scale = layer_norm(inputs, shape, layer.weight, layer.bias, layer.eps)
        torch.testing.assert_close(found, outputs)
        found, *_ = layer_norm_backward(
            gradient, inputs, shape, mean, scale, layer.weight, layer.bias, [True, False, False]
        )
    torch.testing.assert_close(found, expected)


def test_numbers_keep_their_format_and_masks_are_left_to_torch() -> None:
    values = torch.tensor([1.5, -2.0])
    assert to_copy(values, dtype=torch.float64).dtype == torch.float32
    assert to_copy(values > 0, dtype=torch.float32) is NotImplemented
    assert to_copy(values, dtype=torch.int64) is NotImplemented


@pytest.mark.parametrize(
    ("shape", "size"), [((7, 7), (7, 7)), ((14, 9), (7, 3)), ((13, 11), (6, 4)), ((3, 5), (7, 7))]
)
def test_adaptive_averages_and_their_gradient_are_torchs(
    shape: tuple[int, int], size: tuple[int, int]
) -> None:
    chance = torch.Generator().manual_seed(0)
    inputs = torch.randn(2, 3, *shape, generator=chance, dtype=torch.float64, requires_grad=True)
    expected = torch.nn.functional.adaptive_avg_pool2d(inputs, size)
    torch.testing.assert_close(adaptive_average_pool(inputs, list(size)), expected)
    gradient = torch.randn(expected.shape, generator=chance, dtype=torch.float64)
    (expected,) = torch.autograd.grad(expected, inputs, gradient)
    torch.testing.assert_close(adaptive_average_pool_backward(gradient, inputs), expected)


@pytest.mark.parametrize(
    "pooling",
    [
        torch.nn.AvgPool2d(2),
        torch.nn.AvgPool2d((3, 2), stride=(2, 1), padding=(1, 0)),
        torch.nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False),
        torch.nn.AvgPool2d(3, stride=2, padding=1, ceil_mode=True),
        torch.nn.AvgPool2d(3, stride=2, padding=1, ceil_mode=True, count_include_pad=False),
        torch.nn.AvgPool2d(3, stride=2, divisor_override=5),
    ],
    ids=str,
)
def test_the_gradient_of_averages_is_autograds(pooling: torch.nn.AvgPool2d) -> None:
    check_gradient(pooling, torch.ops.aten.avg_pool2d_backward.default)


@pytest.mark.parametrize(
    "pooling",
    [
        torch.nn.MaxPool2d(2),
        torch.nn.MaxPool2d((3, 2), stride=(2, 1), padding=(1, 0)),
        torch.nn.MaxPool2d(3, stride=2, padding=1, dilation=2),
        torch.nn.MaxPool2d(3, stride=1, padding=1),  # windows share their largest value
        torch.nn.MaxPool2d(3, stride=2, ceil_mode=True),
    ],
    ids=str,
)
def test_the_gradient_of_maxima_is_autograds_in_ties_too(pooling: torch.nn.MaxPool2d) -> None:
    check_gradient(pooling, torch.ops.aten.max_pool2d_with_indices_backward.default)


def check_gradient(pooling: torch.nn.Module, operation: Any) -> None:
    """Compare the gradient that is traced with autograd's; a third of the numbers is 0."""
    decomposition = decompositions()[operation]
    chance = torch.Generator().manual_seed(0)
    inputs = torch.randn(2, 3, 10, 13, generator=chance, dtype=torch.float64).relu().requires_grad_()
    gradient = torch.randn(pooling(inputs).shape, generator=chance, dtype=torch.float64)
    calls = []

    def decompose(*arguments: Any) -> torch.Tensor:
        calls.append(arguments)
        result: torch.Tensor = decomposition(*arguments)
        return result

    def differentiate(given: torch.Tensor, along: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(pooling(given), given, along)[0]

    traced = make_fx(differentiate, decomposition_table={operation: decompose})(inputs, gradient)
    assert calls
    torch.testing.assert_close(traced(inputs, gradient), differentiate(inputs, gradient))
