"""The identity of a render, as plain values: whether it has to be done again is decided by them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streamcam.evidence.inputs import file_contents
from streamcam.media.stores import identify_stored, is_stored
from streamcam.sources import Location
from streamcam.sources.files import is_file


def identify_file(path: Path) -> dict[str, object]:
    """Describe a file so that it is recognized: its size, its date, and the hash of its beginning and end."""
    contents = file_contents(path)
    return {
        "the input's size": contents["bytes"],
        "the input's date": path.stat().st_mtime_ns,
        "the input's ends": contents["ends"],
    }


def identify_location(source: Location) -> dict[str, object] | None:
    """Describe a file, here or in a store, so that it is recognized; None for other inputs."""
    if is_stored(source):
        return identify_stored(str(source))
    if isinstance(source, int) or not is_file(source):
        return None
    try:
        return identify_file(Path(source))
    except OSError:
        return None


def flatten(settings: Mapping[str, object]) -> dict[str, Any]:
    """Flatten dataclasses into their fields, beside the plain values."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            flat |= {f"{name} {field}": each for field, each in dataclasses.asdict(value).items()}
        else:
            flat[name] = value
    return flat
