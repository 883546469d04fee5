"""Inputs that are not on the disk, and sources of what was copied from them: standard input, for one.

They are copied to a temporary file first, because a video is read more than once: its images, its audio, and
what its index promises.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from streamcam.errors import (
    InvalidArgumentError,
    SourceError,
    StreamcamError,
    map_errors,
)
from streamcam.frames import Frame, SourceInfo, SourceReport
from streamcam.sources.base import Source

STANDARD_INPUT = "-"

_CHUNK_BYTES = 1 << 20

_LEAST_FREE_BYTES = 1 << 28
"""Disk space that is left for others."""


def is_standard_input(location: str | int | Path) -> bool:
    """Return whether a location means standard input; a file of that name is ``./-``."""
    return location == STANDARD_INPUT


def is_web_url(location: str | int | Path) -> bool:
    """Return whether a location is a URL of a web server."""
    return isinstance(location, str) and location.lower().startswith(("http://", "https://"))


class TemporaryFile:
    """A file that is deleted when it is closed, in a folder of its own."""

    def __init__(self, name: str, suffix: str = "") -> None:
        """Make an empty file.

        Args:
            name: The input, for messages.
            suffix: The ending of the file's name.

        Raises:
            SourceError: if it cannot be made.
        """
        self.name = name
        with map_errors(OSError, to=self._failure):
            self._folder = Path(tempfile.mkdtemp(prefix="streamcam-"))
        self.path = self._folder / f"input{suffix}"

    def fill(self, read: Callable[[int], bytes], expected: int | None = None) -> None:
        """Copy an input to its end.

        Args:
            read: Returns up to as many bytes as asked for; none at the end.
            expected: How many there should be; None if that is unknown.

        Raises:
            SourceError: if the disk is too small, or not everything came.
        """
        self._check_space(expected or 0)
        count = 0
        with map_errors(OSError, to=self._failure), self.path.open("wb") as file:
            while chunk := read(_CHUNK_BYTES):
                file.write(chunk)
                count += len(chunk)
                self._check_space(0)
        if not count:
            raise SourceError(f"{self.name!r} is empty")
        if expected is not None and count < expected:
            raise SourceError(f"{self.name!r} broke off after {count} of {expected} bytes; try again")
        os.utime(self.path, (0, 0))  # so that a resumed render recognizes it by what is in it

    def set_time(self, time_s: float) -> None:
        """Set when the file was last changed, in seconds since 1970."""
        os.utime(self.path, (time_s, time_s))

    def close(self) -> None:
        """Delete the file; may be called again."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_space(self, more: int) -> None:
        if shutil.disk_usage(self._folder).free - more < _LEAST_FREE_BYTES:
            raise SourceError(
                f"{self.name!r} does not fit into {str(self._folder.parent)!r}; set TMPDIR to a folder on a "
                "larger disk, or use streamcam live if it has no end"
            )

    def _failure(self, error: Exception) -> SourceError:
        reason = getattr(error, "strerror", None) or str(error)
        return SourceError(f"{self.name!r} cannot be copied to a temporary file: {reason}")


class FetchedSource(Source):
    """A source of a temporary file, which is deleted when the source is closed."""

    def __init__(self, file: TemporaryFile, open_file: Callable[[Path], Source]) -> None:
        """Open a file that was copied.

        Args:
            file: The file.
            open_file: Opens it as what it is.

        Raises:
            SourceError: if it holds no image that can be decoded.
        """
        self._file = file
        with self._named():
            self._source = open_file(file.path)
        self.is_live = self._source.is_live

    @property
    def info(self) -> SourceInfo:
        """Description of the file, under the name of the input."""
        return dataclasses.replace(self._source.info, name=self._file.name)

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames, once."""
        with self._named():
            yield from self._source

    def report(self) -> SourceReport:
        """Return what was found while reading."""
        return self._source.report()

    def stop(self) -> None:
        """End the iteration soon."""
        super().stop()
        self._source.stop()

    def close(self) -> None:
        """Close the file and delete it."""
        self._source.close()
        self._file.close()

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Let errors name the input, not the temporary file."""
        try:
            yield
        except StreamcamError as error:
            raise type(error)(str(error).replace(str(self._file.path), self._file.name)) from error.__cause__


def fetch_standard_input(open_file: Callable[[Path], Source]) -> Source:
    """Open what is sent to standard input, once all of it has come.

    Args:
        open_file: Opens a file as what it is.

    Raises:
        InvalidArgumentError: if nothing is sent to it.
        SourceError: if it holds no image that can be decoded.
    """
    if sys.stdin is None or sys.stdin.isatty():
        raise InvalidArgumentError("nothing is sent to standard input; name a file, or pipe one in")
    with contextlib.ExitStack() as undo:
        file = undo.enter_context(TemporaryFile("standard input"))
        file.fill(sys.stdin.buffer.read)
        source = FetchedSource(file, open_file)
        undo.pop_all()
    return source
