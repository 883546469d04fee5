"""Running a network with the outputs of some layers kept, so that gradients cost only what comes after.

Everything before the first kept layer runs without a graph; autograd starts at that layer's output and
ends at the logits. No parameter, flag, buffer or hook of the network is changed by it.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from streamcam.errors import ModelError
from streamcam.models import Classifier, Layer


@dataclasses.dataclass(frozen=True, slots=True)
class ForwardPass:
    """One run of a network."""

    logits: torch.Tensor
    """float32 (N, classes)."""
    outputs: tuple[torch.Tensor, ...]
    """What each kept layer put out, in its own layout, float32; the logits depend on them."""
    size: tuple[int, int]
    """(height, width) of the network's input."""


class HookedNetwork:
    """A network and the layers whose outputs are kept."""

    def __init__(
        self, classifier: Classifier, layers: Sequence[Layer], dtype: torch.dtype = torch.float32
    ) -> None:
        """Assign.

        Args:
            classifier: On its device.
            layers: In any order; outputs are given in this order.
            dtype: What the network computes in; what it puts out is float32 in any case.
        """
        self.classifier = classifier
        self.layers = tuple(layers)
        self.dtype = dtype
        self._taps = [classifier.module.get_submodule(layer.name) for layer in layers]

    def logits(self, batch: torch.Tensor) -> torch.Tensor:
        """Run the network: float32 (N, C, H, W), normalised, to logits, float32 (N, classes)."""
        with self._precision(batch.device.type):
            return self.classifier.read_logits(self.classifier.module(batch)).float()

    def run(self, batch: torch.Tensor) -> ForwardPass:
        """Run the network and keep the layers' outputs.

        Args:
            batch: float32 (N, C, H, W), normalised.

        Raises:
            ModelError: if a layer did not run.
        """
        kept: dict[int, torch.Tensor] = {}

        def keep(index: int, output: torch.Tensor) -> torch.Tensor:
            if not kept:
                output = output.detach().float().requires_grad_()
                torch.set_grad_enabled(True)  # until the end of the no_grad block below
            kept[index] = output if output.dtype == torch.float32 else output.float()
            # A copy, for layers after this one that work in place: what is kept must stay as it is.
            return kept[index].clone()

        with self._hooked(keep), torch.no_grad():
            logits = self.logits(batch)
        missing = [layer.name for index, layer in enumerate(self.layers) if index not in kept]
        if missing:
            raise ModelError(
                f"layer {missing[0]!r} did not run for this input; choose another `target_layer`"
            )
        outputs = tuple(kept[index] for index in range(len(self.layers)))
        return ForwardPass(logits, outputs, (batch.shape[2], batch.shape[3]))

    def run_with_output(self, batch: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
        """Run the network with the first kept layer's output replaced.

        Args:
            batch: float32 (N, C, H, W).
            output: In the layer's own layout.

        Returns:
            float32 (N, classes), without a graph.
        """
        with self._hooked(lambda index, own: output.to(own.dtype) if index == 0 else own), torch.no_grad():
            return self.logits(batch)

    def _precision(self, device: str) -> contextlib.AbstractContextManager[object]:
        if self.dtype == torch.float32:
            return contextlib.nullcontext()
        # What autocast would keep of casts until it ends, a recording must not meet (backends/graphs.py).
        return torch.autocast(device, self.dtype, cache_enabled=False)

    @contextlib.contextmanager
    def _hooked(self, replace: Any) -> Iterator[None]:
        def hook_for(index: int) -> Any:
            return lambda _module, _inputs, output: replace(index, output)

        handles = [tap.register_forward_hook(hook_for(index)) for index, tap in enumerate(self._taps)]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


@contextlib.contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode and every part of it back as it was afterwards."""
    training = [part for part in module.modules() if part.training]
    for part in training:
        part.training = False
    try:
        yield
    finally:
        for part in training:
            part.training = True


def without_inference_tensors(classifier: Classifier) -> Classifier:
    """Return a classifier that gradients can pass through.

    Parameters made under inference mode can never take part in a graph: they are copied. A classifier that
    has none is returned as it is.
    """
    module = classifier.module
    stuck = [tensor for tensor in (*module.parameters(), *module.buffers()) if tensor.is_inference()]
    if not stuck:
        return classifier
    with torch.inference_mode(False):
        copies: dict[int, Any] = {}
        for tensor in stuck:
            copied = tensor.detach().clone()
            is_parameter = isinstance(tensor, nn.Parameter)
            copies[id(tensor)] = nn.Parameter(copied, requires_grad=False) if is_parameter else copied
        return dataclasses.replace(classifier, module=copy.deepcopy(module, copies))


_CAST = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
"""What autocast computes in reduced precision, and whose weights it would cast in every run. Just these
classes: what is derived from them may do more with its weights than multiply."""


def with_cast_weights(classifier: Classifier, dtype: torch.dtype) -> Classifier:
    """Return a classifier whose large weights are already what autocast would make of them, run after run.

    All else is shared with the one given; under autocast both compute the same, to the bit. A network that
    cannot be copied is returned as it is.
    """
    module = classifier.module
    cast = [part.get_parameter("weight") for part in module.modules() if type(part) in _CAST]
    reduced = {id(weight): nn.Parameter(weight.detach().to(dtype), requires_grad=False) for weight in cast}
    shared = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    try:
        copied = copy.deepcopy(module, {**shared, **reduced})
    except Exception:  # whatever a network holds that has no copies
        return classifier
    return dataclasses.replace(classifier, module=copied)
