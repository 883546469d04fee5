"""Checking that an input is a file that can be read."""

from __future__ import annotations

import stat
from pathlib import Path

from streamcam.errors import SourceError, SourceNotFoundError


def is_file(location: str | int | Path) -> bool:
    """Return whether there is a regular file of that name."""
    try:
        return not isinstance(location, int) and Path(location).is_file()
    except (OSError, ValueError):  # a NUL in the name, or a name that is too long
        return False


def check_input_file(location: str | int | Path) -> Path:
    """Make sure that an input is a file with something in it.

    Raises:
        SourceNotFoundError: if there is no such file, or it is a directory, a pipe or a device.
        SourceError: if it is empty or may not be read.
    """
    path, name = Path(str(location)), str(location)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise SourceNotFoundError(f"{name!r} is a directory; give a video or image file")
        if not stat.S_ISREG(mode):  # opening a pipe would wait for its other end
            raise SourceNotFoundError(f"{name!r} is not a file; give a video or image file")
        with path.open("rb") as file:
            is_empty = not file.read(1)
    except SourceError:
        raise
    except (FileNotFoundError, NotADirectoryError):
        raise SourceNotFoundError(f"no file {name!r}; check the path") from None
    except OSError as error:
        raise SourceError(f"{name!r} cannot be read: {error.strerror}") from error
    except ValueError as error:  # a NUL in the name
        raise SourceError(f"{name!r} cannot be read: {error}") from error
    if is_empty:
        raise SourceError(f"{name!r} is empty")
    return path
