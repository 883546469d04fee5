"""Compute only those parts of tensors that the answer of a network depends on.

The class of a vision transformer is read from one token. In the last block only the keys and values of the
others matter: neither their queries nor what the block makes of them. A graph that is narrowed before it is
differentiated leaves them out of the gradients too.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import fx

Box = tuple[tuple[int, int], ...]
"""A part of a tensor: the first place along each dimension, and that behind the last."""

_aten = torch.ops.aten


@dataclasses.dataclass(frozen=True, slots=True)
class _Part:
    """How a part of an operation's output is computed."""

    sources: tuple[tuple[fx.Node, Box], ...]
    """Which parts of its inputs it takes, in the order in which they stand in the arguments."""
    target: Callable[..., object] | None = None
    """Another operation that computes it; None for the same."""
    settings: tuple[object, ...] | None = None
    """Arguments behind the first input; None for the operation's own."""


def narrow(graph: fx.Graph) -> fx.Graph | None:
    """Narrow a graph of ATen operations, whose nodes know their shapes.

    Args:
        graph: As make_fx traces it, with `pre_dispatch`.

    Returns:
        A graph of the same inputs and output; None if the output depends on everything, or if an operation
        writes into its input.
    """
    if any(_writes(node) for node in graph.nodes):
        return None
    needed = _needed_boxes(graph)
    if all(box == _whole(node) for node, boxes in needed.items() for box in boxes):
        return None
    return _narrowed(graph, needed)


def _needed_boxes(graph: fx.Graph) -> dict[fx.Node, list[Box]]:
    """Find the parts of each node's output that the graph's depends on."""
    needed: dict[fx.Node, list[Box]] = {node: [] for node in graph.nodes}
    for node in reversed(graph.nodes):
        boxes = _merged([()] if node.op == "output" else needed[node])
        needed[node] = boxes
        parts = [_part(node, box) for box in boxes]
        if None in parts or (boxes and node.op in ("placeholder", "get_attr")):
            needed[node] = [_whole(node)]
            for source in node.all_input_nodes:
                needed[source].append(_whole(source))
        for part in parts:
            for source, box in () if part is None else part.sources:
                needed[source].append(box)
    return needed


def _narrowed(graph: fx.Graph, needed: dict[fx.Node, list[Box]]) -> fx.Graph:
    narrowed = fx.Graph()
    copies: dict[fx.Node, list[tuple[Box, fx.Node]]] = {node: [] for node in graph.nodes}

    def take(node: fx.Node, box: Box) -> fx.Node:
        around, found = next(each for each in copies[node] if _contains(each[0], box))
        for dim, ((start, stop), (first, last)) in enumerate(zip(box, around, strict=True)):
            if (start, stop) != (first, last):
                settings = (dim, start - first, stop - first)
                found = narrowed.call_function(_aten.slice.Tensor, (found, *settings))
        return found

    for node in graph.nodes:
        if node.op == "placeholder":
            copies[node].append((_whole(node), narrowed.node_copy(node)))
            continue
        for box in needed[node]:
            part = _part(node, box)
            if part is None:
                copy = narrowed.node_copy(node, lambda source: take(source, _whole(source)))
            else:
                taken = [take(*source) for source in part.sources]
                arguments: Any = _replaced(node.args, taken)
                if part.settings is not None:
                    arguments = (*taken, *part.settings)
                copy = narrowed.call_function(part.target or node.target, arguments, dict(node.kwargs))
            copies[node].append((box, copy))
    return narrowed


def _replaced(arguments: Any, nodes: Sequence[fx.Node]) -> Any:
    """Put other nodes in the place of those in arguments, in order."""
    order = iter(nodes)
    return fx.map_arg(arguments, lambda _: next(order))


def _part(node: fx.Node, box: Box) -> _Part | None:
    """Return how a part of a tensor is computed; None where the whole of it has to be."""
    if not isinstance(node.target, torch._ops.OpOverload):
        return None
    rule = _RULES.get(node.target.overloadpacket)
    if rule is None or any(isinstance(each, fx.Node) for each in node.kwargs.values()):
        return None
    return rule(node, box)


def _pointwise(node: fx.Node, box: Box) -> _Part:
    sources = []
    for source in node.args:
        if isinstance(source, fx.Node):
            shape = _shape(source)
            spans = zip(shape, box[len(box) - len(shape) :], strict=True)
            sources.append((source, tuple((0, 1) if size == 1 else span for size, span in spans)))
    return _Part(tuple(sources))


def _linear(node: fx.Node, box: Box) -> _Part:
    inputs, weight, *bias = _arguments(node)
    *places, units = box
    sources = [(inputs, (*places, _whole(inputs)[-1])), (weight, (units, _whole(weight)[1]))]
    return _Part((*sources, *((each, (units,)) for each in bias if each is not None)))


def _layer_norm(node: fx.Node, box: Box) -> _Part | None:
    inputs, normalized, *parameters = _arguments(node)
    first = len(box) - len(normalized)
    if box[first:] != _whole(node)[first:]:
        return None
    given = [each for each in parameters if isinstance(each, fx.Node)]
    return _Part(((inputs, box), *((each, _whole(each)) for each in given)))


def _softmax(node: fx.Node, box: Box) -> _Part | None:
    inputs, dim = _arguments(node)[:2]
    return _Part(((inputs, box),)) if box[dim] == _whole(node)[dim] else None


def _attention(node: fx.Node, box: Box) -> _Part | None:
    queries, keys, values = _arguments(node)[:3]
    is_plain = len(node.args) == 3 and not node.kwargs
    if not is_plain or not _shape(queries)[:-2] == _shape(keys)[:-2] == _shape(values)[:-2]:
        return None
    *around, places, units = box
    return _Part(
        (
            (queries, (*around, places, _whole(queries)[-1])),
            (keys, (*around, *_whole(keys)[-2:])),
            (values, (*around, _whole(values)[-2], units)),
        )
    )


def _product(node: fx.Node, box: Box) -> _Part | None:
    left, right = _arguments(node)
    if len(_shape(left)) < 2 or _shape(left)[:-2] != _shape(right)[:-2]:
        return None
    *around, rows, columns = box
    left_box, right_box = (*around, rows, _whole(left)[-1]), (*around, _whole(right)[-2], columns)
    return _Part(((left, left_box), (right, right_box)))


def _permute(node: fx.Node, box: Box) -> _Part:
    inputs, order = _arguments(node)
    source = list(box)
    for place, dim in enumerate(order):
        source[dim] = box[place]
    return _Part(((inputs, tuple(source)),))


def _transpose(node: fx.Node, box: Box) -> _Part:
    inputs, one, other = _arguments(node)
    source = list(box)
    source[one], source[other] = box[other], box[one]
    return _Part(((inputs, tuple(source)),))


def _select(node: fx.Node, box: Box) -> _Part:
    inputs, dim, index = _arguments(node)
    shape = _shape(inputs)
    dim, index = dim % len(shape), index % shape[dim]
    return _Part(((inputs, (*box[:dim], (index, index + 1), *box[dim:])),), settings=(dim, 0))


def _reshape(node: fx.Node, box: Box) -> _Part | None:
    inputs = _arguments(node)[0]
    source = box_before_reshape(_shape(inputs), _shape(node), box)
    if source is None:
        return None
    sizes = [stop - start for start, stop in box]
    return _Part(((inputs, source),), _aten.reshape.default, (sizes,))


def box_before_reshape(before: Sequence[int], after: Sequence[int], box: Box) -> Box | None:
    """Find the part of a tensor that becomes a given part of it in another shape.

    Args:
        before: The shape of the tensor.
        after: Its other shape.
        box: A part of the tensor in that.

    Returns:
        A part of the same number of values in the same order; None if there is none.
    """
    if 0 in before:
        return None
    found: list[tuple[int, int]] = []
    for old, new in _groups(before, after):
        span = _flat_span(after[new], box[new])
        part = None if span is None else _box_of_span(before[old], span)
        if part is None:
            return None
        found += part
    return tuple(found)


def _groups(before: Sequence[int], after: Sequence[int]) -> list[tuple[slice, slice]]:
    """Divide two shapes into the shortest runs of dimensions that hold equally many values."""
    groups, old, new = [], 0, 0
    while old < len(before) or new < len(after):
        old_end, new_end = min(old + 1, len(before)), min(new + 1, len(after))
        while (count := math.prod(before[old:old_end])) != (other := math.prod(after[new:new_end])):
            old_end, new_end = old_end + (count < other), new_end + (count > other)
        groups.append((slice(old, old_end), slice(new, new_end)))
        old, new = old_end, new_end
    return groups


def _flat_span(shape: Sequence[int], box: Box) -> tuple[int, int] | None:
    """Return the first place of a part, and that behind its last, if no others lie in between."""
    sizes = [stop - start for start, stop in box]
    begun = next((place for place, size in enumerate(sizes) if size > 1), len(sizes))
    if list(sizes[begun + 1 :]) != list(shape[begun + 1 :]):
        return None
    start = sum(first * math.prod(shape[place + 1 :]) for place, (first, _) in enumerate(box))
    return start, start + math.prod(sizes)


def _box_of_span(shape: Sequence[int], span: tuple[int, int]) -> Box | None:
    """Return the part of a tensor between two places, if it is a box."""
    start, stop = span
    box: list[tuple[int, int]] = []
    for place in range(len(shape)):
        stride = math.prod(shape[place + 1 :])
        first, last = start // stride, -(-stop // stride)
        if last - first > 1:
            if start % stride or stop % stride:
                return None
            return (*box, (first, last), *((0, each) for each in shape[place + 1 :]))
        box.append((first, first + 1))
        start, stop = start - first * stride, stop - first * stride
    return tuple(box)


def _merged(boxes: Sequence[Box]) -> list[Box]:
    """Merge parts that overlap, or that are one part together."""
    apart: list[Box] = []
    for box in boxes:
        merged = box
        while (other := next((each for each in apart if _belong_together(each, merged)), None)) is not None:
            apart.remove(other)
            merged = _around(other, merged)
        apart.append(merged)
    return apart


def _belong_together(one: Box, other: Box) -> bool:
    overlap = all(max(a, c) < min(b, d) for (a, b), (c, d) in zip(one, other, strict=True))
    return overlap or _count(_around(one, other)) == _count(one) + _count(other)


def _around(one: Box, other: Box) -> Box:
    return tuple((min(a, c), max(b, d)) for (a, b), (c, d) in zip(one, other, strict=True))


def _contains(around: Box, box: Box) -> bool:
    return all(a <= c and d <= b for (a, b), (c, d) in zip(around, box, strict=True))


def _count(box: Box) -> int:
    return math.prod(stop - start for start, stop in box)


def _whole(node: fx.Node) -> Box:
    return tuple((0, size) for size in _shape(node))


def _shape(node: fx.Node) -> tuple[int, ...]:
    """Return the shape of a tensor; of what is none, that of a single number."""
    value = node.meta.get("val")
    return tuple(value.shape) if isinstance(value, torch.Tensor) else ()


def _arguments(node: fx.Node) -> list[Any]:
    return list(node.args)


def _writes(node: fx.Node) -> bool:
    return isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable


_RULES: dict[object, Callable[[fx.Node, Box], _Part | None]] = {
    **dict.fromkeys(
        (
            *(_aten.add, _aten.sub, _aten.mul, _aten.div, _aten.neg, _aten.clone, _aten.contiguous),
            *(_aten.dropout, _aten.gelu, _aten.relu, _aten.silu, _aten.sigmoid, _aten.tanh, _aten.exp),
        ),
        _pointwise,
    ),
    **dict.fromkeys(
        (_aten.view, _aten.reshape, _aten.unflatten, _aten.flatten, _aten.unsqueeze, _aten.squeeze), _reshape
    ),
    _aten.linear: _linear,
    _aten.layer_norm: _layer_norm,
    _aten.softmax: _softmax,
    _aten.scaled_dot_product_attention: _attention,
    **dict.fromkeys((_aten.matmul, _aten.bmm), _product),
    _aten.permute: _permute,
    _aten.transpose: _transpose,
    _aten.select: _select,
}
"""Operation → how a part of its output is computed."""
