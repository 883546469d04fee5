"""Batch sizes that fit a device's memory: estimated beforehand, and halved when memory runs out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from streamcam.errors import ModelError
from streamcam.models import Layer

Item = TypeVar("Item")
Result = TypeVar("Result")

HEAVY_HEAD = 30_000_000
"""Parameters of what follows the target layer: VGG-16 has 120 million there, half a gigabyte that is read for
each batch, and again for its gradients."""

_PROCESSOR_BATCH = 4
_LARGEST_BATCH = 16
"""Larger batches hardly use a GPU better, and delay the first image."""


def choose_batch_size(device: torch.device, layers: Sequence[Layer], head_parameters: int = 0) -> int:
    """Choose how many images go through a network at once.

    Args:
        device: The network's device.
        layers: All of its layers; memory has to hold their outputs.
        head_parameters: Number of parameters of what follows the target layer.
    """
    if device.type != "cuda":
        # On CPUs the backbone's time per image does not depend on the batch size; four images share the
        # overhead around it, and more would only delay the first image.
        return _LARGEST_BATCH if head_parameters > HEAVY_HEAD else _PROCESSOR_BATCH
    image = 4 * sum(math.prod(layer.shape) for layer in layers)  # bytes in float32
    free, _ = torch.cuda.mem_get_info(device)
    fitting = free // 4 // max(1, image)  # gradients, workspaces and other programs want memory too
    return max(1, min(_LARGEST_BATCH, 1 << max(0, fitting.bit_length() - 1)))


def backbone_batch_size(batch_size: int) -> int:
    """Return how many images of a batch go through what OpenVINO runs of a network at once, on CPUs.

    Args:
        batch_size: Number of images of a batch; shorter ones are filled up to what this returns.
    """
    return _PROCESSOR_BATCH if batch_size % _PROCESSOR_BATCH == 0 else batch_size


def run_what_fits(
    work: Callable[[Sequence[Item]], list[Result]],
    items: Sequence[Item],
    device: torch.device,
    when_halved: Callable[[int], None],
) -> list[Result]:
    """Do work on as many of the first items as memory holds, halving their number when it runs out.

    Args:
        work: Returns one result for each item.
        items: One item or more.
        device: The device whose memory it needs.
        when_halved: Called with the number of items that is tried next.

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
                    f"the memory of {device} is too small for a single image; free some, "
                    "use a smaller network, or use `device='cpu'`"
                ) from error
        # Only here, where the exception is gone, are the tensors free that its traceback held.
        if device.type == "cuda":
            torch.cuda.empty_cache()
        elif device.type == "mps":
            torch.mps.empty_cache()
        items = items[: len(items) // 2]
        when_halved(len(items))


def _is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether memory ran out: on Apple's devices torch has no error class for that."""
    return isinstance(error, torch.OutOfMemoryError) or "MPS backend out of memory" in str(error)
