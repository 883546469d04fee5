"""Class names: ImageNet's, which need no download, and those of a file."""

from __future__ import annotations

import importlib.resources
import json
from pathlib import Path

from streamcam.errors import ModelError, SourceNotFoundError, map_errors


def imagenet_labels() -> tuple[str, ...]:
    """Return the 1,000 class names of ImageNet-1k, in the order that every torchvision network uses.

    They are torchvision's own, kept in a file: importing torchvision for them takes seconds.
    """
    text = importlib.resources.files("streamcam.models").joinpath("imagenet_labels.txt").read_text("utf-8")
    return tuple(text.splitlines())


def numbered_labels(count: int) -> tuple[str, ...]:
    """Return placeholders for classes whose names nobody gave."""
    return tuple(f"class {index}" for index in range(count))


def read_labels(path: Path) -> tuple[str, ...]:
    """Read class names: one a line, or JSON as a list or as an object from index to name.

    Raises:
        SourceNotFoundError: if there is no such file.
        ModelError: if it is not such a file.
    """
    with (
        map_errors(OSError, to=lambda error: ModelError(_unreadable(path, error))),
        map_errors(UnicodeDecodeError, to=lambda _: ModelError(_not_text(path))),
    ):
        if not path.is_file():
            raise SourceNotFoundError(f"no labels file {str(path)!r}; check `labels`")
        text = path.read_text(encoding="utf-8-sig")
    if "\0" in text:
        raise ModelError(_not_text(path))
    labels = _from_json(text, path) if path.suffix == ".json" else _from_lines(text)
    if not labels:
        raise ModelError(f"{str(path)!r} holds no labels")
    return labels


def _unreadable(path: Path, error: Exception) -> str:
    return f"{str(path)!r} cannot be read ({getattr(error, 'strerror', error)}); check `labels`"


def _not_text(path: Path) -> str:
    return f"{str(path)!r} is not UTF-8 text; a labels file has one name a line"


def _from_lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.rstrip().splitlines())


def _from_json(text: str, path: Path) -> tuple[str, ...]:
    names = None
    try:
        data = json.loads(text)
        if isinstance(data, dict):
            by_index = {int(index): name for index, name in data.items()}
            data = [by_index[index] for index in range(len(by_index))]
        if isinstance(data, list):
            # ImageNet's own file gives [synset, name] pairs.
            names = [entry[-1] if isinstance(entry, list) and entry else entry for entry in data]
    except (ValueError, KeyError, RecursionError):
        pass  # said below
    if names is None or not all(isinstance(name, str) for name in names):
        raise ModelError(
            f"{str(path)!r} is not a JSON list of names or an object from index (0, 1, …) to name"
        )
    return tuple(names)
