"""Operations of torch in terms of those that OpenVINO converts, for networks in evaluation mode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch


def decompositions() -> dict[Any, Callable[..., Any]]:
    """Return the decomposition of each operation: torch's own, and those that it leaves as they are."""
    from torch._decomp import core_aten_decompositions

    aten = torch.ops.aten
    return {
        **core_aten_decompositions(),
        aten.convolution_backward.default: convolution_backward,
        aten.native_batch_norm.default: batch_norm,
        aten.native_batch_norm_backward.default: batch_norm_backward,
        aten.native_layer_norm.default: layer_norm,
        aten.native_layer_norm_backward.default: layer_norm_backward,
        aten._softmax.default: softmax,
        aten._to_copy.default: to_copy,
        aten.slice_backward.default: slice_backward,
        aten._adaptive_avg_pool2d.default: adaptive_average_pool,
        aten._adaptive_avg_pool2d_backward.default: adaptive_average_pool_backward,
        aten.avg_pool2d_backward.default: average_pool_backward,
        aten.max_pool2d_with_indices_backward.default: max_pool_backward,
    }


def convolution_backward(
    gradient: torch.Tensor,
    inputs: torch.Tensor,
    weight: torch.Tensor,
    _bias_sizes: object,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    _output_padding: Sequence[int],
    groups: int,
    output_mask: Sequence[bool],
) -> tuple[torch.Tensor | None, None, None]:
    """Return the gradient of a convolution's input: a transposed convolution, or where it is one, a plain.

    A plain one has weights of its own. OpenVINO's processor plugin confuses the weights of a convolution with
    those of a transposed one that has the same, at least where kernels are points.
    """
    if transposed or output_mask[1] or output_mask[2]:
        raise NotImplementedError("only gradients of a plain convolution's input are traced")
    sides = range(len(stride))
    reach = [(weight.shape[2 + side] - 1) * dilation[side] + 1 for side in sides]
    borders = [reach[side] - 1 - padding[side] for side in sides]
    if groups == 1 and all(step == 1 for step in stride) and min(borders) >= 0:
        turned = weight.detach().flip([2 + side for side in sides]).transpose(0, 1).contiguous()
        plain: torch.Tensor = torch.ops.aten.convolution(
            gradient, turned, None, stride, borders, dilation, False, [0] * len(stride), 1
        )
        return plain, None, None
    reached = [
        (gradient.shape[2 + side] - 1) * stride[side] - 2 * padding[side] + reach[side] for side in sides
    ]
    missing = [inputs.shape[2 + side] - reached[side] for side in sides]
    result: torch.Tensor = torch.ops.aten.convolution(
        gradient, weight, None, stride, padding, dilation, True, missing, groups
    )
    return result, None, None


def batch_norm(
    inputs: torch.Tensor,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    mean: torch.Tensor | None,
    variance: torch.Tensor | None,
    training: bool,
    _momentum: float,
    epsilon: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Normalize by the statistics of training."""
    if training or mean is None or variance is None:
        raise NotImplementedError("only batch normalization by the statistics of training is traced")
    scale = torch.rsqrt(variance + epsilon)
    if weight is not None:
        scale = scale * weight
    shift = -mean * scale if bias is None else bias - mean * scale
    empty = inputs.new_empty(0)
    return inputs * _along_channels(scale, inputs) + _along_channels(shift, inputs), empty, empty


def batch_norm_backward(
    gradient: torch.Tensor,
    _inputs: torch.Tensor,
    weight: torch.Tensor | None,
    _mean: torch.Tensor | None,
    variance: torch.Tensor | None,
    _saved_mean: torch.Tensor | None,
    _saved_scale: torch.Tensor | None,
    training: bool,
    epsilon: float,
    output_mask: Sequence[bool],
) -> tuple[torch.Tensor, None, None]:
    """Return the gradient of the input."""
    if training or variance is None or output_mask[1] or output_mask[2]:
        raise NotImplementedError("only gradients of the input of a batch normalization are traced")
    scale = torch.rsqrt(variance + epsilon)
    if weight is not None:
        scale = scale * weight
    return gradient * _along_channels(scale, gradient), None, None


def layer_norm(
    inputs: torch.Tensor,
    shape: Sequence[int],
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    epsilon: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Normalize over the last dimensions; return the mean and the scale too."""
    dims = list(range(-len(shape), 0))
    mean = inputs.mean(dims, keepdim=True)
    centered = inputs - mean
    scale = torch.rsqrt((centered * centered).mean(dims, keepdim=True) + epsilon)
    outputs = centered * scale
    if weight is not None:
        outputs = outputs * weight
    return outputs if bias is None else outputs + bias, mean, scale


def layer_norm_backward(
    gradient: torch.Tensor,
    inputs: torch.Tensor,
    shape: Sequence[int],
    mean: torch.Tensor,
    scale: torch.Tensor,
    weight: torch.Tensor | None,
    _bias: torch.Tensor | None,
    output_mask: Sequence[bool],
) -> tuple[torch.Tensor, None, None]:
    """Return the gradient of the input."""
    if output_mask[1] or output_mask[2]:
        raise NotImplementedError("only gradients of the input of a layer normalization are traced")
    dims = list(range(-len(shape), 0))
    inner = gradient if weight is None else gradient * weight
    normalized = (inputs - mean) * scale
    along = normalized * (inner * normalized).mean(dims, keepdim=True)
    return scale * (inner - inner.mean(dims, keepdim=True) - along), None, None


def softmax(inputs: torch.Tensor, dim: int, _half_to_float: bool) -> torch.Tensor:
    """Return powers of e that add up to 1 along a dimension."""
    powers = (inputs - inputs.amax(dim, keepdim=True)).exp()
    return powers / powers.sum(dim, keepdim=True)


def to_copy(inputs: torch.Tensor, *, dtype: torch.dtype | None = None, **_settings: object) -> Any:
    """Leave numbers in their format: OpenVINO computes float64 in float32 anyway."""
    if dtype not in (torch.float32, torch.float64) or not inputs.is_floating_point():
        return NotImplemented
    return inputs.clone()


def slice_backward(
    gradient: torch.Tensor, sizes: Sequence[int], dim: int, start: int, end: int, step: int
) -> torch.Tensor:
    """Return the gradient of what a slice is taken of: zeros around it."""
    if step != 1:
        raise NotImplementedError("only gradients of slices without gaps are traced")
    first, last, _ = slice(start, end).indices(sizes[dim])
    before, behind = ([*sizes[:dim], count, *sizes[dim + 1 :]] for count in (first, sizes[dim] - last))
    return torch.cat([gradient.new_zeros(before), gradient, gradient.new_zeros(behind)], dim)


def adaptive_average_pool(inputs: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Average over areas that together cover an image, whatever its size."""
    rows, columns = (_adaptive_means(*pair, inputs) for pair in zip(inputs.shape[-2:], size, strict=True))
    return rows @ inputs @ columns.transpose(0, 1)


def adaptive_average_pool_backward(gradient: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
    """Return the gradient of the input."""
    rows, columns = (
        _adaptive_means(*pair, gradient) for pair in zip(inputs.shape[-2:], gradient.shape[-2:], strict=True)
    )
    return rows.transpose(0, 1) @ gradient @ columns


def average_pool_backward(
    gradient: torch.Tensor,
    inputs: torch.Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    _ceil_mode: bool,
    count_include_pad: bool,
    divisor: int | None,
) -> torch.Tensor:
    """Return the gradient of the input."""
    matrices = []
    for side in range(2):
        length, reach, border = inputs.shape[side - 2], _each(kernel, side), _each(padding, side)
        windows = []
        for index in range(gradient.shape[side - 2]):
            begin = index * (_each(stride, side) if stride else reach) - border
            end = min(begin + reach, length + border)
            first, last = max(begin, 0), min(end, length)
            count = 1 if divisor is not None else end - begin if count_include_pad else last - first
            windows.append((first, last, count))
        matrices.append(_means(windows, length, gradient))
    rows, columns = matrices
    return rows.transpose(0, 1) @ (gradient if divisor is None else gradient / divisor) @ columns


def max_pool_backward(
    gradient: torch.Tensor,
    inputs: torch.Tensor,
    _kernel: Sequence[int],
    _stride: Sequence[int],
    _padding: Sequence[int],
    _dilation: Sequence[int],
    _ceil_mode: bool,
    indices: torch.Tensor,
) -> torch.Tensor:
    """Return the gradient of the input: each number goes to the place of the largest value."""
    zeros = torch.zeros_like(inputs).flatten(-2)
    return zeros.scatter_add(-1, indices.flatten(-2), gradient.flatten(-2)).view(inputs.shape)


def _adaptive_means(length: int, count: int, like: torch.Tensor) -> torch.Tensor:
    edges = [(index * length // count, -(-(index + 1) * length // count)) for index in range(count)]
    return _means([(first, last, last - first) for first, last in edges], length, like)


def _means(windows: Sequence[tuple[int, int, int]], length: int, like: torch.Tensor) -> torch.Tensor:
    """Return the matrix (windows, length) that adds numbers from a first to before a last, over a count."""
    matrix = [
        [1 / count if first <= place < last else 0.0 for place in range(length)]
        for first, last, count in windows
    ]
    return torch.tensor(matrix, dtype=like.dtype)


def _each(values: Sequence[int], side: int) -> int:
    return values[side] if len(values) > 1 else values[0]


def _along_channels(values: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
    return values.view(1, -1, *[1] * (inputs.ndim - 2))
