"""Files of arrays and settings that outlive a power cut: on the disk before they have their name."""

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

from streamcam.errors import SinkError
from streamcam.sinks.part_file import begin, commit, discard

Arrays = Mapping[str, NDArray[Any]]


def write_arrays(path: Path, arrays: Arrays) -> None:
    """Write NumPy's .npz, whose checksums tell damage.

    Raises:
        SinkError: if the disk refuses; nothing is left then.
    """
    try:
        with begin(path).open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
            _flush(file.fileno())
        commit(path)
        _flush_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            discard(path)
        raise SinkError(f"{str(path)!r} cannot be written: {error.strerror or error}") from error


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read what `write_arrays` wrote, all of it.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is damaged; zipfile.BadZipFile and EOFError likewise.
    """
    with np.load(path, allow_pickle=False) as loaded:
        return dict(loaded)


DAMAGE = (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError)
"""What reading a damaged file of arrays, and looking for something in it, may raise."""


def damaged(path: Path, error: BaseException) -> SinkError:
    """Say that a file cannot be used, and the way out."""
    return SinkError(
        f"{str(path)!r} is damaged ({error}); delete it, and `resume=True` goes on from before it"
    )


def write_json(path: Path, content: object) -> None:
    """Write JSON.

    Raises:
        OSError: if the disk refuses.
    """
    with begin(path).open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
        file.flush()
        _flush(file.fileno())
    commit(path)


def sync_file(path: Path) -> None:
    """See a finished file on the disk.

    Raises:
        SinkError: if the disk refuses.
    """
    try:
        with path.open("rb") as file:
            _flush(file.fileno())
        _flush_directory(path.parent)
    except OSError as error:
        raise SinkError(f"{str(path)!r} cannot be completed: {error.strerror}") from error


def _flush(descriptor: int) -> None:
    os.fsync(descriptor)


def _flush_directory(folder: Path) -> None:
    """See names on the disk too, where the system lets a directory be opened."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
