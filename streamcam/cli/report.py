"""``streamcam report``: one page on what a network saw in a video."""

from __future__ import annotations

import json

import click

from streamcam.cli.exit_codes import EXIT_DONE
from streamcam.cli.options import debug_option, option
from streamcam.cli.outcome import human_size
from streamcam.cli.output import say
from streamcam.errors import InvalidArgumentError


@click.command("report", short_help="Make a page on what the network saw, from evidence.")
@click.argument("evidence", metavar="EVIDENCE")
@option("-o", "--output", metavar="FILE.html", help="The page to write: one file, which needs no network.")
@option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@option("--overwrite", is_flag=True, help="Replace an existing page.")
@option("--quiet", is_flag=True, help="Print nothing unless something is wrong.")
@debug_option
def report_command(*, evidence: str, output: str | None, as_json: bool, overwrite: bool, quiet: bool) -> int:
    """Report on a video: its classes over time, where labels changed or confidence fell, and average heat.

    EVIDENCE is what streamcam render INPUT --evidence kept.
    """
    from streamcam.evidence import open_evidence
    from streamcam.report import summarize, write_report
    from streamcam.sinks import output_size

    if output is None and not as_json:
        raise InvalidArgumentError("nothing to make: give -o report.html for a page, or --json for figures")
    with open_evidence(evidence) as kept:
        summary = summarize(kept)
        if output is not None:
            write_report(output, summary, overwrite=overwrite)
            if not quiet:
                from pathlib import Path

                say(
                    f"wrote {click.format_filename(output)} ({human_size(output_size(Path(output)))}): "
                    f"{summary.frames} frames, {len(summary.moments)} to look at first",
                    err=as_json,
                )
        if as_json:
            say(json.dumps(summary.figures(), ensure_ascii=False, indent=1, allow_nan=False))
    return EXIT_DONE
