"""Where the outputs of a render of many lie: paths of this machine, or URLs of files in a store."""

from __future__ import annotations

import os
from pathlib import Path

from streamcam.media.numbered_files import is_pattern, numbered_files
from streamcam.media.stores import is_stored, is_stored_there, name_in
from streamcam.media.urls import scheme_of

OutputLocation = str | Path
"""A path, or the URL of a file in a store, which is always text."""


def locate(name: str | Path) -> OutputLocation:
    """Return a location by its name."""
    return str(name) if is_stored(name) else Path(name)


def inside(folder: str | Path, name: str) -> OutputLocation:
    """Return where a file of a folder lies; the name may hold folders of its own."""
    return f"{str(folder).rstrip('/')}/{name}" if is_stored(folder) else Path(folder) / name


def next_to(location: OutputLocation, name: str) -> OutputLocation:
    """Return where another file in the folder of one lies."""
    if isinstance(location, Path):
        return location.with_name(name)
    return inside(location.rpartition("/")[0], name)


def relative_name(location: OutputLocation, folder: str | Path) -> str:
    """Return the name that a file in or under a folder has there."""
    if isinstance(location, Path):
        return Path(os.path.relpath(location, folder)).as_posix()
    return location.removeprefix(f"{str(folder).rstrip('/')}/")


def name_of(location: OutputLocation) -> str:
    """Return the last part of a location."""
    return location.name if isinstance(location, Path) else name_in(location)


def suffix_of(location: OutputLocation) -> str:
    """Return the suffix of a location, with its dot."""
    return Path(name_of(location)).suffix


def key_of(location: str | Path) -> str:
    """Return what two names of one place have in common, whether there is a file or not."""
    if scheme_of(location) is not None:
        return str(location)
    return os.path.normcase(os.path.normpath(Path(location).absolute()))


def identify(location: str | Path) -> object:
    """Return what two names of one file have in common."""
    try:
        status = Path(location).stat()
    except (OSError, ValueError):
        return key_of(location)
    return status.st_dev, status.st_ino


def is_there(location: OutputLocation) -> bool:
    """Return whether there is an output, or one of those that a name with ``%05d`` stands for.

    Raises:
        SinkError: if its store cannot be asked.
    """
    if not isinstance(location, Path):
        return is_stored_there(location)
    if not is_pattern(location):
        return location.exists()
    try:
        return bool(numbered_files(location))
    except OSError:
        return False
