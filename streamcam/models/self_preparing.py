"""Classifiers whose networks make their own input of pixels: of other channels, or of a second source too."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from streamcam.errors import ModelError, map_errors
from streamcam.frames import Frame
from streamcam.models.classifier import Classifier
from streamcam.models.refusals import in_words
from streamcam.models.refused_answers import describe


def prepares_itself(module: nn.Module) -> bool:
    """Return whether a network has a method ``prepare``, which makes its input of pixels."""
    return callable(getattr(module, "prepare", None))


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class SelfPreparingClassifier(Classifier):
    """A classifier whose network has two more methods, the second of which it may lack.

    ``prepare(pixels)`` gets RGB images, uint8 (N, 3, H, W), and returns the network's input, float32
    (N, C, H, W). ``companions(frames)`` gets N `Frame`s and returns as many of a second source, at the same
    moments; ``prepare`` then gets (N, 6, H, W), those of the second source behind the frame's own.
    """

    @property
    def images_at_once(self) -> int:
        """As in `Model`."""
        return 2 if callable(getattr(self.module, "companions", None)) else 1

    def prepare(self, pixels: torch.Tensor) -> torch.Tensor:
        """Let the network make its input.

        Raises:
            ModelError: if it fails, or makes something else.
        """
        network: Any = self.module
        inputs = self._call("prepare", lambda: network.prepare(pixels))
        is_input = isinstance(inputs, torch.Tensor) and inputs.is_floating_point() and inputs.ndim == 4
        if not is_input or len(inputs) != len(pixels):
            raise ModelError(
                f"prepare() of {self.name} returned {describe(inputs)} for pixels {tuple(pixels.shape)}; "
                "return the network's input, float32 (N, C, H, W)"
            )
        made: torch.Tensor = inputs.float()
        return made

    def companions(self, frames: Sequence[Frame]) -> Sequence[Frame]:
        """Let the network fetch the frames of a second source.

        Raises:
            ModelError: if it fails, or returns something else.
        """
        network: Any = self.module
        found: list[Frame] = self._call("companions", lambda: list(network.companions(frames)))
        if len(found) != len(frames) or not all(isinstance(frame, Frame) for frame in found):
            raise ModelError(
                f"companions() of {self.name} returned {len(found)} things for {len(frames)} frames; return "
                "one frame for each, as streamcam.sources.FramesInStep finds them"
            )
        return found

    def _call(self, method: str, call: Any) -> Any:
        with map_errors(
            Exception, to=lambda error: ModelError(f"{method}() of {self.name} failed: {in_words(error)}")
        ):
            return call()
