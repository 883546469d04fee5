"""Networks that went through `torch.compile`, explained through what was compiled, or `torch.export`."""

from __future__ import annotations

import contextlib
import logging

import torch
from torch import nn

_logger = logging.getLogger("streamcam.models")

_ORIGINAL = "_orig_mod"


def uncompiled(module: nn.Module) -> nn.Module:
    """Return the network that `torch.compile` was given; another network as it is."""
    while _ORIGINAL in module._modules:
        module = module.get_submodule(_ORIGINAL)
    return module


def is_exported(module: nn.Module) -> bool:
    """Return whether a network is the program that `torch.export` made of another."""
    # Such a program replaces `eval` by one that refuses.
    return isinstance(module, torch.fx.GraphModule) and "eval" in vars(module)


def start_evaluating(module: nn.Module) -> nn.Module:
    """Put a network into evaluation mode, and return it; an exported one has no other mode.

    Where its own `eval` fails, as that of quantized programs, the flag of every part is turned off instead.
    """
    if is_exported(module):
        return module
    try:
        return module.eval()
    except Exception as error:  # whatever a network's own code raises
        name = type(module).__name__
        _logger.info("eval() of %s failed (%s): its parts are put into that mode by themselves", name, error)
        for part in module.modules():
            part.training = False
        return module


def running_eagerly(module: nn.Module) -> contextlib.AbstractContextManager[object]:
    """Let the compiled parts of a network run as they were written while inside.

    Compiled code runs no hooks of its layers, and its gradients can be taken only once.
    """
    is_compiled = any(
        _ORIGINAL in part._modules or part._compiled_call_impl is not None for part in module.modules()
    )
    # Importing what this needs takes seconds, unless something is compiled.
    return torch.compiler.set_stance("force_eager") if is_compiled else contextlib.nullcontext()
