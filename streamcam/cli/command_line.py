"""The command line that is being run, as it can be typed again."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence

import click
from click.core import ParameterSource

_ARGUMENTS = "streamcam.arguments"


def remember_arguments(context: click.Context, arguments: Sequence[str]) -> None:
    """Keep the words after ``streamcam`` for `command_line`."""
    context.meta[_ARGUMENTS] = list(arguments)


def command_line() -> str:
    """Return the command that is being run, with the environment variables that it reads.

    URLs are without passwords and keys.
    """
    from streamcam.media.urls import redact

    context = click.get_current_context()
    read = [
        f"{parameter.envvar}={shlex.quote(os.environ.get(str(parameter.envvar), ''))}"
        for parameter in context.command.params
        if parameter.name and context.get_parameter_source(parameter.name) is ParameterSource.ENVIRONMENT
    ]
    words = [redact(word) for word in context.meta[_ARGUMENTS]]
    return " ".join([*read, shlex.join(["streamcam", *words])])
