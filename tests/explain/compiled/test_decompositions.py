"""Decompositions for compiling, held to torch's own operations and to autograd."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from streamcam.explain.compiled.decompositions import (
    batch_norm,
    batch_norm_backward,
    convolution_backward,
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
