"""Targets: the classes that a user asks for, and the number that is differentiated for each image.

Methods differentiate an objective. Usually that is the score of one class; it may also be the difference to
another class, or any function of the network's output.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import cast

import torch

from streamcam.errors import InvalidArgumentError
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
        classes = self.classes if rows is None else self.classes[rows]
        scores = output.scores.gather(1, classes.view(-1, 1)).squeeze(1)
        return scores if self.against is None else scores - output.scores[:, self.against]


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
"""A class's index or name, ``"top3"``, or a custom target."""


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """One thing to explain in every image: a class, the class at some rank, or a function."""

    class_index: int | None = None
    rank: int | None = None
    """0 for each image's most probable class, 1 for the second …"""
    against: int | None = None
    """A class whose score is subtracted."""
    function: TargetFunction | None = None
    """A custom target."""
    label: str = ""
    """Name of a custom target."""

    def objective(self, ranking: torch.Tensor) -> Objective:
        """Return the objective of a batch.

        Args:
            ranking: Classes of each image, best first, int64 (N, at least rank + 1).
        """
        if self.class_index is not None:
            classes = torch.full_like(ranking[:, 0], self.class_index)
        else:
            classes = ranking[:, self.rank or 0]
        return Objective(classes, self.against, self.function)


def resolve_targets(
    model: Model, requested: TargetRequest | Sequence[TargetRequest] | None, against: int | str | None
) -> tuple[Target, ...]:
    """Convert what a user asks for to targets.

    Args:
        model: The model, for the names of its classes.
        requested: Indices, names, ``"top3"`` for the three most probable classes of each image, functions
            from an `Output` of M images to (M,), or None for the most probable class.
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
    index = model.class_index(request)
    if index == against:
        raise InvalidArgumentError(f"class {model.labels[index]!r} cannot be held against itself")
    return [Target(class_index=index, against=against)]
