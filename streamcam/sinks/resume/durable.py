"""Files of arrays and settings that survive a power cut: flushed to the disk before they get their name."""

from __future__ import annotations

import contextlib
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamcam.errors import SinkError, map_errors
from streamcam.files import sink_error, unfinished

Arrays = Mapping[str, NDArray[Any]]

_ATTEMPTS = 9
"""NumPy parses the head of each array as Python, and early releases of Python 3.11 and 3.12 raise SystemError
where two threads parse at one moment."""


def write_arrays(path: Path, arrays: Arrays) -> None:
    """Write a NumPy .npz file, whose checksums show damage.

    Raises:
        SinkError: if the disk refuses; nothing is left then.
    """
    with unfinished(path) as part, part.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
        _flush(file.fileno())
    _flush_directory(path.parent)


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read all arrays that `write_arrays` wrote.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is damaged; zipfile.BadZipFile and EOFError likewise.
    """
    for _ in range(_ATTEMPTS):
        with contextlib.suppress(SystemError):
            return _load(path)
    return _load(path)


def _load(path: Path) -> dict[str, NDArray[Any]]:
    with np.load(path, allow_pickle=False) as loaded:
        return dict(loaded)


DAMAGE = (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError)
"""The exceptions of reading a damaged file of arrays, or looking for something in it."""


def damaged(path: Path, error: BaseException) -> SinkError:
    """Build the error for a file that cannot be used."""
    return SinkError(
        f"{str(path)!r} is damaged ({error}); delete it, and `resume=True` goes on from before it"
    )


def write_json(path: Path, content: object) -> None:
    """Write JSON.

    Raises:
        SinkError: if the disk refuses.
    """
    with unfinished(path) as part, part.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
        file.flush()
        _flush(file.fileno())


def sync_file(path: Path) -> None:
    """Flush a finished file to the disk.

    Raises:
        SinkError: if the disk refuses.
    """
    with map_errors(OSError, to=lambda error: sink_error(path, "cannot be completed", error)):
        with path.open("rb") as file:
            _flush(file.fileno())
        _flush_directory(path.parent)


def _flush(descriptor: int) -> None:
    os.fsync(descriptor)


def _flush_directory(folder: Path) -> None:
    """Flush the names in a directory too, where the system lets it be opened."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
