"""Compute beforehand what in a traced graph depends on no input, as masks that are written part by part.

Writing into a part of an array may be converted as something else: Swin's masks of windows came out wrong.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx, nn


def fold_constants(module: fx.GraphModule) -> None:
    """Replace what depends on neither inputs nor parameters by its value.

    Args:
        module: A traced graph, which is changed.
    """
    values: dict[fx.Node, Any] = {}
    with torch.no_grad():
        for node in module.graph.nodes:
            if node.op == "get_attr":
                value = getattr(module, node.target)
                if not isinstance(value, nn.Parameter):
                    values[node] = value
            elif node.op == "call_function" and all(each in values for each in node.all_input_nodes):
                arguments = fx.map_arg((node.args, node.kwargs), values.__getitem__)
                values[node] = node.target(*arguments[0], **arguments[1])
    folded = [node for node in values if node.op == "call_function"]
    for node in folded:
        users = [user for user in node.users if user not in values]
        if users:
            name = f"folded_{node.name}"
            module.register_buffer(name, values[node].clone())
            with module.graph.inserting_before(node):
                constant = module.graph.get_attr(name)
            for user in users:
                user.replace_input_with(node, constant)
    for node in reversed(folded):
        module.graph.erase_node(node)
    module.recompile()
