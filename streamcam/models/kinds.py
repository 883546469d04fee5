"""Kinds of networks, and refusals of what is for another kind: by a name before loading, or of a model."""

from __future__ import annotations

import dataclasses
from typing import Literal

from streamcam.errors import InvalidArgumentError

Kind = Literal["classifier", "detector", "segmenter", "clips", "prompts"]
"""By its answer: one for an image, objects, a class at every place, one answer for several
frames, or how similar an image is to texts."""

_SAYS: dict[Kind, str] = {
    "classifier": "gives one answer for each image",
    "detector": "is a detector",
    "segmenter": "is a segmenter",
    "clips": "looks at clips, several frames at once",
    "prompts": "compares images with texts",
}
"""How a sentence about a network of a kind ends."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Use:
    """Which networks a parameter is for."""

    networks: str
    """In words."""
    kinds: tuple[Kind, ...]
    instead: str = ""
    """In words, what all other networks do; that depends on their kind if empty."""


_FOR_TEXTS = _Use(
    "networks that compare images with texts, as clip:ViT-B-32", ("prompts",), "has classes of its own"
)
_FOR_OBJECTS = _Use("detectors", ("detector",))
_FOR_CLIPS = _Use("networks that look at clips", ("clips",))
USES: dict[str, _Use] = {
    "confidence": _FOR_OBJECTS,
    "iou": _FOR_OBJECTS,
    "max_detections": _FOR_OBJECTS,
    "prompts": _FOR_TEXTS,
    "templates": _FOR_TEXTS,
    "at": _Use("segmenters", ("segmenter",)),
    "reference": _Use("networks that classify or embed single images", ("classifier", "prompts")),
    "clip_fps": _FOR_CLIPS,
    "clip_stride": _FOR_CLIPS,
}
"""Parameter of `load_model` or `Explainer` → the networks that it is for."""


def check_use(parameter: str, kind: Kind, name: str) -> None:
    """Refuse a parameter that was given for a network of another kind.

    Args:
        parameter: One of `USES`.
        kind: Kind of the network.
        name: Name of the network.

    Raises:
        InvalidArgumentError: if it is for others.
    """
    use = USES[parameter]
    if kind not in use.kinds:
        raise InvalidArgumentError(
            f"`{parameter}` is for {use.networks}, and {name} {use.instead or _SAYS[kind]}; leave it out"
        )


def check_takes_images(kind: Kind | None, name: str, user: str) -> None:
    """Refuse a network of clips where single images are needed.

    Args:
        kind: Kind of the network; None if it is not known yet.
        name: Name of the network.
        user: What needs single images, in words.

    Raises:
        InvalidArgumentError: if it looks at clips.
    """
    if kind == "clips":
        raise InvalidArgumentError(f"{name} {_SAYS[kind]}; {user} needs a network that takes single images")


def refuse_missing_texts(name: str) -> InvalidArgumentError:
    """Build the error for a network that compares images with texts, and neither texts nor a picture."""
    return InvalidArgumentError(
        f"{name} {_SAYS['prompts']}; say with which ones by `prompts`, or give a picture with `reference`"
    )
