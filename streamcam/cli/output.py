"""Telling the user something, where perhaps nobody is listening any more."""

from __future__ import annotations

import os
import sys
from typing import TextIO

import click


def say(text: str, *, err: bool = False) -> None:
    """Print a line. A pipe that was closed or a disk that is full does not change what became of the work."""
    try:
        click.echo(text, err=err)
    except OSError:
        mute(sys.stderr if err else sys.stdout)


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether a person reads along; where a program was started without a stream, Python has None."""
    return stream is not None and stream.isatty()


def mute(stream: TextIO) -> None:
    """Lead a stream to nowhere, or Python would complain at its exit of what it could not deliver."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
