"""Gradients for channels that answer to nothing yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from streamcam.explain.relus import is_relu

_SLOPE = 0.1
"""How much of a gradient passes where a ReLU gives zero."""


class LeakyGradients(TorchFunctionMode):
    """Lets some of the gradient pass where ReLUs give zero, and leaves what they give; while it is entered.

    A channel that is zero everywhere has no gradient, and no ascent would ever begin. What has one is better
    off without: Olah, Mordvintsev and Schubert 2017 redirect gradients so in the first steps only.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if not is_relu(func, args, kwargs) or not args or not args[0].requires_grad:
            return func(*args, **kwargs)
        before = args[0].clone()  # in place, it is gone afterwards
        output = func(*args, **kwargs)
        passing = torch.where(output.detach() == 0, before, 0.0)
        return output + _SLOPE * (passing - passing.detach())
