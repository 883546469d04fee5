"""Networks of other precisions, computed in float32."""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

from streamcam.models.compiled import is_exported, running_eagerly


def is_float32(module: nn.Module) -> bool:
    """Return whether all parameters and buffers that are not whole numbers are float32."""
    values = (*module.parameters(), *module.buffers())
    return all(value.dtype == torch.float32 for value in values if value.is_floating_point())


def to_float32(module: nn.Module, run: Callable[[nn.Module], object]) -> nn.Module:
    """Convert a network to float32, in place.

    A network that casts in its own code (``x.half()``) does not run on converted weights alone: what it
    computes is then float32 whatever it casts to. A program whose code is fixed is returned as it was, where
    only that runs.

    Args:
        module: The network.
        run: Runs a network on a trial image, and raises anything where it does not run.
    """
    if is_float32(module):
        return module
    is_program = isinstance(module, torch.jit.ScriptModule) or is_exported(module)
    original = copy_of(module) if is_program else module
    module.float()
    if _runs(module, run):
        return module
    if is_program:
        return original if _runs(original, run) else module
    forward = module.forward
    module.forward = functools.update_wrapper(functools.partial(_forward, forward), forward)
    if not _runs(module, run):
        module.forward = forward
    return module


def copy_of(module: nn.Module) -> nn.Module:
    """Return a copy of a network; the parameters of programs stay leaves of the graph of gradients."""
    with torch.no_grad():
        return copy.deepcopy(module)


def _runs(module: nn.Module, run: Callable[[nn.Module], object]) -> bool:
    # Whatever a network raises on what it does not take.
    with contextlib.suppress(Exception), torch.no_grad(), running_eagerly(module):
        run(module)
        return True
    return False


def _forward(forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Run a network's own forward, computing in float32."""
    with _Float32Mode():
        return forward(*_in_float32(args), **_in_float32(kwargs))


class _Float32Mode(TorchFunctionMode):
    """Convert the tensors that every operation takes and returns to float32, except whole numbers."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run one operation."""
        return _in_float32(func(*_in_float32(args), **_in_float32(kwargs or {})))


def _in_float32(values: Any) -> Any:
    return tree_map_only(torch.Tensor, _as_float32, values)


def _as_float32(value: torch.Tensor) -> torch.Tensor:
    return value.float() if value.is_floating_point() else value
