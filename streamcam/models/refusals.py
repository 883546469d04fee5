"""Naming the kind of a network that does not run on an image, by what it raised, and the way out."""

from __future__ import annotations

import re

import torch
from torch import nn

from streamcam.errors import ModelError

_WEIGHT_SIZE = re.compile(r"weight of size \[([\d, ]+)\]")


def refuse(name: str, module: nn.Module, error: Exception, image: str, reason: str) -> ModelError:
    """Build the error for a network that raised on a trial image.

    Args:
        name: What the message calls the network.
        module: The network.
        error: What it raised.
        image: The image, in words.
        reason: The error, in words, on one line.
    """
    text = str(error)
    weight = _WEIGHT_SIZE.search(text)
    shape = [int(number) for number in weight[1].split(",")] if weight else []
    if isinstance(module, torch.jit.ScriptModule) and "hook" in text:
        return ModelError(
            f"{name} is a TorchScript program, whose layers cannot be read; "
            "return the torch.nn.Module that it was made from"
        )
    if isinstance(module, torch.fx.GraphModule) and "eval() is not supported" in text:
        return ModelError(
            f"{name} is a program of torch.export, whose layers cannot be read; "
            "return the torch.nn.Module that it was made from"
        )
    if isinstance(error, TypeError) and "required positional argument" in text:
        return ModelError(
            f"{name} takes more than an image ({reason}); "
            "return a torch.nn.Module around it that takes only an image and adds the rest"
        )
    if len(shape) == 5:
        return ModelError(
            f"{name} takes clips or volumes, not single images; for clips return a streamcam Model with its "
            "clip_length"
        )
    if len(shape) == 4 and "channels" in text and shape[1] not in (1, 3):
        return ModelError(
            f"{name} takes images of {shape[1]} channels, and frames have 3 (or 1 in gray); "
            "return a torch.nn.Module around it that makes them from RGB"
        )
    return ModelError(
        f"{name} does not run on an image of {image} ({reason}); say what it takes with `input_size`, `mean` "
        "and `std`, or return a torch.nn.Module around it that resizes images to a size that is not square"
    )
