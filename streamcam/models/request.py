"""A request for a model, and the steps of loading that all families share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import nn

from streamcam.errors import InvalidArgumentError, ModelError
from streamcam.models.base import InputSpec
from streamcam.models.classifier import VALUE_LABELS, Activation, Classifier
from streamcam.models.labels import imagenet_labels, numbered_labels
from streamcam.models.weights import StateDict, load_into, match_prefix

DEFAULT_WEIGHTS = "default"
NO_WEIGHTS = "none"

IMAGENET_CLASSES = 1000


@dataclasses.dataclass(frozen=True, slots=True)
class ModelRequest:
    """The arguments of `streamcam.load_model`; None leaves a choice to the family."""

    name: str
    weights: str | Path = DEFAULT_WEIGHTS
    """``"default"`` for the published ones, ``"none"`` for an untrained network, or a file."""
    labels: tuple[str, ...] | None = None
    input_size: int | tuple[int, ...] | None = None
    """See `InputSpec.size`."""
    mean: tuple[float, ...] | None = None
    """See `InputSpec`."""
    std: tuple[float, ...] | None = None
    """See `InputSpec`."""
    logits_key: str | int | None = None
    """See `Classifier`."""
    activation: Activation | None = None
    """See `Classifier`."""
    any_shape: bool = False
    """Whether to build it for frames of any shape, where its family can."""

    @property
    def weights_file(self) -> Path | None:
        """The file of weights, if there is one."""
        return None if self.weights in (DEFAULT_WEIGHTS, NO_WEIGHTS) else Path(self.weights)

    @property
    def untrained_classes(self) -> int:
        """Number of classes of an untrained network: that of the labels, or ImageNet's."""
        return IMAGENET_CLASSES if self.labels is None else len(self.labels)

    def input_spec(self, published: InputSpec) -> InputSpec:
        """Apply what was requested to the input that a network was published with.

        Raises:
            InvalidArgumentError: if there is no such input.
        """
        requested = published.size if self.input_size is None else self.input_size
        sides = (requested, requested) if isinstance(requested, int) else requested
        if len(sides) != 2 or min(sides) < 1:
            raise InvalidArgumentError(
                f"the input size is a number of pixels from 1, or a width and a height, not {requested}"
            )
        size = sides[0] if sides[0] == sides[1] else (sides[0], sides[1])
        mean = published.mean if self.mean is None else self.mean
        std = published.std if self.std is None else self.std
        try:
            # The margin around the center crop is kept in proportion.
            margin = published.resize / min(published.sides)
            return InputSpec(size, round(min(sides) * margin), mean, std)
        except ValueError as error:
            raise InvalidArgumentError(f"cannot normalize images: {error}") from error

    def finish(
        self,
        module: nn.Module,
        spec: InputSpec,
        *,
        classes: int,
        weights: str,
        labels: Callable[[int], tuple[str, ...]] | None = None,
    ) -> Classifier:
        """Make a classifier of a network and the request.

        Args:
            module: The network.
            spec: Its input, from `input_spec`.
            classes: Number of its logits.
            weights: Origin of its weights, for reports.
            labels: Returns the names of a number of classes; if None, ImageNet's for 1,000 and else numbers.

        Raises:
            ModelError: if there are more or fewer labels than classes.
        """
        activation = self.activation or self._usual_activation(classes)
        # A single logit stands for two classes, see `Classifier.read`.
        named = classes if activation == "value" else max(2, classes)
        if self.labels is not None:
            names = self.labels
        else:
            names = VALUE_LABELS if named == 1 else (labels or published_labels)(named)
        if len(names) != named:
            held = f"the {named} classes" if classes > 1 else "the single output (a value, or 2 classes)"
            raise ModelError(
                f"{len(names)} labels were given for {held} of {self.name}; give one label for each class"
            )
        return Classifier(self.name, module, names, spec, weights, self.logits_key, activation)

    def _usual_activation(self, classes: int) -> Activation:
        if classes > 1:
            return "softmax"
        # Softmax over a logit and its negative would count it twice.
        return "value" if self.labels is None or len(self.labels) == 1 else "sigmoid"


def published_labels(classes: int) -> tuple[str, ...]:
    """Return ImageNet's labels for its number of classes and numbers for any other."""
    return imagenet_labels() if classes == IMAGENET_CLASSES else numbered_labels(classes)


def build_around(
    build: Callable[[int], nn.Module], tensors: StateDict, *, model: str, origin: str
) -> tuple[nn.Module, int]:
    """Build a network around weights, with as many classes as they were made for.

    Args:
        build: Builds one for a number of classes, with all that it has in its state.
        tensors: The weights.
        model: What a message calls the network.
        origin: What a message calls the weights.

    Returns:
        The network, and its number of classes.

    Raises:
        ModelError: if they do not fit.
    """
    # On no device, because drawing the random numbers that are then replaced takes longer than reading.
    with torch.device("meta"):
        module = build(IMAGENET_CLASSES)
        tensors = match_prefix(tensors, module.state_dict())
        classes = classes_in(tensors, module.state_dict(), IMAGENET_CLASSES)
        if classes != IMAGENET_CLASSES:
            module = build(classes)
    load_into(module, tensors, model=model, origin=origin, assign=True)
    return module, classes


def classes_in(tensors: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor], classes: int) -> int:
    """Find out for how many classes weights were made, as those of a fine-tuned network.

    Args:
        tensors: The weights.
        own: The state of that network when it is built for `classes` classes.

    Returns:
        How many, if they differ from the network in nothing but that; else `classes`.
    """
    counts = set()
    for name, value in own.items():
        shape = tensors[name].shape if name in tensors else value.shape
        if shape != value.shape:
            if not shape or value.shape[0] != classes or shape[1:] != value.shape[1:]:
                return classes
            counts.add(shape[0])
    return counts.pop() if len(counts) == 1 else classes
