"""The identity of a render, as plain values: whether it has to be done again is decided by them."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_SAMPLE_BYTES = 1 << 20


def identify_file(path: Path) -> dict[str, object]:
    """Describe a file so that it is recognized: its size, its date, and the hash of its beginning and end."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        digest = hashlib.sha256(file.read(_SAMPLE_BYTES))
        file.seek(max(0, status.st_size - _SAMPLE_BYTES))
        digest.update(file.read(_SAMPLE_BYTES))
    return {
        "the input's size": status.st_size,
        "the input's date": status.st_mtime_ns,
        "the input's ends": digest.hexdigest()[:32],
    }


def flatten(settings: Mapping[str, object]) -> dict[str, Any]:
    """Flatten dataclasses into their fields, beside the plain values."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            flat |= {f"{name} {field}": each for field, each in dataclasses.asdict(value).items()}
        else:
            flat[name] = value
    return flat
