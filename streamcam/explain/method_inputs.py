"""The inputs of methods, computed when a method asks for them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import torch

from streamcam.errors import ModelError
from streamcam.explain.cancellation import Cancellation
from streamcam.explain.hooks import ForwardPass, HookedNetwork
from streamcam.explain.objectives import Objective
from streamcam.explain.scorers import ImageScorer, Scorer, rows_of, stacked
from streamcam.models import Output
from streamcam.models.layouts import Layout

if TYPE_CHECKING:
    from streamcam.explain.concepts import Concepts

Criterion = Callable[[Objective, Output], torch.Tensor]
"""(objective, output of N images) → (N,): what is differentiated instead of the objective itself."""


VARIANTS_AT_ONCE = 16
"""Number of changed images that go through a network at once."""


_HAS_NO_SECOND_DERIVATIVE = ("not supported", "not implemented", "differentiate twice")
"""Words of torch on operations that can be differentiated only once."""


class MethodInputs:
    """The inputs of a method for one layer, one batch and one objective. A method's parameters name them."""

    def __init__(
        self,
        network: HookedNetwork,
        inputs: torch.Tensor | Callable[[], torch.Tensor],
        forward_pass: ForwardPass,
        index: int,
        objective: Objective,
        criterion: Criterion | None = None,
        batch_size: int = VARIANTS_AT_ONCE,
        differentiate: Callable[[], Sequence[torch.Tensor | None]] | None = None,
        answer: Callable[[torch.Tensor], Output] | None = None,
        concepts: Concepts | None = None,
        cancellation: Cancellation | None = None,
    ) -> None:
        """Choose the layer and the objective.

        Args:
            network: The network that was run.
            inputs: Its input, float32 (N, C, H, W), or a function that makes it when a method asks for it.
            forward_pass: Result of the run.
            index: Index of the layer among the network's kept layers.
            objective: What the map explains.
            criterion: What is differentiated; the objective itself if None.
            batch_size: Number of images that go through the network at once.
            differentiate: Returns the gradients with respect to every kept layer, where they are shared
                by the maps of several: see `differentiate_all`.
            answer: Runs the network on changed images, without a graph; the network itself if None.
            concepts: Of the video, for methods that look for them.
            cancellation: Asked between two runs of the network.
        """
        self._concepts = concepts
        self._cancellation = cancellation
        self._inputs = inputs
        self._differentiate_all = differentiate
        self._network = network
        self._forward_pass = forward_pass
        self._index = index
        self._objective = objective
        self._criterion = criterion
        self._batch_size = batch_size
        self._answer = answer

    @functools.cached_property
    def inputs(self) -> torch.Tensor:
        """The network's input, float32 (N, C, H, W), normalized."""
        return self._inputs() if callable(self._inputs) else self._inputs

    @property
    def layout(self) -> Layout:
        """How the layer's output lies on the image."""
        layout = self._network.layers[self._index].layout
        assert layout is not None
        return layout

    @functools.cached_property
    def activations(self) -> torch.Tensor:
        """The layer's output, float32 (N, K, h, w), detached; of clips as `Layout.fold` says."""
        return self._folded(self._output.detach())

    @functools.cached_property
    def basis(self) -> torch.Tensor:
        """The concepts of the video, float32 (C, K), not negative."""
        assert self._concepts is not None
        return self._concepts.basis_for(self.activations, self.scorer.answer_activations)

    @functools.cached_property
    def gradients(self) -> torch.Tensor:
        """Gradients of the objective with respect to the activations, of their shape."""
        if self._differentiate_all is not None:
            return self._folded(self._reached(self._differentiate_all()[self._index]))
        return self._folded(self._reached(self._differentiate(self._value().sum(), retain_graph=True)))

    @functools.cached_property
    def curvature(self) -> torch.Tensor:
        """The Hessian of the objective times the activations, of their shape."""
        gradients = self._reached(self._differentiate(self._value().sum(), create_graph=True))
        if not gradients.requires_grad:  # a head that is linear has no curvature
            return torch.zeros_like(self.activations)
        try:
            product = self._differentiate((gradients * self._output.detach()).sum(), retain_graph=True)
        except RuntimeError as error:  # as of roi_align; no class tells it from others
            if not any(words in str(error) for words in _HAS_NO_SECOND_DERIVATIVE):
                raise
            raise ModelError(
                f"a part of {self._network.model.name} has no second derivative ({error}); set `method` to "
                "gradcam or hirescam, which need none"
            ) from error
        return torch.zeros_like(self.activations) if product is None else self._folded(product)

    @functools.cached_property
    def image_scorer(self) -> ImageScorer:
        """Scores changed images; needs no layer."""
        plain = HookedNetwork(self._network.model, (), self._network.dtype)
        return ImageScorer(
            plain, self.inputs, self.objective, self._batch_size, self._answer, self._cancellation
        )

    @functools.cached_property
    def scorer(self) -> Scorer:
        """Scores changed images and changed activations."""
        return Scorer(
            self._alone,
            self.inputs,
            self._output.detach(),
            self.layout,
            self.objective,
            self._batch_size,
            self._cancellation,
        )

    @functools.cached_property
    def gradient_scorer(self) -> GradientScorer:
        """Differentiates the objective for changed images."""
        return GradientScorer(
            self._alone, self.inputs, self.objective, self._batch_size, cancellation=self._cancellation
        )

    @functools.cached_property
    def network(self) -> HookedNetwork:
        """The network itself, for methods that follow gradients to its input."""
        return self._network

    @functools.cached_property
    def objective(self) -> Objective:
        """The objective that the map explains."""
        return self._objective.by_class()

    @functools.cached_property
    def _alone(self) -> HookedNetwork:
        """The network with this layer as the only one that is kept."""
        return HookedNetwork(self._network.model, [self._network.layers[self._index]], self._network.dtype)

    def _folded(self, values: torch.Tensor) -> torch.Tensor:
        return self.layout.fold(values, self._forward_pass.size)

    @property
    def _output(self) -> torch.Tensor:
        return self._forward_pass.layer_outputs[self._index]

    def _value(self) -> torch.Tensor:
        return evaluate(self._objective, self._criterion, self._forward_pass.output)

    def _differentiate(
        self, value: torch.Tensor, *, retain_graph: bool = False, create_graph: bool = False
    ) -> torch.Tensor | None:
        """Return the gradients with respect to the layer's output; None where the value has no path to it."""
        if not (value.requires_grad and self._output.requires_grad):
            return None
        (gradient,) = torch.autograd.grad(
            value,
            self._output,
            retain_graph=retain_graph or create_graph,
            create_graph=create_graph,
            allow_unused=True,
        )
        return gradient

    def _reached(self, gradient: torch.Tensor | None) -> torch.Tensor:
        if gradient is None and self._objective.is_of_nothing:
            return torch.zeros_like(self._output)
        if gradient is None:
            name = self._network.layers[self._index].name
            raise ModelError(
                f"no gradient reaches layer {name!r} from the score: something behind it has none, as "
                "quantized layers, argmax or detach(); use `method='ablationcam'` or `method='occlusion'`, "
                "or a `target_layer` behind that"
            )
        return gradient


def evaluate(objective: Objective, criterion: Criterion | None, output: Output) -> torch.Tensor:
    """Return what is differentiated for each image, (N,)."""
    return objective(output) if criterion is None else criterion(objective, output)


def differentiate_all(value: torch.Tensor, layers: Sequence[torch.Tensor]) -> list[torch.Tensor | None]:
    """Return the gradients of a number with respect to several layers' outputs; None where it has no path.

    Args:
        value: The number, ().
        layers: The layers' outputs.
    """
    if not value.requires_grad:
        return [None] * len(layers)
    return list(torch.autograd.grad(value, layers, retain_graph=True, allow_unused=True))


class GradientScorer(ImageScorer):
    """Differentiates the objective for changed images with respect to the layer, a few at a time."""

    def gradients(self, variants: Iterator[torch.Tensor], row: int) -> Iterator[torch.Tensor]:
        """Differentiate the objective for changed versions of one image.

        Args:
            variants: Float32 (C, H, W) each.
            row: Index of the image in the batch.

        Yields:
            Of a few variants at a time, the gradients with respect to their own activations, float32
            (V, K, h, w).
        """
        for batch in stacked(variants, self._batch_size):
            self._cancellation.check()
            classes = self._objective.classes[rows_of(row, batch)]
            objective = dataclasses.replace(self._objective, classes=classes)
            yield MethodInputs(self._network, batch, self._network.run(batch), 0, objective).gradients
