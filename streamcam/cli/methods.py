"""``streamcam methods``: which ways of computing a map there are."""

from __future__ import annotations

import click

from streamcam.cli.options import debug_option
from streamcam.cli.tables import print_table


@click.command("methods", short_help="List the ways of computing a map.")
@debug_option
def methods_command() -> None:
    """List the methods, what each one costs and when to choose it.

    Options are given behind a colon, as in --method occlusion:patch=32,stride=16.
    """
    from streamcam.cam import METHODS

    print_table(
        ("method", "title", "passes", "options", "when to choose it", "paper"),
        [
            (
                name,
                method.title,
                method.passes,
                ",".join(f"{key}={value}" for key, value in method.options.items()),
                method.when,
                method.paper,
            )
            for name, method in METHODS.items()
        ],
    )
