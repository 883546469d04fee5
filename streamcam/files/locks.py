"""Locks on unfinished files and directories, so that no two renders write the same one.

The system releases a lock when its process ends, however it ends: what a dead process left can be taken over.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from pathlib import Path

from streamcam.errors import OutputExistsError

if sys.platform != "win32":  # there, open files cannot be removed or replaced anyway
    import fcntl

_ATTEMPTS = 5
"""A check of an output holds the lock for a moment: where nobody is known to hold it any more, try again."""

_log = logging.getLogger("streamcam.files")


def lock(path: Path, output: Path) -> int | None:
    """Lock an unfinished file, which is made if there is none, or a directory, which must exist.

    Args:
        path: The file or directory to lock.
        output: The output that it belongs to.

    Returns:
        A file descriptor, which holds the lock until it is closed; None on Windows.

    Raises:
        OutputExistsError: if another render holds it.
        OSError: if it cannot be made or opened.
    """
    if sys.platform == "win32":
        return None
    refusals = 0
    while True:
        descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(descriptor)
            os.close(descriptor)
            refusals += 1
            if holder is None and refusals < _ATTEMPTS:
                continue
            raise OutputExistsError(
                f"{str(output)!r} is being written by {holder or 'another process'}; "
                "wait for it, or give the output another name"
            ) from None
        except OSError as error:
            _log.debug("%s cannot be locked: %s", path, error)
            return descriptor
        if leads_to(path, descriptor):
            return descriptor
        os.close(descriptor)  # its holder finished and renamed it in between


def leads_to(path: Path, descriptor: int) -> bool:
    """Return whether a name still leads to an open file or directory."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False


def unlock(descriptor: int | None) -> None:
    """Release a lock."""
    if descriptor is not None:
        os.close(descriptor)


def _holder(descriptor: int) -> str | None:
    """Name the process that locks an open file; None if it is gone, or the system does not tell."""
    status = os.fstat(descriptor)
    with contextlib.suppress(OSError, ValueError, IndexError):
        # 1: FLOCK  ADVISORY  WRITE 4242 08:01:131090 0 EOF
        for line in Path("/proc/locks").read_text("ascii").splitlines():
            fields = line.split()
            if fields[1] != "FLOCK" or int(fields[4]) <= 0:
                continue
            if int(fields[5].rpartition(":")[2]) == status.st_ino:
                return f"process {fields[4]}"
    return None
