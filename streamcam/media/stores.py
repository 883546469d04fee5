"""Files in object stores: copied to and from this machine by fsspec."""

from __future__ import annotations

import contextlib
import importlib
import posixpath
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from streamcam.errors import (
    InvalidArgumentError,
    SinkError,
    SourceError,
    SourceNotFoundError,
    StreamcamError,
    map_errors,
)
from streamcam.media.urls import redact, scheme_of

STORES: dict[str, str | None] = {
    "abfs": "adlfs",
    "az": "adlfs",
    "gcs": "gcsfs",
    "gs": "gcsfs",
    "memory": None,
    "s3": "s3fs",
}
"""Scheme of a store's URLs → the package that it needs besides fsspec. Files there appear whole."""

_VERSIONS = ("ETag", "etag", "md5Hash", "LastModified", "last_modified", "updated", "created")
"""Names of the fields in which stores keep a hash or a date of a file, the best first."""

_NUMBER = re.compile(r"%0?\d*d")


def is_stored(location: object) -> bool:
    """Return whether a location is a URL of a file in a store."""
    return scheme_of(location) in STORES


def local_path(location: Any) -> Any:
    """Return the path of a ``file://`` URL; other locations as they are.

    Raises:
        InvalidArgumentError: if it is on another host.
    """
    if scheme_of(location) != "file":
        return location
    parts = urlsplit(location)
    if parts.netloc not in ("", "localhost"):
        raise InvalidArgumentError(f"{location!r} is on another host; give file:///PATH")
    from urllib.request import url2pathname  # which imports all that speaks HTTP

    return url2pathname(parts.path)


def name_in(url: str) -> str:
    """Return the last part of a URL, in which nothing is escaped."""
    return posixpath.basename(url)


def find_stored(url: str, *, is_folder: bool = False) -> list[str]:
    """List the files that match a pattern, or lie directly in a folder, in order.

    Args:
        url: A URL with ``*`` in its path, or the folder's.
        is_folder: Whether it is a folder's.

    Raises:
        SourceError: if the store cannot be asked.
    """
    scheme = url.partition("://")[0]
    system, path = _connect(url, SourceError)
    with _mapped(url, SourceError, "cannot be read"):
        if is_folder:
            names = [entry["name"] for entry in system.ls(path, detail=True) if entry["type"] == "file"]
        else:
            names = list(system.glob(path))
    return [f"{scheme}://{name.lstrip('/')}" for name in sorted(names)]


def size_of_stored(url: str) -> int | None:
    """Return how many bytes a file has; None if it is not there.

    Raises:
        SinkError: if the store cannot be asked.
    """
    system, path = _connect(url, SinkError)
    with _mapped(url, SinkError, "cannot be looked up"):
        try:
            return int(system.info(path)["size"] or 0)
        except FileNotFoundError:
            return None


def identify_stored(url: str) -> dict[str, object] | None:
    """Describe a file so that it is recognized: its size, and a hash or date that the store keeps.

    Returns:
        Plain values; None if the store keeps neither, or cannot be asked.
    """
    try:
        system, path = _connect(url, SourceError)
        with _mapped(url, SourceError, "cannot be looked up"):
            info = system.info(path)
    except StreamcamError:  # reported when the file is read
        return None
    version = next((info[name] for name in _VERSIONS if info.get(name)), None)
    if version is None:
        return None
    return {"the input's size": info["size"], "the input's hash or date": str(version)}


def is_stored_there(url: str) -> bool:
    """Return whether a file is there, or one of those that a name with ``%05d`` stands for.

    Raises:
        SinkError: if the store cannot be asked.
    """
    if not _NUMBER.search(name_in(url)):
        return size_of_stored(url) is not None
    system, path = _connect(url, SinkError)
    with _mapped(url, SinkError, "cannot be looked up"):
        return bool(system.glob(_NUMBER.sub("*", path)))


def download(url: str, copy: Callable[[Callable[[int], bytes], int | None], None]) -> None:
    """Read a file from a store.

    Args:
        url: The file.
        copy: Takes a function that returns up to as many bytes as asked for, and how many there are.

    Raises:
        SourceNotFoundError: if it is not there.
        SourceError: if it cannot be read.
        InvalidArgumentError: if a package that the store needs is not installed.
    """
    system, path = _connect(url, SourceError)
    with _mapped(url, SourceError, "cannot be read"):
        size = system.info(path)["size"]
        with system.open(path, "rb") as file:
            copy(file.read, size)


def upload(path: Path, url: str) -> None:
    """Copy a file into a store, where it appears when it is whole.

    Raises:
        SinkError: if it cannot be written.
    """
    system, target = _connect(url, SinkError)
    with _mapped(url, SinkError, "cannot be written"):
        if system.protocol == "memory":  # whose folders have to be made
            system.makedirs(posixpath.dirname(target), exist_ok=True)
        system.put_file(str(path), target)


def remove_stored(url: str) -> None:
    """Remove a file from a store.

    Raises:
        SinkError: if it cannot be removed.
    """
    system, path = _connect(url, SinkError)
    with _mapped(url, SinkError, "cannot be removed"):
        system.rm_file(path)


def _connect(url: str, kind: type[StreamcamError]) -> tuple[Any, str]:
    """Return the file system of a URL, and the path in it."""
    scheme = str(scheme_of(url))
    for package in ("fsspec", STORES[scheme]):
        if package is None:
            continue
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise InvalidArgumentError(
                f"{redact(url)!r} needs {error.name}: install it with pip install 'streamcam[cloud]'"
            ) from error
    import fsspec

    with _mapped(url, kind, "cannot be used"):
        system, path = fsspec.core.url_to_fs(url)
    return system, path


def _mapped(url: str, kind: type[StreamcamError], problem: str) -> contextlib.AbstractContextManager[None]:
    """Map what a store's library raises, which may be anything, to one line."""
    name = redact(url)

    def to(error: Exception) -> StreamcamError:
        if isinstance(error, FileNotFoundError) and kind is SourceError:
            return SourceNotFoundError(f"no file {name!r}; check the bucket and the path")
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        if isinstance(error, PermissionError):
            reason = f"{reason}; check the credentials and the rights"
        elif isinstance(error, FileNotFoundError):
            reason = f"there is no such bucket or folder ({reason})"
        return kind(f"{name!r} {problem}: {reason}")

    return map_errors(Exception, to=to)
