"""Targets: what a user asks to be explained in every image: classes, objects or functions."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, cast

from streamcam.errors import InvalidArgumentError
from streamcam.explanations import Instance, as_target, object_number

if TYPE_CHECKING:
    import torch

    from streamcam.models import Output

TargetFunction = Callable[["Output"], "torch.Tensor"]
"""Output of M images → (M,): a custom target, one number for each image."""


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
    concept: int | None = None
    """A concept of the video instead of a class, from 0."""

    @property
    def is_class(self) -> bool:
        """Whether it is a class or an object, with a score of its own."""
        return self.function is None and self.concept is None

    def explains(self, instance: Instance, place: int) -> bool:
        """Return whether an object of an image is explained by itself, given its index among the objects."""
        number = object_number(as_target(instance, place).index)
        return self.objects and self.number in (None, number)


class ModelWithClasses(Protocol):
    """A model with named classes, for resolving targets; `streamcam.Model` is one."""

    @property
    def name(self) -> str:
        """Name of the model."""

    @property
    def labels(self) -> Sequence[str]:
        """Name of each class."""

    @property
    def finds_objects(self) -> bool:
        """Whether it finds objects."""

    def class_index(self, name: int | str) -> int:
        """Find a class by its index or its name."""


def resolve_targets(
    model: ModelWithClasses,
    requested: TargetRequest | Sequence[TargetRequest] | None,
    against: int | str | None,
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
    return bool(object_requests(requested))


def object_requests(requested: TargetRequest | Sequence[TargetRequest] | None) -> list[TargetRequest]:
    """Return those of what `resolve_targets` takes that ask for objects one by one."""
    if requested is None or isinstance(requested, int | str) or callable(requested):
        requested = () if requested is None else (requested,)
    return [request for request in requested if _as_objects(request) is not None]


def refuse_objects(request: TargetRequest, name: str) -> InvalidArgumentError:
    """Build the error for objects that are to be explained of a network that finds none.

    Args:
        request: What was asked for.
        name: Name of the network.
    """
    return InvalidArgumentError(
        f"target {request!r} is for detectors, and {name} finds no objects; explain a class"
    )


def _as_objects(request: TargetRequest) -> re.Match[str] | None:
    return re.fullmatch(r"instance(s|\d+)", request, re.IGNORECASE) if isinstance(request, str) else None


def _targets_of(model: ModelWithClasses, request: TargetRequest, against: int | None) -> list[Target]:
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
            raise refuse_objects(request, model.name)
        return [Target(against=against, objects=True, number=int(one[1]) if one[1].isdigit() else None)]
    index = model.class_index(request)
    if index == against:
        raise InvalidArgumentError(f"class {model.labels[index]!r} cannot be held against itself")
    return [Target(class_index=index, against=against)]


def check_targets(targets: Sequence[Target], signed: bool) -> None:
    """Refuse several targets where one map shows evidence for and against one class.

    Raises:
        InvalidArgumentError: if there are several.
    """
    if signed and len(targets) > 1:
        raise InvalidArgumentError(
            f"`signed=True` shows one class in two colors, not {len(targets)}; ask for one class"
        )
