"""Run a network with the outputs of some layers kept, so that gradients cost only what comes after.

Everything before the first kept layer runs without a graph; autograd starts at that layer's output and
ends at the scores. No parameter, flag, buffer or hook of the network is changed by it.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from streamcam.errors import ModelError
from streamcam.models import Layer, Model, Output
from streamcam.models.autograd import ForcedGradMode
from streamcam.models.compiled import running_eagerly

if TYPE_CHECKING:
    from streamcam.explain.method_inputs import Criterion
    from streamcam.explain.objectives import Objective


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class KnownGradients:
    """The gradients of one objective."""

    objective: Objective
    criterion: Criterion | None
    """The criterion that was differentiated; None for the objective itself."""
    values: Sequence[torch.Tensor | None]
    """Gradient with respect to each kept layer's output; None where none reaches it."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class ForwardPass:
    """The result of running a network, with the outputs of some layers kept."""

    output: Output
    """The network's answer, scores in float32."""
    layer_outputs: tuple[torch.Tensor, ...]
    """Output of each kept layer, in its own layout, float32; the scores depend on them, unless no gradient
    reaches them."""
    size: tuple[int, int]
    """(height, width) of the network's input."""
    gradients: list[KnownGradients] = dataclasses.field(default_factory=list)
    """The gradients computed so far, for all methods that ask for them."""

    @property
    def scores(self) -> torch.Tensor:
        """float32 (N, classes)."""
        return self.output.scores


class _GradientsOffError(Exception):
    """The network is in inference mode where gradients begin."""


class HookedNetwork:
    """A network that keeps the outputs of some layers when it runs."""

    def __init__(self, model: Model, layers: Sequence[Layer], dtype: torch.dtype = torch.float32) -> None:
        """Choose the layers to keep.

        Args:
            model: The model, on its device.
            layers: Layers in any order; their outputs are kept in this order; methods may need none.
            dtype: Number format of the network; what it returns is float32 in any case.
        """
        self.model = model
        self.layers = tuple(layers)
        self.dtype = dtype
        self.is_pyramid = {layer.name for layer in layers} <= set(model.pyramid)
        self._forces_gradients = False
        self._modules = [model.module.get_submodule(layer.call[0]) for layer in layers]

    def forward(self, batch: torch.Tensor) -> Output:
        """Run the network without keeping anything, with gradients throughout if they are enabled.

        Args:
            batch: What `Model.prepare` returned.
        """
        differentiates = torch.is_grad_enabled()
        forced = ForcedGradMode(enabled=True) if differentiates else contextlib.nullcontext()
        with self.precision(batch.device.type), forced:
            return with_float_scores(self.model.forward(batch))

    def run(self, batch: torch.Tensor) -> ForwardPass:
        """Run the network and keep the layers' outputs.

        Args:
            batch: What `Model.prepare` returned.

        Raises:
            ModelError: if a layer did not run.
        """
        if not self.layers:
            with torch.no_grad():
                return ForwardPass(self.forward(batch), (), (batch.shape[-2], batch.shape[-1]))
        forward_pass = None if self._forces_gradients else self._run(batch, None)
        if forward_pass is None:
            self._forces_gradients = True
            forward_pass = self._run(batch, ForcedGradMode(enabled=False))
            assert forward_pass is not None
        return forward_pass

    def _run(self, batch: torch.Tensor, forced: ForcedGradMode | None) -> ForwardPass | None:
        """Run the network; None where it turned off the gradients that lead to the layers."""
        kept: dict[int, torch.Tensor] = {}

        def keep(index: int, output: torch.Tensor) -> torch.Tensor:
            if not kept:
                if forced is not None:
                    forced.enabled = True
                elif torch.is_inference_mode_enabled():
                    raise _GradientsOffError
                output = output.detach().float().requires_grad_()
                torch.set_grad_enabled(True)  # until the end of the no_grad block below
            elif self.is_pyramid:  # none of them depends on another
                output = output.detach().float().requires_grad_()
            kept[index] = output if output.dtype == torch.float32 else output.float()
            # A copy, for layers after this one that work in place: what is kept must stay as it is.
            return kept[index].clone()

        try:
            with self._hooked(keep), torch.no_grad(), forced or contextlib.nullcontext():
                output = self.forward(batch)
        except _GradientsOffError:
            return None
        missing = [layer.name for index, layer in enumerate(self.layers) if index not in kept]
        if missing:
            raise ModelError(
                f"layer {missing[0]!r} did not run for this input; choose another `target_layer`"
            )
        layer_outputs = tuple(kept[index] for index in range(len(self.layers)))
        if forced is None and not all(values.requires_grad for values in (output.scores, *layer_outputs)):
            return None
        return ForwardPass(output, layer_outputs, (batch.shape[-2], batch.shape[-1]))

    def run_with_output(self, batch: torch.Tensor, output: torch.Tensor) -> Output:
        """Run the network with the first kept layer's output replaced.

        Args:
            batch: float32 (N, C, H, W).
            output: The replacement, in the layer's own layout.

        Returns:
            The network's answer, without a graph.
        """
        with self._hooked(lambda index, own: output.to(own.dtype) if index == 0 else own), torch.no_grad():
            return self.forward(batch)

    def precision(self, device: str) -> contextlib.AbstractContextManager[object]:
        """Return a context in which the network's layers compute in its number format."""
        if self.dtype == torch.float32:
            return contextlib.nullcontext()
        # Casts that autocast caches must not end up in a captured CUDA graph (backends/cuda_graphs.py).
        return torch.autocast(device, self.dtype, cache_enabled=False)

    @contextlib.contextmanager
    def _hooked(self, replace: Any) -> Iterator[None]:
        """Replace the layers' outputs in one run of the network."""

        def hook_for(index: int) -> Any:
            calls, (_, chosen) = itertools.count(1), self.layers[index].call

            def hook(_module: nn.Module, _inputs: object, output: Any) -> Any:
                return replace(index, output) if next(calls) == chosen else None

            return hook

        handles = [
            module.register_forward_hook(hook_for(index)) for index, module in enumerate(self._modules)
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def with_float_scores(output: Output) -> Output:
    """Return a network's answer with its scores in float32."""
    if output.scores.dtype == torch.float32:
        return output
    return dataclasses.replace(output, scores=output.scores.float())


@contextlib.contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode, uncompiled, and every part of it back as it was afterwards."""
    training = [part for part in module.modules() if part.training]
    for part in training:
        part.training = False
    try:
        with running_eagerly(module):
            yield
    finally:
        for part in training:
            part.training = True


def plain_attention() -> contextlib.AbstractContextManager[None]:
    """Compute attention by plain matrix products while inside: fused kernels have no second derivative."""
    return sdpa_kernel(SDPBackend.MATH)


def without_inference_tensors(model: Model) -> Model:
    """Return a model that gradients can pass through.

    Parameters made under inference mode can never take part in a graph: they are copied. A model that has
    none is returned as it is.
    """
    module = model.module
    stuck = [tensor for tensor in (*module.parameters(), *module.buffers()) if tensor.is_inference()]
    if not stuck:
        return model
    with torch.inference_mode(False):
        copies: dict[int, Any] = {}
        for tensor in stuck:
            copied = tensor.detach().clone()
            is_parameter = isinstance(tensor, nn.Parameter)
            copies[id(tensor)] = nn.Parameter(copied, requires_grad=False) if is_parameter else copied
        return model.with_module(copy.deepcopy(module, copies))


_CAST = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
"""Layers that autocast computes in reduced precision, casting their weights in every run. Exactly these
classes: a subclass may do more with its weights than multiply."""


def with_cast_weights(model: Model, dtype: torch.dtype) -> Model:
    """Return a model whose large weights are already cast to what autocast would cast them to in every run.

    All else is shared with the original; under autocast both compute the same, to the bit. A network that
    cannot be copied is returned as it is.
    """
    module = model.module
    cast = [part.get_parameter("weight") for part in module.modules() if type(part) in _CAST]
    reduced = {id(weight): nn.Parameter(weight.detach().to(dtype), requires_grad=False) for weight in cast}
    shared = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    try:
        copied = copy.deepcopy(module, {**shared, **reduced})
    except Exception:  # whatever a network holds that has no copies
        return model
    return model.with_module(copied)
