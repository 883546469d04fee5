"""Naming the kind of a network by what it answers, where that holds no logits, and the way out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeGuard

import torch
from torch import nn

from streamcam.errors import ModelError

_BOXES = ("boxes", "pred_boxes", "bboxes", "proposals")


def refuse_answer(name: str, answer: object, found: object) -> ModelError:
    """Build the error for a network whose answer holds no logits where they should be.

    Args:
        name: What the message calls the network.
        answer: What the network returned.
        found: The part of it that was taken for the logits.
    """
    fields = _fields(answer[0]) if _is_sequence(answer) and answer else _fields(answer)
    entries = entries_of(answer)
    listed = f" ({', '.join(fields)})" if fields else ""
    returned = describe(found)
    if any(box in fields for box in _BOXES):
        return ModelError(
            f"{name} is a detector: it returns boxes{listed}; return a streamcam Model whose read() makes "
            "scores (N, classes) of that, as of each class's best box"
        )
    logits = [key for key, value in entries.items() if isinstance(value, torch.Tensor) and value.ndim == 2]
    say = f"say where the logits are with `logits_key`: {' or '.join(logits)}"
    planes = [value for value in fields.values() if isinstance(value, torch.Tensor) and value.ndim == 4]
    if isinstance(found, torch.Tensor) and found.ndim == 4:
        planes.append(found)
    if planes and logits:
        return ModelError(
            f"{name} returns planes {tuple(planes[0].shape)} and more{listed}; of a classifier, {say}; of a "
            "segmenter, return a streamcam.models.Segmenter"
        )
    if planes:
        return ModelError(
            f"{name} returns planes {tuple(planes[0].shape)}{listed}, as segmenters do; return a "
            "streamcam.models.Segmenter of it"
        )
    if logits:
        return ModelError(f"{name} returns {returned}{listed}; {say}")
    if isinstance(found, torch.Tensor) and found.ndim == 3:
        return ModelError(
            f"{name} returns {returned}, as detectors and depth estimators do; return a torch.nn.Module "
            "around it that makes scores (N, classes) of that"
        )
    if isinstance(found, torch.Tensor):
        return ModelError(
            f"{name} returns {returned} where logits (N, classes) are needed; return a torch.nn.Module "
            "around it that makes them of that"
        )
    return ModelError(
        f"{name} returns {returned}{listed}, and none of it is logits (N, classes); return a torch.nn.Module "
        "around it that makes them of that"
    )


def has_boxes(answer: object) -> bool:
    """Return whether an answer, or a part of it, has boxes by name."""
    if _is_sequence(answer):
        return any(has_boxes(part) for part in answer)
    return not _fields(answer).keys().isdisjoint(_BOXES)


def describe(found: object) -> str:
    """Name what a network returned: a tensor with its shape, or another thing."""
    if isinstance(found, torch.Tensor):
        return f"a tensor {tuple(found.shape)}"
    return "nothing" if found is None else f"a {type(found).__name__}"


def entries_of(answer: object) -> dict[str, object]:
    """Return the parts of an answer by what `logits_key` calls them: names, or numbers in a tuple."""
    if _is_sequence(answer):
        return {str(index): value for index, value in enumerate(answer)}
    return _fields(answer)


def _is_sequence(answer: object) -> TypeGuard[list[object] | tuple[object, ...]]:
    return isinstance(answer, list | tuple) and not hasattr(answer, "_fields")


def _fields(answer: object) -> dict[str, object]:
    """Return the named parts of an answer: a dict, a named tuple or an object with fields."""
    if isinstance(answer, Mapping):
        return {str(key): value for key, value in answer.items()}
    if isinstance(answer, torch.Tensor | nn.Module) or not hasattr(answer, "__dict__"):
        named = getattr(answer, "_fields", ())
        return {str(key): getattr(answer, str(key)) for key in named}
    return dict(vars(answer))
