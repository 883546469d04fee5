"""Objectives: the number that is differentiated for each image of a batch.

Usually that is the score of one class; it may also be the difference to another class, or any function of the
network's output.
"""

from __future__ import annotations

import dataclasses

import torch

from streamcam.explain.targets import ObjectsFound, Target, TargetFunction
from streamcam.models import Output


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

    @property
    def is_of_nothing(self) -> bool:
        """Whether objects are explained, and no image has one: nothing leads to it."""
        return self.objects is not None and self.function is None and not any(self.objects)

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


def objectives_of(target: Target, ranking: torch.Tensor, found: ObjectsFound | None) -> list[Objective]:
    """Return the objectives of a batch: one, or as many as the image with the most objects has.

    Args:
        target: What is explained.
        ranking: Classes of each image, best first, int64 (N, at least rank + 1).
        found: The objects of each image; None if the network finds none.
    """
    if target.objects:
        return _of_each_object(target, ranking, found or [])
    if target.class_index is not None:
        classes = torch.full_like(ranking[:, 0], target.class_index)
    else:
        classes = ranking[:, target.rank or 0]
    objects = None
    if found is not None:
        objects = tuple(
            tuple(index for index, instance in image if instance.class_index == class_index)
            for image, class_index in zip(found, classes.tolist(), strict=True)
        )
    return [Objective(classes, target.against, target.function, objects)]


def _of_each_object(target: Target, ranking: torch.Tensor, found: ObjectsFound) -> list[Objective]:
    explained = [
        [index for place, (index, instance) in enumerate(image) if target.explains(instance, place)]
        for image in found
    ]
    return [
        Objective(
            ranking[:, 0], target.against, None, tuple(tuple(image[at : at + 1]) for image in explained)
        )
        for at in range(max(map(len, explained), default=0))
    ]
