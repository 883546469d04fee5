"""Refuse networks that take clips where single images are needed: by their names, or once they are loaded."""

from __future__ import annotations

from streamcam.errors import InvalidArgumentError
from streamcam.models.model_names import takes_clips


def check_name_takes_images(name: str, user: str) -> None:
    """Refuse a network that is known by its name, or by its folder, to take clips; before it is loaded.

    Args:
        name: As `load_model` takes it.
        user: What needs single images, in words.

    Raises:
        InvalidArgumentError: if it takes clips.
    """
    if takes_clips(name):
        raise _refusal(name, user)


def check_takes_images(name: str, clip_length: int, user: str) -> None:
    """Refuse a loaded network that takes clips.

    Args:
        name: Name of the network.
        clip_length: How many frames it takes at once.
        user: What needs single images, in words.

    Raises:
        InvalidArgumentError: if it takes more than one.
    """
    if clip_length > 1:
        raise _refusal(name, user)


def _refusal(name: str, user: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"{name} looks at clips, several frames at once; {user} needs a network that takes single images"
    )
