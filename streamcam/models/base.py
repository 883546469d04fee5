"""The model seam: what every network offers, whatever it answers, and what it takes in."""

from __future__ import annotations

import abc
import copy
import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Self

import torch
from torch import nn

from streamcam.errors import InvalidArgumentError
from streamcam.explanations import Instance
from streamcam.frames import Frame
from streamcam.models.compiled import uncompiled
from streamcam.models.float32 import copy_of, is_float32, to_float32
from streamcam.models.kinds import Kind
from streamcam.models.labels import find_class


@dataclasses.dataclass(frozen=True, slots=True)
class InputSpec:
    """Size and scale of a network's input."""

    size: int | tuple[int, int] = 224
    """Side of the square that it was evaluated on, or (width, height), in pixels."""
    resize: int = 256
    """Short side of the image from which that was cut, in pixels."""
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    """Mean of each channel, on a scale of 0 to 1: three for RGB, one for gray."""
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    """Standard deviation of each channel, on a scale of 0 to 1."""
    dtype: torch.dtype = torch.float32
    """float32, or a type of whole numbers, as uint8, for networks that take pixels from 0 to 255."""

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or len(self.mean) not in (1, 3):
            raise ValueError(
                "mean and std have three values each (RGB) or one (gray), "
                f"not {len(self.mean)} and {len(self.std)}"
            )
        if max(self.mean) > 1 or max(self.std) > 1:
            raise ValueError("mean and std are on a scale of 0 to 1: divide those of 0 to 255 by 255")
        if min(self.std) <= 0:
            raise ValueError(f"standard deviations are above 0, not {min(self.std)}")

    @property
    def sides(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size

    @property
    def channels(self) -> int:
        """3 for RGB, 1 for gray."""
        return len(self.mean)

    def normalize(self, batch: torch.Tensor) -> torch.Tensor:
        """Scale pixels by mean and standard deviation.

        Args:
            batch: RGB images, uint8 (N, 3, H, W), or clips, uint8 (N, 3, T, H, W).

        Returns:
            float32 (N, channels, H, W) or (N, channels, T, H, W).
        """
        pixels = batch.float()
        luma, mean, std = _scales(self, batch.device, batch.ndim)
        if self.channels == 1:
            pixels = torch.einsum("c,nc...->n...", luma, pixels).unsqueeze(1)
        return pixels.sub_(mean).div_(std)

    def as_taken(self, inputs: torch.Tensor) -> torch.Tensor:
        """Convert normalized images to the network's type: to pixels again, where it takes whole numbers.

        Args:
            inputs: What `normalize` returned, perhaps changed by a method.
        """
        if self.dtype.is_floating_point:
            return inputs
        _, mean, std = _scales(self, inputs.device, inputs.ndim)
        return (inputs * std).add_(mean).round_().clamp_(0, 255).to(self.dtype)


@functools.lru_cache(maxsize=16)
def _scales(
    spec: InputSpec, device: torch.device, ndim: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the weights of RGB in gray, the means and the standard deviations, shaped for a batch.

    They stay on their device: copying them there for every batch would wait for it.
    """
    with torch.inference_mode(False):
        luma = torch.tensor([0.299, 0.587, 0.114])  # as in ITU-R BT.601, which PIL's "L" uses too
        shape = (1, -1, *[1] * (ndim - 2))
        mean, std = (torch.tensor(values).mul_(255).view(shape) for values in (spec.mean, spec.std))
        return luma.to(device), mean.to(device), std.to(device)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class SeparateScores:
    """Scores of a few objects that share no features: one backward pass differentiates them all."""

    members: Sequence[int]
    """K indices among the objects that were asked for."""
    features: Sequence[torch.Tensor]
    """K tensors: what each object's scores are computed from, and no other's."""
    scores: torch.Tensor
    """float32 (K, classes), differentiable."""


Separate = Callable[[Sequence[int], int], Sequence[SeparateScores] | None]
"""Computes scores of objects again, each from features of its own, given their indices and the number of
backward passes that would be taken otherwise; None where these are quicker."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Output:
    """A network's answer for a batch of N frames or clips."""

    scores: torch.Tensor
    """float32 (N, classes), differentiable. How much of each class there is, on the network's own scale."""
    instances: Sequence[Sequence[Instance]] | None = None
    """The objects found in each frame, boxes as fractions of the network's input; None if it finds none."""
    raw: object = None
    """The network's own answer, for custom targets that need more than scores."""
    probabilities: torch.Tensor | None = None
    """(N, classes), 0 to 1, where they do not follow from the scores; see `Model.probabilities`."""
    instance_scores: Sequence[torch.Tensor] | None = None
    """For each frame float32 (its instances, classes), differentiable, in the order of its instances: how
    much each object is of each class, on the scale of `scores`. None if it cannot tell them apart."""
    separate_scores: Sequence[Separate] | None = None
    """For each frame what computes `instance_scores` from features of each instance's own, where the network
    can do that."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Model(abc.ABC):
    """A network in evaluation mode, with what is needed to feed it and to read its answer.

    A kind of model defines `read`, and `probabilities` unless its scores are logits of exclusive classes.
    """

    name: str
    module: nn.Module
    """Takes (N, channels, H, W), clips (N, channels, T, H, W), in the type of its `input`."""
    labels: tuple[str, ...]
    """Name of each class, in the order of the scores."""
    input: InputSpec
    weights: str
    """Where the weights came from, for reports: a name, a file or ``none``."""
    notes: tuple[str, ...] = dataclasses.field(default=(), kw_only=True)
    """Sentences about how it was loaded, for the user."""

    @property
    def clip_length(self) -> int:
        """Number of consecutive frames in an input; 1 for networks that take single images."""
        return 1

    @property
    def finds_objects(self) -> bool:
        """Whether every answer has `Output.instances` and `Output.instance_scores`."""
        return False

    @property
    def may_find_objects(self) -> bool:
        """Whether an answer can have `Output.instances`."""
        return True

    @property
    def certain_score(self) -> float:
        """Score from which an object is reported; one below continues an object that is tracked already."""
        return 0.0

    @property
    def kind(self) -> Kind:
        """Kind of network, for refusals of what is for other kinds."""
        if self.finds_objects:
            return "detector"
        if self.clip_length > 1:
            return "clips"
        return "prompts" if self.takes_prompts else "classifier"

    @property
    def pyramid(self) -> tuple[str, ...]:
        """Names of the layers that each hold objects of another size, finest first; often none."""
        return ()

    @property
    def auto_layer(self) -> str:
        """Dotted name of the layer that is explained by default; ``auto`` for the last one with a grid."""
        return "auto"

    @property
    def answers_values(self) -> bool:
        """Whether scores are numbers to show as they are, as a regressor's, instead of classes."""
        return False

    @property
    def takes_prompts(self) -> bool:
        """Whether classes are texts that can be replaced, by `with_prompts`."""
        return False

    def with_prompts(self, prompts: Sequence[str]) -> Self:
        """Return the same model with other texts as its classes; the network is shared.

        Args:
            prompts: At least one text.

        Raises:
            InvalidArgumentError: if it takes none, or one is empty or there twice.
        """
        raise InvalidArgumentError(
            f"{self.name} has classes of its own, so it takes no prompts like {prompts[0]!r}"
        )

    @property
    def no_gradients(self) -> str | None:
        """Why its network has no gradients, as the subject of a sentence; None where it has."""
        reason: str | None = getattr(self.module, "no_gradients", None)
        return reason

    @property
    def shows_scores(self) -> bool:
        """Whether scores are shown beside probabilities, as similarities are."""
        return False

    @property
    def clip_fps(self) -> float:
        """How many frames of a second a clip holds; of no concern to networks that take single images."""
        return 15.0

    @property
    def images_at_once(self) -> int:
        """Number of images that make one input: the frame, and one of each source beside its own."""
        return 1

    def companions(self, frames: Sequence[Frame]) -> Sequence[Frame]:  # noqa: ARG002 - for kinds of models
        """Return the frames of a second source at the moments of frames; none if it takes no such."""
        return ()

    def prepare(self, pixels: torch.Tensor) -> torch.Tensor:
        """Convert pixels to the network's input.

        Args:
            pixels: RGB, uint8 (N, 3, H, W), or (N, 3, T, H, W) for clips; with companions (N, 6, H, W).

        Returns:
            float32 of the same shape, with `input.channels` channels.
        """
        return self.input.normalize(pixels)

    def forward(self, inputs: torch.Tensor) -> Output:
        """Run the network.

        Args:
            inputs: What `prepare` returned, on the network's device.
        """
        return self.read(self.answer(inputs))

    def answer(self, inputs: torch.Tensor) -> object:
        """Run the network, and return what it does.

        Args:
            inputs: As for `forward`.
        """
        answer: object = self.module(self.input.as_taken(inputs))
        return answer

    @abc.abstractmethod
    def read(self, answer: object) -> Output:
        """Convert what `module` returned to scores and instances.

        Raises:
            ModelError: if the answer is not what this kind of model returns.
        """

    def probabilities(self, scores: torch.Tensor) -> torch.Tensor:
        """Convert scores (N, classes) to probabilities (N, classes), 0 to 1."""
        return scores.softmax(dim=1)

    def adapt(
        self,
        answer: object,  # noqa: ARG002 - for kinds of models
        run_with_graph: Callable[[], object] | None = None,  # noqa: ARG002
    ) -> tuple[Self, str | None]:
        """Adapt to what the network returned for a trial image.

        Args:
            answer: What `module` returned.
            run_with_graph: Runs the network on the image again, and returns its answer with the graph that
                autograd recorded, or None where it has none.

        Returns:
            The model that reads such answers right, mostly this one, and what the user should know about it.
        """
        return self, None

    def identity(self) -> dict[str, object]:
        """Return the settings that its answers depend on, besides weights and input, as plain values."""
        return {}

    def with_module(self, module: nn.Module) -> Self:
        """Return the same model around another network of the same kind."""
        return self._changed(module=module)

    def uncompiled(self) -> Self:
        """Return the same model around the network that `torch.compile` was given, if it was."""
        module = uncompiled(self.module)
        return self if module is self.module else self.with_module(module)

    def in_float32(self) -> Self:
        """Return the same model with a network in float32: this one, or one around a converted copy."""
        if is_float32(self.module):
            return self
        converted = to_float32(copy_of(self.module), lambda module: self.with_module(module)._try())
        return self.with_module(converted)

    def _try(self) -> None:
        """Run the network on a black image or clip."""
        width, height = self.input.sides
        moments = (self.clip_length,) if self.clip_length > 1 else ()
        pixels = torch.zeros(1, 3 * self.images_at_once, *moments, height, width, dtype=torch.uint8)
        parameter = next(self.module.parameters(), None)
        self.forward(self.prepare(pixels if parameter is None else pixels.to(parameter.device)))

    def renamed(self, name: str, *, labels: tuple[str, ...], weights: str, notes: tuple[str, ...]) -> Self:
        """Return the same model under another name, with other labels, origin of its weights and notes."""
        return self._changed(name=name, labels=labels, weights=weights, notes=notes)

    def _changed(self, **fields: object) -> Self:
        other = copy.copy(self)
        for field, value in fields.items():
            object.__setattr__(other, field, value)
        return other

    def __repr__(self) -> str:
        width, height = self.input.sides
        clips = f", clips of {self.clip_length} frames" if self.clip_length > 1 else ""
        return (
            f"{type(self).__name__}({self.name!r}, {len(self.labels)} classes, "
            f"input {width}x{height}{clips}, weights {self.weights!r})"
        )

    def class_index(self, name: int | str) -> int:
        """Find a class by its index or by its name; a text that is a label is that label, even if a number.

        Names are compared without regard to case: the whole label first, then any label that contains the
        name, if there is just one.

        Raises:
            UnknownNameError: if no class matches, or several do; the message lists the nearest.
        """
        return find_class(name, self.labels, self.name)
