"""The description of a compiled explanation: everything about its model and settings that runs need."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Self

import numpy as np

from streamcam.explain.cores import available_cores
from streamcam.frames import FloatArray
from streamcam.models.kinds import Kind
from streamcam.models.labels import find_class


@dataclasses.dataclass(frozen=True, slots=True)
class CompiledModel:
    """A classifier whose network is compiled; stands for its `streamcam.Model`."""

    name: str
    weights: str
    """Where the weights came from, for reports."""
    labels: tuple[str, ...]
    """Name of each class."""
    activation: str
    """As in `streamcam.Classifier`."""
    sides: tuple[int, int]
    """(width, height) of the input that it was evaluated on, in pixels."""
    resize: int
    """As in `streamcam.InputSpec`."""
    mean: tuple[float, ...]
    """As in `streamcam.InputSpec`."""
    std: tuple[float, ...]
    """As in `streamcam.InputSpec`."""

    @property
    def may_find_objects(self) -> bool:
        """Whether an answer can have objects: never."""
        return False

    @property
    def kind(self) -> Kind:
        """Kind of network, as for a `streamcam.Model`."""
        return "classifier"

    @property
    def clip_length(self) -> int:
        """How many frames it looks at, at once: one."""
        return 1

    @property
    def finds_objects(self) -> bool:
        """Whether it is a detector: never."""
        return False

    @property
    def takes_prompts(self) -> bool:
        """Whether its classes are texts: never."""
        return False

    @property
    def answers_values(self) -> bool:
        """Whether the network is a regressor."""
        return self.activation == "value"

    def class_index(self, name: int | str) -> int:
        """Find a class by its index or by its name.

        Raises:
            UnknownNameError: if no class matches, or several do.
        """
        return find_class(name, self.labels, self.name)

    def probabilities(self, scores: FloatArray) -> FloatArray:
        """Convert scores, float32 (N, classes), to probabilities of the same shape."""
        if self.activation in ("none", "value"):
            return scores
        if self.activation == "sigmoid":
            return np.asarray(1 / (1 + np.exp(-scores)), np.float32)
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """The model and the settings of a compiled explanation."""

    model: CompiledModel
    fit: str
    """A name in `streamcam.models.FITS`."""
    method: str
    """Name of the method."""
    target_layer: str
    signed: bool
    """Whether maps keep evidence against the class."""
    batch_size: int
    device: str
    """OpenVINO's name of its device."""
    has_large_head: bool
    """Whether what comes after the target layer deserves all cores."""
    notes: tuple[str, ...]
    """Sentences for the user about it."""
    layers: tuple[str, ...]
    """Target layers that a live session offers, in the order in which they run."""
    methods: tuple[str, ...]
    """Methods that a live session offers."""
    precision: str
    """The preferred precision of the network up to the target layer."""
    identity: dict[str, Any]
    """All that explanations depend on besides the images and the targets, as plain values."""
    knows_opposites: bool = False
    """Whether negative values of the method's maps are evidence against what is explained."""

    @property
    def head_threads(self) -> int:
        """Number of threads for what comes after the target layer."""
        return available_cores() if self.has_large_head else 1

    def to_json(self) -> str:
        """Return it as text."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read it from text.

        Raises:
            ValueError: if the text is damaged.
        """
        try:
            values = json.loads(text)
            model = values.pop("model")
            lists = ("labels", "sides", "mean", "std")
            model |= {name: tuple(model[name]) for name in lists}
            values |= {name: tuple(values[name]) for name in ("notes", "layers", "methods")}
            return cls(CompiledModel(**model), **values)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not the description of an explanation: {error}") from error
