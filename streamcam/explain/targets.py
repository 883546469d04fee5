"""Which classes are explained: what the user asks for, resolved for each batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import torch

from streamcam.errors import InvalidArgumentError
from streamcam.explain.objectives import LogitsFunction, Objective
from streamcam.models import Classifier

FUNCTION_INDEX = -1
"""`Prediction.index` of the first function of a caller's own; the second has -2, and so on."""

TargetRequest = int | str | Callable[[torch.Tensor], torch.Tensor]


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """One thing to explain in every image: a class, the class at some rank, or a function."""

    class_index: int | None = None
    rank: int | None = None
    """0 for each image's most probable class, 1 for the second …"""
    against: int | None = None
    """A class that it is held against."""
    function: LogitsFunction | None = None
    label: str = ""
    """What a function is called."""

    def objective(self, ranking: torch.Tensor) -> Objective:
        """Work out what is differentiated.

        Args:
            ranking: int64 (N, at least rank + 1), each image's classes, best first.
        """
        if self.class_index is not None:
            classes = torch.full_like(ranking[:, 0], self.class_index)
        else:
            classes = ranking[:, self.rank or 0]
        return Objective(classes, self.against, self.function)


def resolve_targets(
    classifier: Classifier, wanted: TargetRequest | Sequence[TargetRequest] | None, against: int | str | None
) -> tuple[Target, ...]:
    """Turn what a user asks for into targets.

    Args:
        classifier: Knows the names of the classes.
        wanted: Indices, names, ``"top3"`` for the three most probable classes of each image, functions
            from logits (M, classes) to (M,), or None for the most probable class.
        against: A class that every target is held against.

    Raises:
        UnknownNameError: if there is no such class, or several.
        InvalidArgumentError: if more ranks are asked for than there are classes.
    """
    other = None if against is None else classifier.class_index(against)
    if wanted is None:
        return (Target(rank=0, against=other),)
    requests = [wanted] if isinstance(wanted, int | str) or callable(wanted) else list(wanted)
    targets = [target for request in requests for target in _targets_of(classifier, request, other)]
    return tuple(dict.fromkeys(targets)) or (Target(rank=0, against=other),)


def _targets_of(classifier: Classifier, request: TargetRequest, against: int | None) -> list[Target]:
    if callable(request):
        return [Target(function=request, label=getattr(request, "__name__", "function"))]
    if isinstance(request, str) and request[:3].lower() == "top" and request[3:].isdigit():
        count = int(request[3:])
        if not 1 <= count <= len(classifier.labels):
            raise InvalidArgumentError(
                f"target {request!r} asks for {count} classes of {len(classifier.labels)}; use top1, top2 …"
            )
        return [Target(rank=rank, against=against) for rank in range(count)]
    index = classifier.class_index(request)
    if index == against:
        raise InvalidArgumentError(f"class {classifier.labels[index]!r} cannot be held against itself")
    return [Target(class_index=index, against=against)]
