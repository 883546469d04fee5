"""Printing lines, also where the terminal or pipe may be gone, and writing files of figures."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TextIO

import click


def say(text: str, *, err: bool = False) -> None:
    """Print a line; ignore a closed pipe or a full disk, which do not change the result of the work."""
    try:
        click.echo(text, err=err)
    except OSError:
        mute(sys.stderr if err else sys.stdout)


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a stream is a terminal; it is None if the program was started without it."""
    return stream is not None and stream.isatty()


def flush_or_mute(stream: TextIO) -> None:
    """Write what a stream still holds; drop it where that fails, as on a full disk."""
    try:
        stream.flush()
    except OSError:
        mute(stream)


def mute(stream: TextIO) -> None:
    """Redirect a stream to the null device, so that Python does not fail at exit when it flushes it."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


def write_figures(name: str, text: str) -> None:
    """Write a file of figures; one that is there is replaced.

    Raises:
        SinkError: if it cannot be written.
    """
    from streamcam.files import unfinished

    with unfinished(Path(name)) as part:
        part.write_text(text, encoding="utf-8")
