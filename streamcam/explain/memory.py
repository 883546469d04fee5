"""How many images a device's memory holds at once: chosen beforehand, and found out the hard way."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from streamcam.errors import ModelError
from streamcam.models import Layer

Item = TypeVar("Item")
Result = TypeVar("Result")

_PROCESSOR_BATCH = 4
_LARGEST_BATCH = 16
"""More images at once keep a graphics processor hardly busier, and the first one waiting."""


def choose_batch_size(device: torch.device, layers: Sequence[Layer]) -> int:
    """Choose how many images go through a network at once.

    Args:
        device: Where it is.
        layers: All of its layers; their outputs are what memory has to hold.
    """
    if device.type != "cuda":
        # On processors a backbone's time an image is the same for one as for sixteen; four share what comes
        # around it, and more would only make the first image wait.
        return _PROCESSOR_BATCH
    image = 4 * sum(math.prod(layer.shape) for layer in layers)  # bytes in float32
    free, _ = torch.cuda.mem_get_info(device)
    fitting = free // 4 // max(1, image)  # gradients, workspaces and other programs want memory too
    return max(1, min(_LARGEST_BATCH, 1 << max(0, fitting.bit_length() - 1)))


def run_what_fits(
    work: Callable[[Sequence[Item]], list[Result]],
    items: Sequence[Item],
    device: torch.device,
    when_halved: Callable[[int], None],
) -> list[Result]:
    """Do work on the first of some items: all of them, or half as often as memory is short.

    Args:
        work: Returns one result for each item that it is given.
        items: At least one.
        device: Whose memory it takes.
        when_halved: Told how many items are tried next.

    Raises:
        ModelError: if memory is too short for a single one.
    """
    while True:
        try:
            return work(items)
        except RuntimeError as error:
            if not _is_out_of_memory(error):
                raise
            if len(items) == 1:
                raise ModelError(
                    f"the memory of {device} does not hold a single image of this network's; free some, "
                    "take a smaller network, or use `device='cpu'`"
                ) from error
        # Only here, where the exception is gone, are the tensors free that its traceback held.
        if device.type == "cuda":
            torch.cuda.empty_cache()
        elif device.type == "mps":
            torch.mps.empty_cache()
        items = items[: len(items) // 2]
        when_halved(len(items))


def _is_out_of_memory(error: RuntimeError) -> bool:
    """Tell whether a device's memory was too small: Apple's devices have no class of their own for that."""
    return isinstance(error, torch.OutOfMemoryError) or "MPS backend out of memory" in str(error)
