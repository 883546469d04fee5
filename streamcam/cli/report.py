"""``streamcam report``: one page on what a network saw in a video, or on what two saw."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import click

from streamcam.cli.exit_codes import EXIT_DONE
from streamcam.cli.options import debug_option, option
from streamcam.cli.outcome import human_size
from streamcam.cli.output import say
from streamcam.errors import InvalidArgumentError


@click.command("report", short_help="Make a page on what the network saw, from evidence.")
@click.argument("evidence", metavar="EVIDENCE [OTHER]", nargs=-1, required=True)
@option("-o", "--output", metavar="FILE.html", help="The page to write: one file, which needs no network.")
@option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@option("--overwrite", is_flag=True, help="Replace an existing page.")
@option("--quiet", is_flag=True, help="Print nothing unless something is wrong.")
@debug_option
def report_command(
    *, evidence: tuple[str, ...], output: str | None, as_json: bool, overwrite: bool, quiet: bool
) -> int:
    """Report on a video: its classes over time, where labels changed or confidence fell, and average heat.

    EVIDENCE is what streamcam render INPUT --evidence kept. With OTHER, of the same video, the page says what
    differs between the two networks or methods, and where most.
    """
    from streamcam.evidence import open_evidence
    from streamcam.report import build_comparison_page, build_page, compare, summarize, write_page
    from streamcam.sinks import check_output, output_size

    if output is None and not as_json:
        raise InvalidArgumentError("nothing to make: give -o report.html for a page, or --json for figures")
    if len(evidence) > 2:
        raise InvalidArgumentError(f"a report is on one evidence file, or compares two, not {len(evidence)}")
    paths = [Path(path) for path in evidence]
    if output is not None:
        check_output(output, overwrite=overwrite, inputs=paths)
    with contextlib.ExitStack() as opened:
        first, *others = [summarize(opened.enter_context(open_evidence(path))) for path in paths]
        comparison = compare(first, others[0]) if others else None
        if output is not None:
            text = build_page(first) if comparison is None else build_comparison_page(comparison)
            write_page(output, text, paths, overwrite=overwrite)
            if not quiet:
                size = human_size(output_size(Path(output)))
                say(f"wrote {click.format_filename(output)} ({size}): {first.frames} frames", err=as_json)
        if as_json:
            figures = first.figures() if comparison is None else comparison.figures()
            say(json.dumps(figures, ensure_ascii=False, indent=1, allow_nan=False))
    return EXIT_DONE
