"""Split a network at the target layer: a backbone that needs no gradients, and a head that does.

The backbone can then run on an inference backend, which has no gradients; only the head stays in torch. The
split is made in the graph that torch.fx traces; both halves share the network's parameters.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Sequence

import torch
from torch import fx, nn


@dataclasses.dataclass(frozen=True, slots=True)
class Halves:
    """A network cut in two."""

    backbone: fx.GraphModule
    """The input (N, C, H, W) → the target layer's output and whatever else the head takes."""
    head: fx.GraphModule
    """The outputs of the backbone → the network's answer."""
    carried: int
    """Number of tensors that cross the cut besides the layer's output, as a residual connection does."""


class _Tracer(fx.Tracer):
    """Keeps the target layer in one piece, so that its output is a node of the graph."""

    def __init__(self, layer: str) -> None:
        super().__init__()
        self._layer = layer

    def is_leaf_module(self, module: nn.Module, qualified_name: str) -> bool:
        return qualified_name == self._layer or super().is_leaf_module(module, qualified_name)


def split_network(module: nn.Module, layer: str, call: int = 1, calls: int = 1) -> Halves | None:
    """Cut a network behind one of its layers.

    Args:
        module: In evaluation mode.
        layer: Dotted name of the layer whose output is the cut.
        call: Which of its calls, from 1.
        calls: How many times it runs.

    Returns:
        None if the network cannot be traced, has hooks or a forward of its own, or is still connected beside
        the cut.
    """
    if _has_hooks(module) or "forward" in vars(module):  # tracing would follow its class's forward instead
        return None
    try:
        # What is a graph already, as of a converted file, has its layers in one piece.
        graph = module.graph if isinstance(module, fx.GraphModule) else _Tracer(layer).trace(module)
    except Exception:
        # Tracing runs the network's own Python with proxies for tensors, which can raise anything.
        return None
    nodes = [node for node in graph.nodes if node.op == "call_module" and node.target == layer]
    if len(nodes) != calls:
        return None
    cut = nodes[call - 1]
    behind, fixed = _nodes_behind(graph, cut), _fixed_nodes(graph)
    carried = _carried(graph, cut, behind, fixed)
    if carried is None:
        return None
    backbone = _part(module, [], [node for node in graph.nodes if node not in behind], [cut, *carried])
    (output,) = graph.find_nodes(op="output")
    head_nodes = [node for node in graph.nodes if node in behind or node in fixed]
    head = _part(module, [cut, *carried], head_nodes, output)
    return Halves(backbone, head, len(carried))


def _has_hooks(module: nn.Module) -> bool:
    """Return whether modules have hooks that tracing leaves out; those that make weights are no matter."""
    hooks = (
        hook
        for part in module.modules()
        for hook in (*part._forward_pre_hooks.values(), *part._forward_hooks.values())
    )
    return any(not type(hook).__module__.startswith("torch.nn.utils.") for hook in hooks)


def _nodes_behind(graph: fx.Graph, cut: fx.Node) -> set[fx.Node]:
    """Find all nodes that depend on the cut."""
    behind: set[fx.Node] = set()
    for node in graph.nodes:
        if any(source is cut or source in behind for source in node.all_input_nodes):
            behind.add(node)
    return behind


def _fixed_nodes(graph: fx.Graph) -> set[fx.Node]:
    """Find all nodes that depend on parameters alone: both halves compute them.

    As an output of the backbone they would be there once for a batch, not once for each of its images.
    """
    fixed: set[fx.Node] = set()
    for node in graph.nodes:
        if node.op not in ("placeholder", "output") and fixed.issuperset(node.all_input_nodes):
            fixed.add(node)
    return fixed


def _carried(
    graph: fx.Graph, cut: fx.Node, behind: set[fx.Node], fixed: set[fx.Node]
) -> list[fx.Node] | None:
    """Find the other values that cross the cut; None if one of them is not a tensor."""
    carried: list[fx.Node] = []
    for node in graph.nodes:
        if node in behind or node is cut or node in fixed:
            continue
        if any(user in behind for user in node.users):
            if node.op == "placeholder" or _is_size(node):
                return None
            carried.append(node)
    return carried


def _is_size(node: fx.Node) -> bool:
    """Return whether a node reads a tensor's shape rather than its values."""
    if node.op == "call_method" and node.target in ("size", "dim", "numel"):
        return True
    if node.op == "call_function" and node.target is getattr:
        return True
    # One entry of a shape, or arithmetic on such entries.
    arithmetic = (operator.getitem, operator.floordiv, operator.mul, operator.sub, operator.add)
    return (
        node.op == "call_function"
        and node.target in arithmetic
        and any(_is_size(source) for source in node.all_input_nodes)
    )


def _part(
    module: nn.Module,
    inputs: Sequence[fx.Node],
    nodes: Sequence[fx.Node],
    results: Sequence[fx.Node] | fx.Node,
) -> fx.GraphModule:
    """Copy a part of a graph into a module.

    Args:
        inputs: Nodes outside the part that become its inputs, in order.
        nodes: The part, in order.
        results: The nodes to put out, or the whole graph's output node.
    """
    part = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {
        node: part.placeholder(f"input_{number}") for number, node in enumerate(inputs)
    }
    for node in nodes:
        if node.op != "output" and node not in copies:
            copies[node] = part.node_copy(node, lambda source: copies[source])
    if isinstance(results, fx.Node):
        part.output(fx.map_arg(results.args[0], lambda source: copies[source]))
    else:
        part.output(tuple(copies[node] for node in results))
    halved = fx.GraphModule(module, part)
    part.eliminate_dead_code()
    halved.recompile()
    return halved


def run_head(halves: Halves, outputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, object]:
    """Run the head with the layer's output made a leaf.

    Args:
        outputs: The outputs of the backbone.

    Returns:
        The leaf, float32, and the network's answer, which depends on it.
    """
    leaf = outputs[0].detach().float().requires_grad_()
    with torch.enable_grad():
        # A copy, for layers that work in place: the leaf must stay as it is.
        return leaf, halves.head(leaf.clone(), *outputs[1:])
