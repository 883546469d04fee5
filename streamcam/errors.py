"""The errors streamcam raises on purpose.

Each says in one line what is wrong, names the thing, and gives the way out. Each also inherits the
builtin that fits, so that ``except FileNotFoundError`` works as anyone would expect. A parameter is named in
backticks, as in `` `start_s` `` or `` `overwrite=True` ``; the command line shows its flag instead.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Callable, Iterable, Iterator


class StreamcamError(Exception):
    """Base of every error that streamcam raises on purpose."""


class InvalidArgumentError(StreamcamError, ValueError):
    """An option or argument has a value that cannot be used."""


class UnknownNameError(InvalidArgumentError):
    """A model, method, class, layer, color map or codec of that name does not exist."""


class SourceError(StreamcamError, OSError):
    """An input cannot be opened, or holds nothing that can be shown."""


class SourceNotFoundError(SourceError, FileNotFoundError):
    """The input does not exist, or is not a file."""


class SinkError(StreamcamError, OSError):
    """An output cannot be written."""


class NoDirectoryError(SinkError, FileNotFoundError):
    """The directory that an output is to lie in does not exist."""


class OutputExistsError(SinkError, FileExistsError):
    """The output exists already, or is the input itself."""


class ClusterError(StreamcamError, RuntimeError):
    """A cluster cannot be reached, or its workers cannot be used."""


class ModelError(StreamcamError, RuntimeError):
    """A model cannot be built, loaded or explained."""


class CancelledError(StreamcamError):
    """Explaining was cancelled between two runs of the network: nobody waits for its result any more."""


@contextlib.contextmanager
def map_errors(
    *foreign: type[Exception], to: Callable[[Exception], StreamcamError], chain: bool = True
) -> Iterator[None]:
    """Raise one of streamcam's errors in place of a library's; streamcam's own pass as they are.

    Args:
        foreign: Exception types of the library, as `av.error.FFmpegError`.
        to: Makes the error that is raised instead.
        chain: Whether it refers to the foreign one as its cause. Not where that may hold a password.

    Raises:
        StreamcamError: what `to` returned.
    """
    try:
        yield
    except StreamcamError:
        raise
    except foreign as error:
        raise to(error) from (error if chain else None)


def unknown_name(
    kind: str, name: str, known: Iterable[str], *, listed_by: str | None = None
) -> UnknownNameError:
    """Build the error for a name that is not in a table, with the nearest names that are.

    Args:
        kind: What the name is of, as in ``"method"``.
        name: What was asked for.
        known: Every name that would have been accepted.
        listed_by: The command that prints them all, named where the table is too long to print.
    """
    names = sorted(set(known))
    if len(names) <= 12:
        hint = f"choose one of: {', '.join(names)}"
    else:
        near = (
            difflib.get_close_matches(name, names, n=5, cutoff=0.5)
            or [known_name for known_name in names if name.lower() in known_name.lower()][:5]
        )
        hint = f"the nearest are: {', '.join(near)}" if near else "nothing has a similar name"
    if listed_by is not None:
        hint += f" (all of them: {listed_by})"
    return UnknownNameError(f"unknown {kind} {name!r}; {hint}")
