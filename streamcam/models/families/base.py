"""The row of a model family, and of a model in listings."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path

from streamcam.models.base import Model
from streamcam.models.request import ModelRequest


@dataclasses.dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model in listings, known without loading it; None where a value is unknown."""

    name: str
    parameters: int | None = None
    accuracy: float | None = None
    """Top-1 on ImageNet-1k with the published weights, in per cent."""
    input_size: int | None = None
    """Side of the square that the published weights were evaluated on, in pixels."""
    weights: str = ""
    """Name of the published weights."""
    file: Path | None = None
    """Path of the published weights on disk, whether they are there or not."""

    @property
    def on_disk(self) -> bool:
        """Whether the published weights need no download."""
        return self.file is not None and self.file.is_file()


@dataclasses.dataclass(frozen=True, slots=True)
class ModelFamily:
    """One family: how its names are recognized, and how its models are loaded."""

    accepts: Callable[[str], bool]
    """Whether a name is for this family to load, or to refuse."""
    load: Callable[[ModelRequest], Model]
    infos: Callable[[], Iterable[ModelInfo]]
    """Lists its models; empty where they cannot be listed."""
    prefix: str = ""
    """Prefix of all its names, where listing them is slow and only done on request."""
    takes_prompts: bool = False
    """Whether the classes of its networks, or of some, are texts that the user gives."""
