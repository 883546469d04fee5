"""What a family of models is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path

from streamcam.models.base import Model
from streamcam.models.request import ModelRequest


@dataclasses.dataclass(frozen=True, slots=True)
class ModelInfo:
    """What is known of a model without loading it; None where nobody says."""

    name: str
    parameters: int | None = None
    accuracy: float | None = None
    """Top-1 on ImageNet-1k with the published weights, in per cent."""
    input_size: int | None = None
    """Side of the square that the published weights were evaluated on, in pixels."""
    weights: str = ""
    """What the published weights are called."""
    file: Path | None = None
    """Where the published weights lie, or would lie, on disk."""

    @property
    def on_disk(self) -> bool:
        """Whether the published weights need no download."""
        return self.file is not None and self.file.is_file()


@dataclasses.dataclass(frozen=True, slots=True)
class ModelFamily:
    """What a family's networks are called and how one is built."""

    accepts: Callable[[str], bool]
    """Whether a name is for this family to load, or to refuse."""
    load: Callable[[ModelRequest], Model]
    infos: Callable[[], Iterable[ModelInfo]]
    """What can be said about its members, by name; nothing where they cannot be listed."""
    prefix: str = ""
    """What all its names begin with, where listing them is slow and wants to be asked for."""
