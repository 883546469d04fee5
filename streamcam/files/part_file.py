"""Files that get their final name only when they are complete."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from streamcam.errors import NoDirectoryError, OutputExistsError, SinkError, map_errors
from streamcam.files.locks import leads_to, lock, unlock

_parts: dict[Path, int | None] = {}
"""Unfinished files and directories of this process → the locks on them; see `lock`."""


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
        OutputExistsError: if it exists, or is one of the inputs, or its unfinished file would replace one, or
            another render is writing it.
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
    descriptor = lock(part, path)
    try:
        with part.open("ab"):  # the only sure test of permissions, quotas and read-only file systems
            pass
        if not existed:
            part.unlink()
    finally:
        unlock(descriptor)


def same_file(first: Path, second: Path) -> bool:
    """Return whether two names lead to the same file, through links too."""
    try:
        return first.samefile(second)
    except OSError:  # one of them does not exist
        return os.path.abspath(first) == os.path.abspath(second)  # noqa: PTH100 - resolve() follows links


def part_path(path: Path) -> Path:
    """Return the name of an unfinished file: beside the final one, so that renaming is one step."""
    return path.with_name(path.name + ".part")


def begin(path: Path, *, is_private: bool = False) -> Path:
    """Lock the name of an unfinished file until `commit` or `discard`, and return it.

    Args:
        path: The final name.
        is_private: Whether only its owner may read it.

    Raises:
        OutputExistsError: if another render is writing it.
        SinkError: if it cannot be made.
    """
    part = part_path(path).absolute()
    with map_errors(OSError, to=lambda error: sink_error(path, "cannot be written", error)):
        if is_private:  # before anything is in it
            part.touch(0o600)
            part.chmod(0o600)  # what a killed process left
        _parts[part] = lock(part, path)
    return part


@contextlib.contextmanager
def unfinished(path: Path, *, overwrite: bool = True, is_private: bool = False) -> Iterator[Path]:
    """Write a file in one go, under another name until it is complete. Where that fails, nothing is left.

    Args:
        path: The final name.
        overwrite: Whether a file of that name is replaced.
        is_private: Whether only its owner may read it.

    Yields:
        The empty file to write to.

    Raises:
        OutputExistsError: if another process is writing it, or a file of that name must not be replaced.
        SinkError: if it cannot be written.
    """
    part = begin(path, is_private=is_private)
    try:
        with map_errors(OSError, to=lambda error: sink_error(path, "cannot be written", error)):
            part.write_bytes(b"")  # without what a process left that was killed
            yield part
    except BaseException:
        discard(path)
        raise
    commit(path, overwrite=overwrite)


def begin_directory(part: Path, output: Path) -> Path:
    """Make an empty directory for unfinished files, locked until `end_directory`.

    Args:
        part: The directory.
        output: The output that it is for.

    Raises:
        OutputExistsError: if another render is writing it.
        SinkError: if the disk refuses.
    """
    with map_errors(OSError, to=lambda error: sink_error(output, "cannot be written", error)):
        part.mkdir(exist_ok=True)
        _parts[part.absolute()] = lock(part, output)
        for left in part.iterdir():  # of a run that was killed
            shutil.rmtree(left) if left.is_dir() else left.unlink()
    return part


def end_directory(part: Path) -> None:
    """Remove a directory if it is there, and release its lock."""
    shutil.rmtree(part, ignore_errors=True)
    unlock(_parts.pop(part.absolute(), None))


def leave_directory(part: Path) -> None:
    """Release the lock on a directory, which stays as it is."""
    unlock(_parts.pop(part.absolute(), None))


def check_part(path: Path) -> None:
    """Check that an unfinished file is still where it was made.

    Raises:
        SinkError: if it was deleted or moved, or its directory was.
    """
    part = part_path(path).absolute()
    descriptor = _parts.get(part)
    if descriptor is not None and not leads_to(part, descriptor):
        raise SinkError(
            f"{str(path)!r} cannot be written: {part.name!r} or its directory was deleted or moved meanwhile"
        )


def commit(path: Path, *, overwrite: bool = True) -> None:
    """Rename a complete file to its final name. Where that fails, it stays under the other name.

    Args:
        path: The final name.
        overwrite: Whether a file of that name is replaced.

    Raises:
        OutputExistsError: if there is one that must not be replaced.
        SinkError: if the file system refuses.
    """
    part = part_path(path)
    descriptor = _parts.pop(part.absolute(), None)
    try:
        with map_errors(
            OSError, to=lambda error: sink_error(part, "is complete but cannot be renamed", error)
        ):
            if overwrite:
                part.replace(path)
            else:
                _rename_to_new(part, path)
    finally:
        unlock(descriptor)


def _rename_to_new(part: Path, path: Path) -> None:
    """Rename a file, unless there is one of that name."""
    try:
        path.hardlink_to(part)  # which, unlike renaming, fails if the name is taken
    except OSError:  # it is, or the file system has no hard links
        if path.exists():
            raise OutputExistsError(
                f"{str(path)!r} appeared meanwhile and is not replaced; the complete output is "
                f"{str(part)!r}: rename it, or give `overwrite=True` next time"
            ) from None
        part.replace(path)
    else:
        part.unlink()


def discard(path: Path) -> None:
    """Remove an unfinished file, if there is one, and release its lock."""
    part = part_path(path)
    try:
        part.unlink(missing_ok=True)
    finally:
        unlock(_parts.pop(part.absolute(), None))


def discard_all() -> None:
    """Remove every unfinished file of this process: it ends without finishing or aborting anything."""
    for part in tuple(_parts):
        with contextlib.suppress(OSError):
            shutil.rmtree(part) if part.is_dir() else part.unlink()
