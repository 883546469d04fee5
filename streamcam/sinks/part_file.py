"""Files that get their final name only when they are complete."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from streamcam.errors import NoDirectoryError, OutputExistsError, SinkError, map_errors

_unfinished: set[Path] = set()
"""Unfinished files of this process."""


def sink_error(path: Path, problem: str, error: Exception) -> SinkError:
    """Build the error for an output from one of the system's or of FFmpeg's.

    Args:
        path: The output.
        problem: The problem in words, as ``"cannot be written"``.
        error: The foreign error.
    """
    return SinkError(f"{str(path)!r} {problem}: {_reason(error)}")


def _reason(error: Exception) -> object:
    return getattr(error, "strerror", None) or error


def check_output(location: str | Path, *, overwrite: bool, inputs: Iterable[Path | None]) -> Path:
    """Check, before any work, that a file can be made.

    Args:
        location: The file to make.
        overwrite: Whether an existing one may be replaced.
        inputs: Files that must never be written to.

    Raises:
        OutputExistsError: if it exists, or is one of the inputs, or its unfinished file would replace one.
        NoDirectoryError: if there is no directory for it.
        SinkError: if its directory cannot be written to.
    """
    path = Path(location)
    # ValueError: a NUL in the name.
    with map_errors(
        OSError, ValueError, to=lambda error: SinkError(f"cannot write {str(location)!r}: {_reason(error)}")
    ):
        _check_name(path, overwrite=overwrite, inputs=inputs)
        _check_directory(path)
    return path


def _check_name(path: Path, *, overwrite: bool, inputs: Iterable[Path | None]) -> None:
    if path.is_dir():
        raise OutputExistsError(f"{str(path)!r} is a directory; name a file in it")
    for source in inputs:
        if source is None:
            continue
        if same_file(path, source):
            raise OutputExistsError(f"{str(path)!r} is the input itself; give the output another name")
        if same_file(part_path(path), source):
            raise OutputExistsError(
                f"{str(path)!r} grows as {part_path(path).name!r}, which is the input; "
                "give the output another name"
            )
    if path.exists() and not path.is_file():  # renaming would put a file in the place of /dev/null
        raise OutputExistsError(f"{str(path)!r} is not a file, but a device or pipe; give another name")
    if path.exists() and not overwrite:
        raise OutputExistsError(f"{str(path)!r} exists already; give `overwrite=True` to replace it")


def _check_directory(path: Path) -> None:
    if not path.parent.is_dir():
        raise NoDirectoryError(f"there is no directory {str(path.parent)!r}; make it first")
    part = part_path(path)
    existed = part.exists()
    with part.open("ab"):  # the only sure test of permissions, quotas and read-only file systems
        pass
    if not existed:
        part.unlink()


def same_file(first: Path, second: Path) -> bool:
    """Return whether two names lead to the same file, through links too."""
    try:
        return first.samefile(second)
    except OSError:  # one of them does not exist
        return os.path.abspath(first) == os.path.abspath(second)  # noqa: PTH100 - resolve() follows links


def part_path(path: Path) -> Path:
    """Return the name of an unfinished file: beside the final one, so that renaming is one step."""
    return path.with_name(path.name + ".part")


def begin(path: Path) -> Path:
    """Return the name of an unfinished file, and remember it until `commit` or `discard`."""
    part = part_path(path).absolute()
    _unfinished.add(part)
    return part


def begin_directory(part: Path) -> Path:
    """Make an empty directory for unfinished files, and remember it until `end_directory`.

    Raises:
        OSError: if the disk refuses.
    """
    shutil.rmtree(part, ignore_errors=True)  # of a run that was killed
    part.mkdir()
    _unfinished.add(part.absolute())
    return part


def end_directory(part: Path) -> None:
    """Forget a directory, and remove it if there is one."""
    shutil.rmtree(part, ignore_errors=True)
    _unfinished.discard(part.absolute())


def commit(path: Path) -> None:
    """Rename a complete file to its final name.

    Raises:
        SinkError: if the file system refuses.
    """
    with map_errors(
        OSError, to=lambda error: sink_error(part_path(path), "is complete but cannot be renamed", error)
    ):
        part_path(path).replace(path)
        _unfinished.discard(part_path(path).absolute())


def discard(path: Path) -> None:
    """Remove an unfinished file, if there is one."""
    part_path(path).unlink(missing_ok=True)
    _unfinished.discard(part_path(path).absolute())


def discard_all() -> None:
    """Remove every unfinished file of this process: it ends without finishing or aborting anything."""
    for part in tuple(_unfinished):
        with contextlib.suppress(OSError):
            shutil.rmtree(part) if part.is_dir() else part.unlink()
