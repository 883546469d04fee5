"""Classifiers: networks that answer with one logit for each class."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Literal, Self

import torch

from streamcam.errors import ModelError
from streamcam.models.base import Model, Output
from streamcam.models.last_operation import ends_in_sigmoid
from streamcam.models.refused_answers import entries_of, refuse_answer

Activation = Literal["softmax", "sigmoid", "none", "value"]

VALUE_LABELS = ("value",)
"""The labels of a network that returns one number, if it is given none."""

_SEVERAL = 3
"""Number of scores from 0 to 1 that are hardly logits by chance."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Classifier(Model):
    """A network whose scores are logits."""

    logits_key: str | int | None = None
    """Where the logits are in the network's answer, if that is a dict, tuple, list or object."""
    activation: Activation = "softmax"
    """How logits become probabilities: softmax for classes that exclude each other, sigmoid for others, none
    for a network that returns probabilities. They stay what they are with value, for regressors."""
    activation_is_given: bool = True
    """Whether the user chose the activation; else it is what is usual for as many outputs and labels."""

    @property
    def may_find_objects(self) -> bool:
        """Whether an answer can have `Output.instances`: never."""
        return False

    @property
    def answers_values(self) -> bool:
        """Whether the network is a regressor."""
        return self.activation == "value"

    def read(self, answer: object) -> Output:
        """Read the logits; a single one, as of binary classifiers, becomes two unless it is a value.

        The first is the negated one, or for a probability the rest. With softmax each is half as large,
        because their difference counts.

        Raises:
            ModelError: if they are not where they should be.
        """
        logits = self.find_logits(answer)
        is_one_of_two = logits.shape[1] == 1 and not self.answers_values
        return Output(self._as_two(logits) if is_one_of_two else logits, raw=answer)

    def _as_two(self, logit: torch.Tensor) -> torch.Tensor:
        if self.activation == "none":
            return torch.cat([1 - logit, logit], dim=1)
        scores = torch.cat([-logit, logit], dim=1)
        return scores / 2 if self.activation == "softmax" else scores

    def adapt(
        self, answer: object, run_with_graph: Callable[[], object] | None = None
    ) -> tuple[Self, str | None]:
        """Return the classifier that reads a trial answer right, where that is a value or probabilities."""
        returned = self.find_logits(answer)
        if returned.shape[1] == len(self.labels) == 1:
            is_confirmed = self.labels != VALUE_LABELS or (self.answers_values and self.activation_is_given)
            return self._changed(activation="value"), None if is_confirmed else self._value_note()
        if self.activation == "softmax" and _sums_to_one(returned):
            return self._adapt_to_probabilities(answer, returned)
        several = self._choice_note(answer, returned)
        if self.activation not in ("softmax", "sigmoid") or several or not _are_fractions(returned):
            return self, several
        with_graph = None if run_with_graph is None else run_with_graph()
        is_sigmoid = None if with_graph is None else ends_in_sigmoid(self.find_logits(with_graph))
        if is_sigmoid and not self.activation_is_given:
            note = f"{self.name} ends in a sigmoid: the probabilities it returns are taken as they are"
            return self._changed(activation="none"), note
        if is_sigmoid:
            note = (
                f"{self.name} ends in a sigmoid, and `activation={self.activation!r}` is applied to its "
                "probabilities; use `activation='none'`"
            )
            return self, note
        if is_sigmoid is None and _are_hardly_logits(returned):
            note = (
                f"{self.name} returns numbers from 0 to 1, of which {self.activation} makes other ones; if "
                "they are probabilities already, use `activation='none'`"
            )
            return self, note
        return self, None

    def _value_note(self) -> str:
        return (
            f"{self.name} returns one number, which is shown as it is, as a regressor's; for a classifier's "
            "use `activation='sigmoid'` if it is a logit, `activation='none'` if it is a probability; "
            "`activation='value'` confirms a regressor"
        )

    def _adapt_to_probabilities(self, answer: object, returned: torch.Tensor) -> tuple[Self, str]:
        """Take exclusive classes' probabilities as they are, or the logits beside them."""
        if self.logits_key is None and isinstance(answer, tuple | list):
            for index, entry in enumerate(answer):  # as YOLO's classifiers return both
                if (
                    isinstance(entry, torch.Tensor)
                    and entry.shape == returned.shape
                    and not _sums_to_one(entry)
                    and torch.allclose(entry.float().softmax(dim=1), returned.float(), atol=1e-3)
                ):
                    note = f"{self.name} returns probabilities and logits: the logits are explained"
                    return self._changed(logits_key=index), note
        note = f"{self.name} returns probabilities: they are taken as they are"
        return self._changed(activation="none"), note

    def _choice_note(self, answer: object, returned: torch.Tensor) -> str | None:
        """Say that the first of several tensors was taken for the logits, which may be features."""
        others = self._other_logits(answer, returned)
        if self.logits_key is not None or not others or returned is not _entry(answer, None):
            return None
        return (
            f"{self.name} returns several tensors (N, classes), and the first one is explained; "
            f"`logits_key={others[0]!r}` names another"
        )

    def _other_logits(self, answer: object, taken: object) -> list[str]:
        """Return where an answer without an entry named logits has other tensors (N, classes)."""
        if isinstance(answer, torch.Tensor | Mapping) or hasattr(answer, "logits"):
            return []
        return [
            key
            for key, value in entries_of(answer).items()
            if isinstance(value, torch.Tensor) and value.ndim == 2 and value is not taken
        ]

    def find_logits(self, answer: object) -> torch.Tensor:
        """Find the logits in the network's answer.

        Returns:
            (N, classes), or (N, 1) of a binary classifier, which may return them as (N,).

        Raises:
            ModelError: if they are not where they should be.
        """
        logits = _entry(answer, self.logits_key)
        is_loss = self.logits_key is None and bool(self._other_logits(answer, logits))
        if not isinstance(logits, torch.Tensor) or logits.ndim > 2 or (logits.ndim == 0 and is_loss):
            raise refuse_answer(self.name, answer, logits)
        return logits if logits.ndim == 2 else logits.reshape(-1, 1)

    def probabilities(self, scores: torch.Tensor) -> torch.Tensor:
        """Convert logits (N, classes) to probabilities (N, classes); values stay as they are."""
        if self.activation in ("none", "value"):
            return scores
        return scores.sigmoid() if self.activation == "sigmoid" else scores.softmax(dim=1)

    def identity(self) -> dict[str, object]:
        """Return the settings that its answers depend on."""
        return {"logits key": self.logits_key, "activation": self.activation}


def _sums_to_one(scores: torch.Tensor) -> bool:
    """Return whether scores (N, classes) are a probability for each of several exclusive classes."""
    if scores.shape[1] < 2 or not scores.is_floating_point():
        return False
    rows = scores.detach().float()
    return bool((rows >= 0).all() and ((rows.sum(dim=1) - 1).abs() < 1e-3).all())


def _are_fractions(scores: torch.Tensor) -> bool:
    """Return whether scores are numbers from 0 to 1, as a sigmoid's, and not all are zero."""
    return bool((scores >= 0).all() and (scores <= 1).all() and scores.any())


def _are_hardly_logits(fractions: torch.Tensor) -> bool:
    """Return whether scores (N, classes) from 0 to 1 are hardly so by chance; a single one may be."""
    classes = fractions.shape[1]
    return classes == 1 or (classes >= _SEVERAL and bool(fractions.min() < fractions.max()))


def _entry(answer: object, key: str | int | None) -> object:
    """Return the entry of an answer at a key; without one that named logits, or the first one of a tuple."""
    if isinstance(answer, torch.Tensor):  # perhaps of the head alone, without the dict around its logits
        return answer
    if key is None:
        if isinstance(answer, Mapping):
            return answer.get("logits", answer)
        return getattr(answer, "logits", answer[0] if isinstance(answer, tuple | list) and answer else answer)
    try:
        if isinstance(answer, Mapping):
            return answer[key]
        if isinstance(answer, tuple | list) and str(key) not in getattr(answer, "_fields", ()):
            return answer[int(key)]
        return getattr(answer, str(key))  # dataclass-like outputs
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise ModelError(f"the network's output has no entry {key!r}; check `logits_key`") from error
