"""The command line: parse, run, print. One module per command."""

from streamcam.cli.main import cli, run

__all__ = ["cli", "run"]
