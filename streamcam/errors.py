"""The errors streamcam raises on purpose.

Each says in one line what is wrong, names the thing, and gives the way out. Each also inherits the
builtin that fits, so that ``except FileNotFoundError`` works as anyone would expect. ``exit_code`` is
what the command line returns: 1 when the work failed, 2 when the request itself cannot be carried out.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class StreamcamError(Exception):
    """Base of every error that streamcam raises on purpose."""

    exit_code = 1


class InvalidArgumentError(StreamcamError, ValueError):
    """An option or argument has a value that cannot be used."""

    exit_code = 2


class UnknownNameError(InvalidArgumentError):
    """A model, method, class, layer, colour map or codec of that name does not exist."""


class SourceError(StreamcamError, OSError):
    """An input cannot be opened, or holds nothing that can be shown."""


class SourceNotFoundError(SourceError, FileNotFoundError):
    """The input does not exist, or is not a file."""

    exit_code = 2


class SinkError(StreamcamError, OSError):
    """An output cannot be written."""


class NoDirectoryError(SinkError, FileNotFoundError):
    """The directory that an output is to lie in does not exist."""

    exit_code = 2


class OutputExistsError(SinkError, FileExistsError):
    """The output exists already, or is the input itself."""

    exit_code = 2


class ModelError(StreamcamError, RuntimeError):
    """A model cannot be built, loaded or explained."""


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
