"""One batch on its way: the network has been run, and maps are to be made of what that left behind."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from streamcam.explain.hooks import ForwardPass, HookedNetwork
from streamcam.explain.maps import combine_layers
from streamcam.explain.method_inputs import MethodInputs
from streamcam.explain.methods import Method, method_call
from streamcam.explain.objectives import Objective
from streamcam.frames import FloatArray

Inputs = Callable[[], torch.Tensor]
"""Makes the network's input where a method asks for it, float32 (N, C, H, W), normalised."""


class Run(Protocol):
    """A batch of N images that the network has seen."""

    @property
    def logits(self) -> torch.Tensor:
        """float32 (N, classes), detached; what it says may change with the next batch."""
        ...

    def maps(self, objectives: Sequence[Objective]) -> FloatArray:
        """Explain T objectives: float32 (T, N, h, w), raw (perhaps negative, perhaps not finite), to keep."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Mapper:
    """Makes maps by one method."""

    network: HookedNetwork
    """What is explained."""
    method: Method
    options: Mapping[str, int | float]
    """The method's own."""
    normalise: Callable[[NDArray[np.uint8] | torch.Tensor], torch.Tensor]
    """Makes pixels, uint8 (N, H, W, 3), the network's input."""

    def run(self, pixels: NDArray[np.uint8], forward_pass: ForwardPass | None = None) -> DirectRun:
        """Begin a batch.

        Args:
            pixels: RGB, uint8 (N, H, W, 3).
            forward_pass: What the network made of them, if that has been done elsewhere.
        """
        inputs = functools.cache(lambda: self.normalise(pixels))
        if forward_pass is None:
            forward_pass = self.network.run(inputs())
        return DirectRun(self, inputs, pixels.shape[1:3], forward_pass)

    def maps(
        self, inputs: Inputs, size: Sequence[int], forward_pass: ForwardPass, objectives: Sequence[Objective]
    ) -> torch.Tensor:
        """Compute the maps of T objectives, where the network is.

        Args:
            inputs: Makes the network's input.
            size: Its (H, W).
            forward_pass: What came of it.
            objectives: With their classes where the network is.

        Returns:
            float32 (T, N, h, w).
        """
        return torch.stack([self._map(inputs, size, forward_pass, objective) for objective in objectives])

    def _map(
        self, inputs: Inputs, size: Sequence[int], forward_pass: ForwardPass, objective: Objective
    ) -> torch.Tensor:
        layer_maps = []
        for index in range(len(self.network.layers)):
            evidence = MethodInputs(
                self.network, inputs, forward_pass, index, objective, self.method.criterion
            )
            layer_maps.append(method_call(self.method, evidence, self.options).detach())
        return combine_layers(layer_maps, self.method.combine, size)


@dataclasses.dataclass(frozen=True, slots=True)
class DirectRun:
    """A batch whose every step is ordered as it comes."""

    mapper: Mapper
    inputs: Inputs
    size: Sequence[int]
    """(H, W) of the network's input."""
    forward_pass: ForwardPass

    @property
    def logits(self) -> torch.Tensor:
        """As in `Run`."""
        return self.forward_pass.logits.detach()

    def maps(self, objectives: Sequence[Objective]) -> FloatArray:
        """As in `Run`."""
        there = [objective.on(self.logits.device) for objective in objectives]
        maps: FloatArray = self.mapper.maps(self.inputs, self.size, self.forward_pass, there).cpu().numpy()
        return maps
