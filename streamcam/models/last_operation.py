"""The last operation of a network: whether a sigmoid made the numbers that it returns."""

from __future__ import annotations

from typing import Any

import torch

# They choose, arrange or convert numbers that something else made.
_ARRANGING = {
    *(
        "View",
        "UnsafeView",
        "Reshape",
        "ReshapeAlias",
        "Squeeze",
        "Unsqueeze",
        "Select",
        "Slice",
        "Transpose",
    ),
    *("T", "Permute", "Expand", "Clone", "Alias", "ToCopy", "Flatten", "Index"),
}
_SIGMOIDS = {"Sigmoid", "Hardsigmoid"}
# Their results are numbers of any size.
_UNBOUNDED = {"Addmm", "Mm", "Bmm", "Baddbmm", "Linear", "Convolution", "Mean", "Sum", "Add", "Neg"}


def ends_in_sigmoid(values: torch.Tensor) -> bool | None:
    """Find out whether a sigmoid made numbers.

    Args:
        values: With the graph that autograd recorded of what made them.

    Returns:
        None if the graph does not tell, as without one.
    """
    node: Any = values.grad_fn
    while node is not None:
        kind = node.name().rpartition("::")[2].partition("Backward")[0]
        if kind in _SIGMOIDS:
            return True
        if kind not in _ARRANGING:
            return False if kind in _UNBOUNDED else None
        node = node.next_functions[0][0]
    return None
