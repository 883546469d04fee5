"""Renders of several files: progress, a line for what fails, and a table at the end."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from streamcam.cli.exit_codes import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED
from streamcam.cli.flags import name_flags
from streamcam.cli.outcome import abort_message, describe_problems, notes_to_print, resume_message
from streamcam.cli.output import say
from streamcam.cli.progress import ProgressLine, ProgressRow
from streamcam.cli.signals import SignalCount, leave, stop_on_signal
from streamcam.cli.tables import print_table

if TYPE_CHECKING:
    from streamcam.pipeline.explainers import NetworkExplainer
    from streamcam.pipeline.file_renderers import RendererPool
    from streamcam.pipeline.jobs import RenderJob
    from streamcam.pipeline.many_results import JobResult, RenderManyResult
    from streamcam.pipeline.render_many import ManyPlan


OpenPool = Callable[[ProgressLine], contextlib.AbstractContextManager["RendererPool"]]
"""Makes what renders files, and shows on the progress line what it does."""


@contextlib.contextmanager
def local_pool(
    load: Callable[[ProgressLine], NetworkExplainer], jobs: int | Literal["auto"], line: ProgressLine
) -> Iterator[RendererPool]:
    """Render in this process.

    Args:
        load: Makes the explainer.
        jobs: How many files are rendered beside each other.
        line: Shows what is being done.
    """
    from streamcam.pipeline.file_renderers import check_jobs, local_renderers

    check_jobs(jobs)
    yield local_renderers(load(line), jobs)


def render_files(
    plan: ManyPlan,
    open_pool: OpenPool,
    *,
    quiet: bool,
) -> int:
    """Run a render of several files, and print what became of each.

    Args:
        plan: The files.
        open_pool: Makes what renders them.
        quiet: Whether to print errors only.

    Returns:
        The exit code: 1 if a file failed.
    """
    signals = SignalCount()
    total = len(plan.jobs)
    with ProgressLine(quiet=quiet) as line, contextlib.ExitStack() as handling:
        line.ending = "keeping what is finished"

        rows: dict[str | Path, ProgressRow] = {}
        finished = 0

        def begin(index: int, job: RenderJob) -> None:
            line.count(finished, total)
            rows[job.output] = line.add_row(f"[{index + 1}/{total}] {_short(job.source)}")
            rows[job.output].activity = "explaining the first frames"

        def report(result: JobResult) -> None:
            nonlocal finished
            finished += 1
            line.count(finished, total)
            if result.job.output in rows:
                rows.pop(result.job.output).remove()
            for message in _problems(result):
                line.print_above(f"streamcam: error: {message}", always=True)
            for note in () if result.result is None else notes_to_print(result.result):
                line.note(f"{_short(result.job.source)}: {note}")

        pool = handling.enter_context(open_pool(line))
        departure = abort_message(None)
        handling.enter_context(
            stop_on_signal(plan.stop, line.announce_stop, lambda: leave(line, departure), signals)
        )
        result = plan.run_with(
            pool,
            on_progress=lambda job, progress: rows[job.output].update(progress),
            on_job=begin,
            on_result=report,
            on_resume=lambda job, kept: line.print_above(resume_message(str(job.output), kept)),
        )
    if not quiet:
        _print_table(result)
    return _finish(result, total, signals, quiet=quiet)


def _problems(result: JobResult) -> list[str]:
    """Describe why an output is missing or not whole; nothing where it is whole."""
    source = str(result.job.source)
    if result.error is not None:
        message = name_flags(str(result.error))
        return [message if source in message else f"{source!r}: {message}"]
    if result.result is None or result.result.interrupted:
        return []
    return describe_problems(result.result, source)


def _short(source: object) -> str:
    """Return the last part of a name."""
    return str(source).rstrip("/").rpartition("/")[2]


def _print_table(result: RenderManyResult) -> None:
    rows = [
        (
            click.format_filename(str(job.job.source)),
            click.format_filename(str(job.job.output)) if job.frames else "",
            job.status,
            str(job.frames or ""),
            f"{job.elapsed_s:.1f}" if job.elapsed_s else "",
        )
        for job in result.jobs
    ]
    if rows:
        print_table(("input", "output", "status", "frames", "seconds"), rows, numbers=("frames", "seconds"))


def _finish(result: RenderManyResult, total: int, signals: SignalCount, *, quiet: bool) -> int:
    """Print a summary, and return the exit code."""
    counts = Counter(job.status for job in result.jobs)
    waiting = total - len(result.jobs)
    if waiting:
        counts["not begun"] = waiting
    summary = ", ".join(f"{count} {status}" for status, count in counts.items())
    if not quiet:
        manifest = click.format_filename(result.manifest)
        files = "1 file" if total == 1 else f"{total} files"
        say(f"{files} in {result.elapsed_s:.1f} s: {summary}; manifest: {manifest}")
    if signals.received:
        if result.interrupted:
            say("streamcam: interrupted; the same command goes on with what is missing", err=True)
        return EXIT_INTERRUPTED
    return EXIT_DONE if result.complete else EXIT_FAILED
