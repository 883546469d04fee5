"""Which of the functions that a network calls are ReLUs; for what changes their gradients while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F

_RELUS = frozenset({F.relu, torch.relu, torch.relu_, torch.Tensor.relu, torch.Tensor.relu_, F.relu6})
_HARDTANHS = frozenset({F.hardtanh, F.hardtanh_})  # nn.ReLU6 is one, from 0 to 6


def is_relu(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Return whether a call is a ReLU or ReLU6, as a module or a function, in place or not."""
    return func in _RELUS or (func in _HARDTANHS and argument_of("min_val", 1, args, kwargs) == 0)


def argument_of(name: str, position: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Find a function's argument, given by name or by position; None where it was left out."""
    return kwargs[name] if name in kwargs else args[position] if len(args) > position else None
