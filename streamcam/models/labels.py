"""Class names: ImageNet's, which need no download, those of a file, and finding a class by its name."""

from __future__ import annotations

import difflib
import importlib.resources
import json
from collections.abc import Sequence
from pathlib import Path

from streamcam.errors import ModelError, SourceNotFoundError, UnknownNameError, map_errors


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


def find_class(name: int | str, labels: Sequence[str], model: str) -> int:
    """Find a class by its index or by its name; a text that is a label is that label, even if a number.

    Names are compared without regard to case: the whole label first, then any label that contains the name,
    if there is just one.

    Args:
        name: The index or name.
        labels: Name of each class.
        model: What a message calls the model.

    Raises:
        UnknownNameError: if no class matches, or several do; the message lists the nearest.
    """
    text = "" if isinstance(name, int) else name.strip()
    if isinstance(name, int) or (text.lstrip("-").isdigit() and text not in labels):
        index = int(name)
        if 0 <= index < len(labels):
            return index
        raise UnknownNameError(f"unknown class {index}: {model} has the classes 0 to {len(labels) - 1}")
    return _find_label(name, labels, model)


def _find_label(name: str, labels: Sequence[str], model: str) -> int:
    text = name.strip().casefold()
    folded = [label.casefold() for label in labels]
    exact = [index for index, label in enumerate(folded) if label == text]
    matches = exact or [index for index, label in enumerate(folded) if text and text in label]
    if len(matches) == 1:
        return matches[0]
    if matches:
        shown = ", ".join(f"{labels[index]} ({index})" for index in matches[:8])
        more = f" and {len(matches) - 8} more" if len(matches) > 8 else ""
        raise UnknownNameError(
            f"class {name!r} is ambiguous: it could be {shown}{more}; give the whole name or the index"
        )
    near = difflib.get_close_matches(text, folded, n=5, cutoff=0.5)
    hint = ", ".join(f"{labels[folded.index(label)]} ({folded.index(label)})" for label in near)
    raise UnknownNameError(
        f"unknown class {name!r}; "
        + (f"the nearest are: {hint}" if hint else f"no label of {model} resembles it")
    )
