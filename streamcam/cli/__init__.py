"""The command line: parse, build, run, report. One module per command."""

from streamcam.cli.main import cli, run

__all__ = ["cli", "run"]
