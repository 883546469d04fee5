"""Targets: the classes that a user asks for, and the number that is differentiated for each image.

Methods differentiate an objective. Usually that is the score of one class; it may also be the difference to
another class, or any function of the network's output.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import cast

import torch

from streamcam.errors import InvalidArgumentError
from streamcam.explanations import Instance, as_target, object_number
from streamcam.models import Model, Output

TargetFunction = Callable[[Output], torch.Tensor]
"""Output of M images → (M,): a custom target, one number for each image."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Objective:
    """One number for each image of a batch: a class's score, perhaps less that of another."""

    classes: torch.Tensor
    """Class of each image, int64 (N,)."""
    against: int | None = None
    """A class whose score is subtracted: evidence for the one class rather than the other."""
    function: TargetFunction | None = None
    """A custom target, in place of a class's score."""
    objects: tuple[tuple[int, ...], ...] | None = None
    """Of detectors: for each image the indices of the objects whose scores of their class are added up."""

    def by_class(self) -> Objective:
        """Return the same objective for changed images, in which there may be other objects."""
        return dataclasses.replace(self, objects=None)

    def is_same(self, other: Objective) -> bool:
        """Return whether another objective reads the same classes, which are compared by identity."""
        return (
            self.classes is other.classes
            and self.against == other.against
            and self.function is other.function
            and self.objects == other.objects
        )

    def on(self, device: torch.device) -> Objective:
        """Return the same objective with its classes on a device."""
        return dataclasses.replace(self, classes=self.classes.to(device))

    def __call__(self, output: Output, rows: torch.Tensor | None = None) -> torch.Tensor:
        """Reduce a network's output to the objective.

        Args:
            output: The network's answer for M images.
            rows: Index in the batch that each of the M belongs to, int64 (M,); None if they are the batch.

        Returns:
            (M,).
        """
        if self.function is not None:
            return self.function(output)
        if self.objects is not None and output.instance_scores is not None:
            return torch.stack([self._of_objects(output, row) for row in range(len(output.scores))])
        classes = self.classes if rows is None else self.classes[rows]
        scores = output.scores.gather(1, classes.view(-1, 1)).squeeze(1)
        return scores if self.against is None else scores - output.scores[:, self.against]

    def _of_objects(self, output: Output, row: int) -> torch.Tensor:
        """Add up what the objects of one image score."""
        assert self.objects is not None
        assert output.instances is not None
        assert output.instance_scores is not None
        scores, total = output.instance_scores[row], output.scores.new_zeros(())
        for index in self.objects[row]:
            total = total + scores[index, output.instances[row][index].class_index]
            if self.against is not None:
                total = total - scores[index, self.against]
        return total


def finer(objective: Objective, output: Output, *, references: int = 3, gamma: float = 1.0) -> torch.Tensor:
    """Finer-CAM's objective: the class's score less those of the classes most similar to it.

    Zhang et al. 2025, "Finer-CAM: Spotting the Difference Reveals Finer Details for Visual Explanation",
    https://arxiv.org/abs/2501.11309: the references are the classes with the closest scores, weighted by the
    softmax of their scores.

    Args:
        objective: The class of each image.
        output: The network's answer for N images.
        references: Number of classes to compare with.
        gamma: Strength of the comparison.

    Returns:
        (N,).
    """
    logits = output.scores
    target = objective(output).unsqueeze(1)
    distances = (logits - target).abs().scatter(1, objective.classes.view(-1, 1), torch.inf)
    nearest = distances.topk(min(references, logits.shape[1] - 1), dim=1, largest=False).indices
    weights = logits.softmax(dim=1).gather(1, nearest)
    differences = target - gamma * logits.gather(1, nearest)
    return (weights * differences).sum(dim=1) / (weights.sum(dim=1) + 1e-9)


FUNCTION_INDEX = -1
"""`Prediction.index` of the first custom target; the second has -2, and so on."""

TargetRequest = int | str | TargetFunction
"""A class's index or name, ``"top3"``, ``"instances"``, ``"instance2"`` or a custom target."""

ObjectsFound = Sequence[Sequence[tuple[int, Instance]]]
"""The objects of each image that are reported: their index among those of the output, and themselves."""


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """A target in every image: a class, the class at some rank, objects, or a function."""

    class_index: int | None = None
    rank: int | None = None
    """0 for each image's most probable class, 1 for the second …"""
    against: int | None = None
    """A class whose score is subtracted."""
    function: TargetFunction | None = None
    """A custom target."""
    label: str = ""
    """Name of a custom target."""
    objects: bool = False
    """Whether each object is explained by itself."""
    number: int | None = None
    """The only object that is explained, by its number; see `streamcam.explanations.as_target`."""

    def objectives(self, ranking: torch.Tensor, found: ObjectsFound | None) -> list[Objective]:
        """Return the objectives of a batch: one, or as many as the image with the most objects has.

        Args:
            ranking: Classes of each image, best first, int64 (N, at least rank + 1).
            found: The objects of each image; None if the network finds none.
        """
        if self.objects:
            return self._of_each_object(ranking, found or [])
        if self.class_index is not None:
            classes = torch.full_like(ranking[:, 0], self.class_index)
        else:
            classes = ranking[:, self.rank or 0]
        objects = None
        if found is not None:
            objects = tuple(
                tuple(index for index, instance in image if instance.class_index == class_index)
                for image, class_index in zip(found, classes.tolist(), strict=True)
            )
        return [Objective(classes, self.against, self.function, objects)]

    def explains(self, instance: Instance, place: int) -> bool:
        """Return whether an object of an image is explained by itself, given its index among the objects."""
        number = object_number(as_target(instance, place).index)
        return self.objects and self.number in (None, number)

    def _of_each_object(self, ranking: torch.Tensor, found: ObjectsFound) -> list[Objective]:
        explained = [
            [index for place, (index, instance) in enumerate(image) if self.explains(instance, place)]
            for image in found
        ]
        return [
            Objective(
                ranking[:, 0], self.against, None, tuple(tuple(image[at : at + 1]) for image in explained)
            )
            for at in range(max(map(len, explained), default=0))
        ]


def resolve_targets(
    model: Model, requested: TargetRequest | Sequence[TargetRequest] | None, against: int | str | None
) -> tuple[Target, ...]:
    """Convert what a user asks for to targets.

    Args:
        model: The model, for the names of its classes.
        requested: Indices, names, ``"top3"`` for the three most probable classes of each image,
            ``"instances"`` for each object by itself, ``"instance2"`` for the object with that number,
            functions from an `Output` of M images to (M,), or None for the most probable class.
        against: Index or name of a class whose score is subtracted from every target's.

    Raises:
        UnknownNameError: if there is no such class, or several.
        InvalidArgumentError: if more ranks are asked for than there are classes.
    """
    other = None if against is None else model.class_index(against)
    if requested is None:
        return (Target(rank=0, against=other),)
    single = isinstance(requested, int | str) or callable(requested)
    requests = [cast(TargetRequest, requested)] if single else list(cast(Sequence[TargetRequest], requested))
    targets = [target for request in requests for target in _targets_of(model, request, other)]
    return tuple(dict.fromkeys(targets)) or (Target(rank=0, against=other),)


def asks_for_objects(requested: TargetRequest | Sequence[TargetRequest] | None) -> bool:
    """Return whether objects are to be explained one by one, given what `resolve_targets` takes."""
    if requested is None or isinstance(requested, int | str) or callable(requested):
        return _as_objects(requested) is not None
    return any(_as_objects(request) is not None for request in requested)


def _as_objects(request: TargetRequest | None) -> re.Match[str] | None:
    return re.fullmatch(r"instance(s|\d+)", request, re.IGNORECASE) if isinstance(request, str) else None


def _targets_of(model: Model, request: TargetRequest, against: int | None) -> list[Target]:
    if callable(request):
        return [Target(function=request, label=getattr(request, "__name__", "function"))]
    if isinstance(request, str) and request[:3].lower() == "top" and request[3:].isdigit():
        count = int(request[3:])
        if not 1 <= count <= len(model.labels):
            raise InvalidArgumentError(
                f"target {request!r} asks for {count} classes of {len(model.labels)}; use top1, top2 …"
            )
        return [Target(rank=rank, against=against) for rank in range(count)]
    one = _as_objects(request)
    if one is not None:
        if not model.finds_objects:
            raise InvalidArgumentError(
                f"target {request!r} is for detectors, and {model.name} finds no objects; explain a class"
            )
        return [Target(against=against, objects=True, number=int(one[1]) if one[1].isdigit() else None)]
    index = model.class_index(request)
    if index == against:
        raise InvalidArgumentError(f"class {model.labels[index]!r} cannot be held against itself")
    return [Target(class_index=index, against=against)]
