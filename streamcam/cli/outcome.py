"""What is said of a render that has ended, and its exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from streamcam.cli.exit_codes import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED
from streamcam.cli.flags import name_flags
from streamcam.cli.output import say
from streamcam.cli.signals import SignalCount

if TYPE_CHECKING:
    from streamcam.frames import SourceReport
    from streamcam.pipeline.render import RenderResult
    from streamcam.pipeline.resume import ResumeState


def tell(result: RenderResult, sidecar: str | None) -> None:
    """Say what was made and how fast, and what is to be known about it."""
    from streamcam.sinks import output_size

    for note in result.notes:
        say(f"note: {name_flags(note)}", err=True)
    if not result.frames:
        return
    realtime = ""
    if result.fps and result.frames > 1:
        realtime = f", {result.fps:.1f} fps, {result.video_s / result.elapsed_s:.1f}x real time"
    maps = "" if sidecar is None else f"; its maps: {click.format_filename(sidecar)}"
    name, size = click.format_filename(result.output), human_size(output_size(result.output))
    say(f"wrote {name} ({size}): {_made(result)} in {result.elapsed_s:.1f} s{realtime}{maps}")


def tell_resumption(output: str, kept: ResumeState) -> str:
    """Put into words where a render goes on."""
    return f"streamcam: going on from frame {kept.frames + 1}: {_kept(kept, output)}"


def tell_departure(output: str | None) -> str:
    """Put into words what becomes of a render that is left at once; of one to be resumed, say its output."""
    if output is None:
        return "streamcam: interrupted; what was unfinished is thrown away"
    return f"streamcam: interrupted; what {output + '.parts'!r} does not hold yet is thrown away"


def judge(result: RenderResult, source: str, signals: SignalCount) -> int:
    """Say what the output lacks, if anything; return the exit code."""
    output = repr(str(result.output))
    if result.interrupted and result.kept is not None and result.kept.frames:
        kept = _kept(result.kept, str(result.output))
        say(f"streamcam: interrupted; {kept}, and the same command goes on from there", err=True)
    elif result.interrupted and not result.frames:
        say("streamcam: interrupted before anything was finished; nothing was written", err=True)
    elif result.interrupted:
        say(f"streamcam: interrupted; {output} holds {_frames(result)} rendered until then", err=True)
    elif result.frames_lost:
        lost = f"{result.frames_lost} of {_count(result.source.frames_due, 'frame')}"
        say(
            f"streamcam: error: {output} lacks {lost} that were read; this is a defect of streamcam", err=True
        )
    elif not result.complete:
        say(f"streamcam: error: {source!r} is damaged: {_damage(result)}", err=True)
    elif signals.received:
        say(f"streamcam: interrupted, but {output} was about to be finished and is whole", err=True)
    if result.interrupted and (spoiled := _spoiled(result.source)):
        say(f"streamcam: {source!r} is damaged: {'; '.join(spoiled)}", err=True)
    if signals.received:
        return EXIT_INTERRUPTED
    return EXIT_DONE if result.complete else EXIT_FAILED


def _made(result: RenderResult) -> str:
    """Count what is in the output, and, last, what is new in it."""
    parts = [_count(result.frames, "frame")]
    if result.explained < result.frames:
        parts.append(f"{result.explained} of them explained")
    if not result.carried:
        return ", ".join(parts) + ("," if len(parts) > 1 else "")
    parts.append(f"{result.carried} from before")
    return f"{', '.join(parts)}; {result.frames - result.carried} more"


def _kept(kept: ResumeState, output: str) -> str:
    rest = kept.frames - kept.encoded
    which = f"{rest} of them" if kept.encoded else "all"
    state = f" ({which} explained, not encoded yet)" if rest else ""
    return f"{output + '.parts'!r} keeps {_count(kept.frames, 'frame')}{state}"


def _damage(result: RenderResult) -> str:
    report = result.source
    found = [*([report.shortfall] if report.shortfall is not None else []), *_spoiled(report)]
    held = _frames(result)
    if report.frames_due != report.frames_read:
        held = f"{_count(result.frames, 'frame')} made of the {report.frames_read}"
    return f"{'; '.join(found)}; {str(result.output)!r} holds {held} that could be read"


def _spoiled(report: SourceReport) -> list[str]:
    """Count what was found damaged."""
    found = []
    if report.packets_damaged:
        found.append(f"{_count(report.packets_damaged, 'packet')} could not be decoded")
    if report.frames_damaged:
        is_or_are = "is" if report.frames_damaged == 1 else "are"
        found.append(f"{_count(report.frames_damaged, 'frame')} {is_or_are} spoiled in part")
    return found


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
