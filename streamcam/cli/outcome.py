"""Messages about a finished or interrupted render, and its exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from streamcam.cli.exit_codes import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED
from streamcam.cli.flags import name_flags
from streamcam.cli.output import say
from streamcam.cli.signals import SignalCount

if TYPE_CHECKING:
    from streamcam.frames import SourceReport
    from streamcam.pipeline.results import RenderResult
    from streamcam.pipeline.resume import ResumeState
    from streamcam.pipeline.settings import RenderSettings


def print_result(result: RenderResult, settings: RenderSettings) -> None:
    """Print the notes, and what was written and how fast."""
    from streamcam.sinks import is_standard_output, output_size

    print_notes(result)
    if not result.frames:
        return
    realtime = ""
    if result.fps and result.frames > 1:
        realtime = f", {result.fps:.1f} fps, {result.video_s / result.elapsed_s:.1f}x real time"
    beside = {"maps": settings.sidecar, "evidence": settings.evidence}
    others = "".join(
        f"; {what}: {click.format_filename(path)}" for what, path in beside.items() if path is not None
    )
    is_sent = is_standard_output(result.output)
    what = "sent to standard output"
    if not is_sent:
        what = f"wrote {click.format_filename(result.output)} ({human_size(output_size(result.output))})"
    say(
        f"{what}: {_describe_frames(result)} in {result.elapsed_s:.1f} s{realtime}{others}",
        err=is_sent,
    )


def print_notes(result: RenderResult) -> None:
    """Print the notes, but those that are part of the outcome."""
    for note in notes_to_print(result):
        say(f"note: {note}", err=True)


def notes_to_print(result: RenderResult) -> list[str]:
    """Return the notes with the names of flags, but those that `describe_problems` says again."""
    from streamcam.pipeline.map_counts import note_empty_frames

    said_again = note_empty_frames(result.empty, result.explained) if result.shows_nothing else []
    return [name_flags(note) for note in result.notes if note not in said_again]


def resume_message(output: str, kept: ResumeState) -> str:
    """Return the message about where a render resumes."""
    return f"streamcam: resuming at frame {kept.frames + 1}: {_describe_saved(kept, output)}"


def abort_message(output: str | None) -> str:
    """Return the message about a render that is aborted; `output` is given if it can be resumed."""
    if output is None:
        return "streamcam: interrupted; unfinished output was deleted"
    return f"streamcam: interrupted; work that is not in {output + '.parts'!r} yet was discarded"


def print_outcome(result: RenderResult, source: str, signals: SignalCount) -> int:
    """Print what is missing in the output, if anything, and return the exit code."""
    output = repr(str(result.output))
    if result.interrupted and result.kept is not None and result.kept.frames:
        kept = _describe_saved(result.kept, str(result.output))
        say(f"streamcam: interrupted; {kept}, and the same command resumes there", err=True)
    elif result.interrupted and not result.frames:
        say("streamcam: interrupted before anything was finished; nothing was written", err=True)
    elif result.interrupted:
        say(f"streamcam: interrupted; {output} contains {_frames(result)} rendered so far", err=True)
    elif signals.received and result.complete:
        say(f"streamcam: interrupted, but {output} was being completed and is whole", err=True)
    for problem in describe_problems(result, source):
        say(f"streamcam: error: {problem}", err=True)
    if result.interrupted and (damaged := _damaged(result.source)):
        say(f"streamcam: {source!r} is damaged: {'; '.join(damaged)}", err=True)
    if signals.received:
        return EXIT_INTERRUPTED
    return EXIT_DONE if result.complete and not result.shows_nothing else EXIT_FAILED


def describe_problems(result: RenderResult, source: str) -> list[str]:
    """Describe what is missing in an output, unless it was interrupted, and whether no map shows anything."""
    problems = []
    if result.interrupted:
        pass
    elif result.frames_lost:
        lost = f"{result.frames_lost} of {_count(result.source.frames_due, 'frame')}"
        problems.append(
            f"{str(result.output)!r} is missing {lost} that were read; this is a bug in streamcam"
        )
    elif not result.complete:
        problems.append(f"{source!r} is damaged: {_damage(result)}")
    if result.shows_nothing:
        from streamcam.empty_maps import EMPTY_MAPS

        reasons = "; ".join(name_flags(EMPTY_MAPS[reason]) for reason in result.empty)
        problems.append(f"no frame of {source!r} has a map: {reasons}")
    return problems


def _describe_frames(result: RenderResult) -> str:
    """Describe how many frames are in the output, and how many of them are new."""
    parts = [_count(result.frames, "frame")]
    if result.explained < result.frames:
        parts.append(f"{result.explained} of them explained")
    if not result.carried:
        return ", ".join(parts) + ("," if len(parts) > 1 else "")
    parts.append(f"{result.carried} from the last run")
    return f"{', '.join(parts)}; {result.frames - result.carried} new"


def _describe_saved(kept: ResumeState, output: str) -> str:
    rest = kept.frames - kept.encoded
    which = f"{rest} of them" if kept.encoded else "all"
    state = f" ({which} explained, not encoded yet)" if rest else ""
    return f"{output + '.parts'!r} contains {_count(kept.frames, 'frame')}{state}"


def _damage(result: RenderResult) -> str:
    report = result.source
    problems = [*([report.shortfall] if report.shortfall is not None else []), *_damaged(report)]
    readable = _frames(result)
    if report.frames_due != report.frames_read:
        readable = f"{_count(result.frames, 'frame')} made of the {report.frames_read}"
    return f"{'; '.join(problems)}; {str(result.output)!r} contains {readable} that could be read"


def _damaged(report: SourceReport) -> list[str]:
    """Describe the damage of the input."""
    problems = []
    if report.packets_damaged:
        problems.append(f"{_count(report.packets_damaged, 'packet')} could not be decoded")
    if report.frames_damaged:
        is_or_are = "is" if report.frames_damaged == 1 else "are"
        problems.append(f"{_count(report.frames_damaged, 'frame')} {is_or_are} partly damaged")
    return problems


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _frames(result: RenderResult) -> str:
    return "the one frame" if result.frames == 1 else f"the {result.frames} frames"


def human_size(size: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
