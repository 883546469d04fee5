"""What is differentiated: from a network's logits to one number for each image.

Methods ask where an objective comes from. Usually it is the logit of one class; it may also be the
difference to another class, or any function of the logits that a caller has.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch

LogitsFunction = Callable[[torch.Tensor], torch.Tensor]
"""(M, classes) → (M,): one number for each row of logits."""


@dataclasses.dataclass(frozen=True, slots=True)
class Objective:
    """One number for each image of a batch: a class's logit, perhaps less that of another."""

    classes: torch.Tensor
    """int64 (N,), the class of each image."""
    against: int | None = None
    """A class whose logit is subtracted: what speaks for the one rather than for the other."""
    function: LogitsFunction | None = None
    """Takes the place of the logit, where a caller has a function of his own."""

    def on(self, device: torch.device) -> Objective:
        """Return the same objective with its classes on a device."""
        return dataclasses.replace(self, classes=self.classes.to(device))

    def __call__(self, logits: torch.Tensor, rows: torch.Tensor | None = None) -> torch.Tensor:
        """Reduce logits to the objective.

        Args:
            logits: (M, classes).
            rows: int64 (M,), which image of the batch each row belongs to; None if they are the batch.

        Returns:
            (M,).
        """
        if self.function is not None:
            return self.function(logits)
        classes = self.classes if rows is None else self.classes[rows]
        scores = logits.gather(1, classes.view(-1, 1)).squeeze(1)
        return scores if self.against is None else scores - logits[:, self.against]


def finer(
    objective: Objective, logits: torch.Tensor, *, references: int = 3, gamma: float = 1.0
) -> torch.Tensor:
    """Finer-CAM's objective: the class's logit less those of the classes most similar to it.

    Zhang et al. 2025, "Finer-CAM: Spotting the Difference Reveals Finer Details for Visual Explanation",
    https://arxiv.org/abs/2501.11309: the references are those with the closest logits, weighted by their
    probabilities.

    Args:
        objective: Names the class of each image.
        logits: (N, classes).
        references: How many classes to compare with.
        gamma: How strongly the comparison counts.

    Returns:
        (N,).
    """
    target = objective(logits).unsqueeze(1)
    distances = (logits - target).abs().scatter(1, objective.classes.view(-1, 1), torch.inf)
    nearest = distances.topk(min(references, logits.shape[1] - 1), dim=1, largest=False).indices
    weights = logits.softmax(dim=1).gather(1, nearest)
    differences = target - gamma * logits.gather(1, nearest)
    return (weights * differences).sum(dim=1) / (weights.sum(dim=1) + 1e-9)
