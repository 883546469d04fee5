"""Runs of a network on a batch of pixels, and the maps that a method makes of them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from streamcam.explain.cancellation import Cancellation
from streamcam.explain.combined_maps import combine_layers, merge_pyramid
from streamcam.explain.hooks import ForwardPass, HookedNetwork, KnownGradients
from streamcam.explain.method_inputs import (
    VARIANTS_AT_ONCE,
    MethodInputs,
    differentiate_all,
    evaluate,
)
from streamcam.explain.methods import Method, method_call
from streamcam.explain.object_gradients import differentiate_objects
from streamcam.explain.objectives import Objective
from streamcam.explanations import (
    Instance,
)
from streamcam.frames import FloatArray
from streamcam.models import Output

if TYPE_CHECKING:
    from streamcam.explain.concepts import Concepts

MakeInputs = Callable[[], torch.Tensor]
"""Returns the network's input where a method asks for it: what `Model.prepare` makes."""


class BatchRun(Protocol):
    """A batch of N images that the network has been run on."""

    @property
    def scores(self) -> torch.Tensor:
        """float32 (N, classes), detached; overwritten by the next batch."""
        ...

    @property
    def probabilities(self) -> torch.Tensor | None:
        """As in `Output.probabilities`."""
        ...

    @property
    def instances(self) -> Sequence[Sequence[Instance]] | None:
        """The objects found in each image, as in `Output.instances`."""
        ...

    def maps(self, objectives: Sequence[Objective], map_maker: MapMaker | None = None) -> FloatArray:
        """Explain T objectives: float32 (T, N, h, w), raw (maybe negative, maybe not finite), to keep.

        Of a batch of clips (T, N, t, h, w), with t moments.

        Args:
            objectives: What is explained.
            map_maker: Another method, or other layers that were kept; those of the run if None.
        """
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class MapMaker:
    """Computes maps by one method."""

    network: HookedNetwork
    """The network that is explained."""
    method: Method
    options: Mapping[str, int | float]
    """The method's options."""
    prepare: Callable[[NDArray[np.uint8] | torch.Tensor], torch.Tensor]
    """Converts pixels, uint8 (N, H, W, 3) or clips (N, T, H, W, 3), to the network's input."""
    variants_at_once: int = VARIANTS_AT_ONCE
    """Number of changed images that go through the network at once."""
    layers: tuple[int, ...] | None = None
    """Which of the layers that the network keeps the maps are made of; None for all."""
    answer: Callable[[torch.Tensor], Output] | None = None
    """Runs the network on changed images, without a graph; None for the network itself."""
    concepts: Concepts | None = None
    """Those of the video, for methods that look for them."""
    cancellation: Cancellation = dataclasses.field(default_factory=Cancellation)
    """Asked between two runs of the network, by methods that run it often."""

    def run(self, pixels: NDArray[np.uint8], forward_pass: ForwardPass | None = None) -> EagerRun:
        """Run the network on a batch.

        Args:
            pixels: RGB, uint8 (N, H, W, 3), or clips (N, T, H, W, 3).
            forward_pass: The result, if the network has been run on them already.
        """
        inputs = functools.cache(lambda: self.prepare(pixels))
        if forward_pass is None:
            forward_pass = self.network.run(inputs())
        return EagerRun(self, inputs, pixels.shape[1:-1], forward_pass)

    def maps(
        self,
        inputs: MakeInputs,
        size: Sequence[int],
        forward_pass: ForwardPass,
        objectives: Sequence[Objective],
    ) -> torch.Tensor:
        """Compute the maps of T objectives on the network's device.

        Args:
            inputs: Makes the network's input.
            size: (H, W) of the input, or (T, H, W) of clips.
            forward_pass: Result of running the network.
            objectives: Objectives with their classes on the network's device; one for each concept, where
                the method looks for concepts.

        Returns:
            float32 (T, N, h, w), or of clips (T, N, t, h, w).
        """
        if self.concepts is not None:
            found = MethodInputs(
                self.network,
                inputs,
                forward_pass,
                0,
                objectives[0],
                concepts=self.concepts,
                batch_size=self.variants_at_once,
                cancellation=self.cancellation,
            )
            return method_call(self.method, found, self.options).detach().movedim(1, 0)
        if self.network.is_pyramid and "gradients" in self.method.needs and self.method.criterion is None:
            differentiate_objects(self.network, forward_pass, objectives)
        return torch.stack([self._map(inputs, size, forward_pass, objective) for objective in objectives])

    def _map(
        self, inputs: MakeInputs, size: Sequence[int], forward_pass: ForwardPass, objective: Objective
    ) -> torch.Tensor:
        layer_maps = []
        outputs = forward_pass.layer_outputs
        criterion = self.method.criterion

        def differentiate() -> Sequence[torch.Tensor | None]:
            for known in forward_pass.gradients:
                if known.criterion is criterion and known.objective.is_same(objective):
                    return known.values
            value = evaluate(objective, criterion, forward_pass.output).sum()
            gradients = differentiate_all(value, outputs)
            forward_pass.gradients.append(KnownGradients(objective, criterion, gradients))
            return gradients

        by_gradients = "gradients" in self.method.needs
        for index, layer_output in enumerate(outputs or (None,)):
            if self.layers is not None and index not in self.layers:
                continue
            method_inputs = MethodInputs(
                self.network,
                inputs,
                forward_pass,
                index,
                objective,
                criterion,
                self.variants_at_once,
                differentiate=differentiate if by_gradients else None,
                answer=self.answer,
                cancellation=self.cancellation,
            )
            if layer_output is None or not self.method.needs_layer:
                return method_call(self.method, method_inputs, self.options).detach()
            if self.network.is_pyramid and by_gradients and differentiate()[index] is None:
                values = layer_output.new_zeros((len(layer_output), *layer_output.shape[2:]))
            else:
                values = method_call(self.method, method_inputs, self.options).detach()
            if self.network.model.clip_length > 1:
                values = method_inputs.layout.moments_of(values, layer_output)
            layer_maps.append(values)
        if self.network.is_pyramid:
            return merge_pyramid(layer_maps)
        return combine_layers(layer_maps, self.method.combine, size)


@dataclasses.dataclass(frozen=True, slots=True)
class EagerRun:
    """A `BatchRun` whose every step torch is asked for one after another."""

    map_maker: MapMaker
    inputs: MakeInputs
    size: Sequence[int]
    """(H, W) of the network's input, or (T, H, W) of clips."""
    forward_pass: ForwardPass

    @property
    def scores(self) -> torch.Tensor:
        """As in `BatchRun`."""
        return self.forward_pass.scores.detach()

    @property
    def probabilities(self) -> torch.Tensor | None:
        """As in `BatchRun`."""
        return self.forward_pass.output.probabilities

    @property
    def instances(self) -> Sequence[Sequence[Instance]] | None:
        """As in `BatchRun`."""
        return self.forward_pass.output.instances

    def maps(self, objectives: Sequence[Objective], map_maker: MapMaker | None = None) -> FloatArray:
        """As in `BatchRun`."""
        on_device = [objective.on(self.scores.device) for objective in objectives]
        if not on_device:  # each object is explained, and there is none
            return np.zeros((0, len(self.scores), 1, 1), np.float32)
        maps = (map_maker or self.map_maker).maps(self.inputs, self.size, self.forward_pass, on_device)
        array: FloatArray = maps.cpu().numpy()
        return array
