"""A request for a model, and the steps of loading that all families share."""

from __future__ import annotations

import dataclasses
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, SupportsIndex

import torch
from torch import nn

from streamcam.errors import InvalidArgumentError, ModelError
from streamcam.models.base import InputSpec
from streamcam.models.classifier import VALUE_LABELS, Activation, Classifier
from streamcam.models.labels import imagenet_labels, numbered_labels
from streamcam.models.state_dicts import StateDict, load_into, match_names
from streamcam.models.weights import read_state_dict

DEFAULT_WEIGHTS = "default"
NO_WEIGHTS = "none"

IMAGENET_CLASSES = 1000


def as_size(input_size: object) -> int | tuple[int, ...] | None:
    """Return what was given for `ModelRequest.input_size` as it holds it.

    Raises:
        InvalidArgumentError: if it is no number of pixels, nor numbers.
    """
    if input_size is None or isinstance(input_size, int):
        return input_size
    if isinstance(input_size, str):
        sides = tuple(int(number) for number in re.findall(r"\d+", input_size))
        meant: object = sides if len(sides) == 2 else sides[0] if len(sides) == 1 else (256, 128)
        raise InvalidArgumentError(
            f"the input size is a number of pixels or (width, height), not {input_size!r}; write {meant}"
        )
    given = tuple(input_size) if isinstance(input_size, Iterable) else (input_size,)
    if not all(isinstance(side, SupportsIndex) for side in given):
        raise InvalidArgumentError(
            f"the input size is a whole number of pixels or (width, height), not {input_size!r}"
        )
    numbers = tuple(operator.index(side) for side in given)
    return numbers if isinstance(input_size, Iterable) else numbers[0]


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
    num_classes: int | None = None
    """Number of classes of an untrained network, or of a factory that takes it."""
    trust_pickle: bool = False
    """Whether a file of weights may run code."""
    detection: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Fields of `Detector` to set: confidence, iou, max_detections."""
    prompts: tuple[str, ...] = ()
    """Texts to compare images with."""
    templates: tuple[str, ...] = ()
    """Sentences with ``{}`` for a prompt, over which its features are averaged; the prompt alone if empty."""
    compares: bool = False
    """Whether a network of images and texts compares images with a picture instead."""
    weights_key: str | None = None
    """Where the weights are in their file; see `find_weights`."""
    read: list[str | None] = dataclasses.field(default_factory=list)
    """A note for the user on each file of weights that was read, or None."""

    @property
    def weights_file(self) -> Path | None:
        """The file of weights, if there is one."""
        return None if self.weights in (DEFAULT_WEIGHTS, NO_WEIGHTS) else Path(self.weights)

    @property
    def untrained_classes(self) -> int:
        """Number of classes of an untrained network: that of the labels, or ImageNet's."""
        return self.requested_classes or IMAGENET_CLASSES

    @property
    def requested_classes(self) -> int | None:
        """Number of classes that was asked for: as such, or by as many labels."""
        if self.num_classes is not None or self.labels is None:
            return self.num_classes
        return len(self.labels)

    def read_weights(self, path: Path | None = None) -> StateDict:
        """Read a file of weights.

        Args:
            path: The file or folder; by default the one that was asked for.

        Raises:
            SourceNotFoundError: if there is none.
            ModelError: if it holds no weights, or code that is not trusted.
        """
        tensors = read_state_dict(
            path or Path(self.weights), trust_pickle=self.trust_pickle, key=self.weights_key
        )
        self.read.append(tensors.note)
        return tensors

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
        found: tuple[str, ...] | None = None,
        kind: type[Classifier] = Classifier,
    ) -> Classifier:
        """Make a classifier of a network and the request.

        Args:
            module: The network.
            spec: Its input, from `input_spec`.
            classes: Number of its logits.
            weights: Origin of its weights, for reports.
            labels: Returns the names of a number of classes; if None, ImageNet's for 1,000 and else numbers.
            found: Names in the file of weights, used if there are as many as classes and no others given.
            kind: The kind of classifier.

        Raises:
            ModelError: if there are more or fewer labels than classes, or not as many as requested.
        """
        self._check_count(classes)
        activation = self.activation or _usual_activation(
            classes, found if self.labels is None else self.labels
        )
        # A single logit stands for two classes, see `Classifier.read`.
        named = classes if activation == "value" else max(2, classes)
        if self.labels is not None:
            names = self.labels
        elif found is not None and len(found) == named:
            names = found
        else:
            names = VALUE_LABELS if named == 1 else (labels or published_labels)(named)
        if len(names) != named:
            held = f"the {named} classes" if classes > 1 else "the single output (a value, or 2 classes)"
            raise ModelError(
                f"{len(names)} labels were given for {held} of {self.name}; give one label for each class"
            )
        return kind(
            self.name,
            module,
            names,
            spec,
            weights,
            logits_key=self.logits_key,
            activation=activation,
            activation_is_given=self.activation is not None,
            notes=self.notes(),
        )

    def class_names(
        self, classes: int, usual: tuple[str, ...], found: tuple[str, ...] | None
    ) -> tuple[str, ...]:
        """Return the names of a network's classes: those given, else those in its file, else the usual ones.

        Args:
            classes: How many there are.
            usual: As many names.
            found: Names in the file of weights, used if there are as many.

        Raises:
            ModelError: if there are more or fewer labels than classes, or not as many as requested.
        """
        self._check_count(classes)
        if self.labels is None:
            return found if found is not None and len(found) == classes else usual
        if len(self.labels) != classes:
            raise ModelError(
                f"{len(self.labels)} labels were given for the {classes} classes of {self.name}; "
                "give one label for each class"
            )
        return self.labels

    def _check_count(self, classes: int) -> None:
        """Check that a network has as many classes as were asked for."""
        if self.num_classes not in (None, classes):
            raise ModelError(
                f"{self.name} has {classes} classes with these weights, not {self.num_classes}; "
                "leave `num_classes` out, or use `weights='none'`"
            )

    def notes(self) -> tuple[str, ...]:
        """Return what the user should know about how the weights were read."""
        notes = [note for note in self.read if note is not None]
        if self.trust_pickle and self.weights_file is not None:
            notes.append(f"{str(self.weights_file)!r} was trusted: code in it may have run")
        return tuple(notes)


def _usual_activation(classes: int, labels: tuple[str, ...] | None) -> Activation:
    if classes > 1:
        return "softmax"
    # Softmax over a logit and its negative would count it twice.
    return "value" if labels is None or len(labels) == 1 else "sigmoid"


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
        tensors = match_names(tensors, module.state_dict())
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
    counts = changed_counts(tensors, own)
    return counts[1] if counts is not None and counts[0] == classes else classes


def changed_counts(
    tensors: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor]
) -> tuple[int, int] | None:
    """Find the one number of outputs in which weights differ from a network.

    Returns:
        That of the network and that of the weights; None if nothing differs, or anything else.
    """
    counts = set()
    for name, value in own.items():
        shape = tensors[name].shape if name in tensors else value.shape
        if shape != value.shape:
            if not shape or not value.shape or shape[1:] != value.shape[1:]:
                return None
            counts.add((value.shape[0], shape[0]))
    return counts.pop() if len(counts) == 1 else None
