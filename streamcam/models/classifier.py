"""Classifiers: networks that answer with one logit for each class."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

import torch

from streamcam.errors import ModelError
from streamcam.models.base import Model, Output


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Classifier(Model):
    """A network whose scores are logits."""

    logits_key: str | int | None = None
    """Where the logits are in the network's answer, if that is a dict, tuple, list or object."""
    activation: Literal["softmax", "sigmoid"] = "softmax"
    """How logits become probabilities: softmax for classes that exclude each other, sigmoid for others and
    for a single logit."""

    def read(self, answer: object) -> Output:
        """Read the logits; a single one, as of binary classifiers, becomes two: the first is negated.

        Raises:
            ModelError: if they are not where they should be.
        """
        logits = self.find_logits(answer)
        scores = torch.cat([-logits, logits], dim=1) if logits.shape[1] == 1 else logits
        return Output(scores, raw=answer)

    def find_logits(self, answer: object) -> torch.Tensor:
        """Find the logits in the network's answer.

        Returns:
            (N, classes), or (N, 1) of a binary classifier.

        Raises:
            ModelError: if they are not where they should be.
        """
        logits = _entry(answer, self.logits_key)
        if not isinstance(logits, torch.Tensor) or logits.ndim != 2:
            returned = "nothing" if logits is None else f"a {type(logits).__name__}"
            if isinstance(logits, torch.Tensor):
                returned = f"a tensor {tuple(logits.shape)}"
            keys = f" with the keys {', '.join(map(str, logits))}" if isinstance(logits, Mapping) else ""
            raise ModelError(
                f"{self.name} returns {returned}{keys} where logits (N, classes) are needed; "
                "say where they are with `logits_key`"
            )
        return logits

    def probabilities(self, scores: torch.Tensor) -> torch.Tensor:
        """Convert logits (N, classes) to probabilities (N, classes)."""
        return scores.sigmoid() if self.activation == "sigmoid" else scores.softmax(dim=1)

    def identity(self) -> dict[str, object]:
        """Return the settings that its answers depend on."""
        return {"logits key": self.logits_key, "activation": self.activation}


def _entry(answer: object, key: str | int | None) -> object:
    """Return the entry of an answer at a key, or the first one of a tuple or list."""
    if key is None:
        return answer[0] if isinstance(answer, tuple | list) and answer else answer
    if isinstance(answer, torch.Tensor):  # the head alone, without the dict around its logits
        return answer
    try:
        if isinstance(answer, Mapping):
            return answer[key]
        if isinstance(answer, tuple | list):
            return answer[int(key)]
        return getattr(answer, str(key))  # dataclass-like outputs
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise ModelError(f"the network's output has no entry {key!r}; check `logits_key`") from error
