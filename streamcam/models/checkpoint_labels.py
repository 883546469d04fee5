"""Names of classes, and of the network, that training scripts keep in a checkpoint, or beside it."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

_NAMES = (
    *("class_names", "classes", "class_labels", "names", "label_names", "labels", "categories"),
    *("id2label", "idx_to_class", "idx2label", "index_to_class", "class_to_idx", "label2id", "label_to_idx"),
)
# Where they lie deeper: Lightning's, OpenMMLab's and timm's settings, and whole networks.
_SETTINGS = ("hyper_parameters", "hparams", "meta", "args", "config", "cfg", "model", "ema")

_NETWORK = ("arch", "architecture", "model_name", "model")


def network_in(loaded: object) -> str | None:
    """Find what a file, or the settings of a training in it, calls the network whose weights it holds."""
    fields = _fields(loaded)
    for place in (fields, *(_fields(fields[name]) for name in _SETTINGS if name in fields)):
        for name in _NETWORK:
            if isinstance(value := place.get(name), str) and re.fullmatch(r"[\w.:/-]{2,60}", value):
                return value
    return None


def labels_in(loaded: object) -> tuple[str, ...] | None:
    """Find the names of the classes in what a file holds.

    Args:
        loaded: A dict, an object with fields, or a network.

    Returns:
        They, in the order of the classes; None if there are none, or not all.
    """
    fields = _fields(loaded)
    for name in _NAMES:
        labels = _as_labels(fields.get(name))
        if labels is not None:
            return labels
    inside = [labels_in(fields[name]) for name in _SETTINGS if name in fields and fields[name] is not loaded]
    return next((labels for labels in inside if labels is not None), None)


def labels_beside(path: Path) -> tuple[str, ...] | None:
    """Find them in the ``config.json`` that Hugging Face's libraries write beside the weights."""
    config = path.with_name("config.json")
    try:
        return labels_in(json.loads(config.read_text("utf-8"))) if config.is_file() else None
    except (OSError, ValueError):  # not theirs
        return None


def _fields(loaded: object) -> Mapping[str, Any]:
    if isinstance(loaded, Mapping):
        return {str(name).lower(): value for name, value in loaded.items()}
    if isinstance(loaded, nn.Module):
        own = {name: value for name, value in vars(loaded).items() if not name.startswith("_")}
        return own | ({"config": loaded.config} if hasattr(loaded, "config") else {})
    return {name.lower(): value for name, value in getattr(loaded, "__dict__", {}).items()}


def _as_labels(value: object) -> tuple[str, ...] | None:
    """Return names that are a list, or a dict from index to name or from name to index, perhaps as text."""
    if isinstance(value, str):
        value = _parse(value)
    if isinstance(value, Mapping) and all(isinstance(index, int) for index in value.values()):
        value = {index: name for name, index in value.items()}
    if isinstance(value, Mapping):
        by_index = {str(index): name for index, name in value.items()}
        value = [by_index.get(str(index)) for index in range(len(by_index))]
    if not isinstance(value, list | tuple) or len(value) < 2:
        return None
    return tuple(value) if all(isinstance(name, str) for name in value) else None


def _parse(text: str) -> object:
    """Read JSON, or a list or dict as ``str`` writes it, as in ultralytics' files; None for other text."""
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    return None
