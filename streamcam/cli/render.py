"""``streamcam render``: a file in, a file out."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from streamcam.cli.exit_codes import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED
from streamcam.cli.options import (
    NUMBER,
    batch_option,
    debug_option,
    encoding_options,
    explanation_options,
    model_options,
    option,
    overlay_options,
    reading_options,
    temporal_options,
)
from streamcam.cli.progress import ProgressLine
from streamcam.cli.saying import say
from streamcam.cli.signals import SignalCount, stop_on_signal
from streamcam.errors import InvalidArgumentError

if TYPE_CHECKING:
    from streamcam.cam import Explainer
    from streamcam.overlay import OverlaySettings
    from streamcam.pipeline import ExplainedStream, RenderResult
    from streamcam.sinks import EncoderSettings
    from streamcam.sources import ReadingSettings
    from streamcam.temporal import TemporalSettings


@dataclasses.dataclass(frozen=True, slots=True)
class _Request:
    """What is to be rendered, apart from the network."""

    source: str
    output: str
    sidecar: str | None
    start_s: float | None
    end_s: float | None
    overwrite: bool
    resume: bool
    temporal: TemporalSettings
    overlay: OverlaySettings
    reading: ReadingSettings
    encoder: EncoderSettings


@click.command("render", short_help="Turn a film or picture into labelled heatmap footage.")
@click.argument("source", metavar="INPUT")
@option(
    "-o", "--output", required=True, metavar="FILE", help="The file to make; its suffix chooses the kind."
)
@option("--overwrite", is_flag=True, help="Replace existing output files.")
@option(
    "--resume",
    is_flag=True,
    help="Keep what is finished in OUTPUT.parts while it works, and go on from what is there.",
)
@option(
    "--sidecar",
    metavar="FILE.jsonl",
    help="Also write the raw maps and predictions, one JSON object a frame.",
)
@option("--start", "start_s", type=NUMBER, metavar="SECONDS", help="Where to start.")
@option("--end", "end_s", type=NUMBER, metavar="SECONDS", help="Where to end.")
@option("--duration", "duration_s", type=NUMBER, metavar="SECONDS", help="How much of it, instead of --end.")
@reading_options
@model_options
@batch_option
@explanation_options
@overlay_options
@temporal_options(default_mode="flow-zero-phase")
@encoding_options
@option("--quiet", is_flag=True, help="Say nothing unless something is wrong.")
@debug_option
def render_command(
    *,
    source: str,
    output: str,
    overwrite: bool,
    resume: bool,
    sidecar: str | None,
    start_s: float | None,
    end_s: float | None,
    duration_s: float | None,
    reading: dict[str, Any],
    model: str,
    weights: str,
    labels: str | None,
    own_model: dict[str, Any],
    device: str,
    precision: str,
    engine: str,
    fit: str | None,
    batch_size: int | Literal["auto"],
    method: str,
    target_layer: str,
    class_names: tuple[str, ...],
    target: str | None,
    against: str | None,
    signed: bool,
    top_k: int,
    colormap: str,
    alpha: float,
    no_labels: bool,
    temporal: dict[str, Any],
    encoding: dict[str, Any],
    quiet: bool,
) -> int:
    """Explain every frame of INPUT and write it with the heat and the predicted labels on top.

    INPUT is a film of any kind that FFmpeg reads, or a JPEG, PNG or WebP picture.
    """
    from streamcam.overlay import OverlaySettings
    from streamcam.sinks import EncoderSettings
    from streamcam.sources import ReadingSettings
    from streamcam.temporal import TemporalSettings

    overlay = OverlaySettings(colormap, alpha, labels=not no_labels)
    if duration_s is not None:
        if end_s is not None:
            raise InvalidArgumentError("--end and --duration both say where to end; leave one out")
        if duration_s <= 0:
            raise InvalidArgumentError(f"--duration {duration_s:g} is nothing; it takes seconds above 0")
        end_s = (start_s or 0) + duration_s
    request = _Request(
        source=source,
        output=output,
        sidecar=sidecar,
        start_s=start_s,
        end_s=end_s,
        overwrite=overwrite,
        resume=resume,
        temporal=TemporalSettings(**temporal),
        overlay=overlay,
        reading=ReadingSettings(**reading, depth=encoding["depth"]),
        encoder=EncoderSettings(**encoding),
    )
    _check(request)
    signals = SignalCount()
    with contextlib.ExitStack() as heeding:  # of signals: from the first frame until all has been told
        with ProgressLine(quiet=quiet) as line:
            line.begin(f"loading {model}")
            line.ending = "keeping what is finished" if resume else "finishing the file"
            # Only now the slow import: what could be wrong with files and settings has been said.
            from streamcam.cam import Explainer

            explainer = Explainer(
                model,
                method=method,
                weights=weights,
                labels=labels,
                target_layer=target_layer,
                classes=(*class_names, *([target] if target else [])),
                against=against,
                signed=signed,
                top_k=top_k,
                device=device,
                precision=precision,
                engine=engine,
                fit=fit,
                batch_size=batch_size,
                **own_model,
            )
            result = _render(
                request,
                explainer,
                line,
                lambda running: heeding.enter_context(
                    stop_on_signal(running.stop, line.announce_stop, lambda: _leave(line), signals)
                ),
            )
        if not quiet:
            _tell(result, request)
        return _judge(result, source, signals)


def _check(request: _Request) -> None:
    """Find what is wrong with files and settings before anything slow is imported or loaded."""
    from streamcam.overlay import Overlay
    from streamcam.pipeline import check_outputs
    from streamcam.sinks import check_destination, check_resumable
    from streamcam.sources import open_source
    from streamcam.temporal import Steadier

    # Down to the first picture, because only that tells a film from a text file of that name.
    with open_source(
        request.source, start_s=request.start_s, end_s=request.end_s, reading=request.reading
    ) as opened:
        info = opened.info
    source = Path(request.source)
    check_outputs(source, request.output, request.sidecar, overwrite=request.overwrite)
    Steadier(request.temporal)
    check_destination(request.output, info, request.encoder, overwrite=request.overwrite)
    if request.resume:
        check_resumable(request.output, info)
    Overlay(request.overlay)


def _render(
    request: _Request, explainer: Explainer, line: ProgressLine, on_start: Callable[[ExplainedStream], None]
) -> RenderResult:
    """Render, until the end or the first signal."""
    from streamcam.pipeline import render

    return render(
        request.source,
        request.output,
        explainer,
        temporal=request.temporal,
        overlay=request.overlay,
        encoder=request.encoder,
        sidecar=request.sidecar,
        start_s=request.start_s,
        end_s=request.end_s,
        reading=request.reading,
        overwrite=request.overwrite,
        resume=request.resume,
        on_progress=line.update,
        on_start=on_start,
    )


def _leave(line: ProgressLine) -> None:
    """End the process here and now, with nothing unfinished left; called in the middle of anything."""
    from streamcam.sinks import discard_all

    try:
        discard_all()
        line.wipe()
        os.write(2, b"streamcam: interrupted; what was unfinished is thrown away\n")
    finally:
        os._exit(EXIT_INTERRUPTED)


def _tell(result: RenderResult, request: _Request) -> None:
    """Say what was made and how fast, and what is to be known about it."""
    from streamcam.sinks import output_size

    for note in result.notes:
        say(f"note: {note}", err=True)
    if not result.frames:
        return
    frames = _count(result.frames, "frame")
    realtime = ""
    if result.frames > 1 and result.elapsed_s:
        realtime = f", {result.fps:.1f} fps, {result.film_s / result.elapsed_s:.1f}x real time"
    maps = "" if request.sidecar is None else f"; its maps: {click.format_filename(request.sidecar)}"
    name, size = click.format_filename(result.output), _human_size(output_size(result.output))
    say(f"wrote {name} ({size}): {frames} in {result.elapsed_s:.1f} s{realtime}{maps}")


def _judge(result: RenderResult, source: str, signals: SignalCount) -> int:
    """Say on one line what the output lacks, if anything; return the exit code."""
    output = repr(str(result.output))
    if result.interrupted and result.frames_kept:
        kept = repr(f"{result.output}.parts")
        frames = _count(result.frames_kept, "frame")
        say(
            f"streamcam: interrupted; {kept} keeps {frames}, and the same command goes on from there",
            err=True,
        )
    elif result.interrupted and not result.frames:
        say("streamcam: interrupted before anything was finished; nothing was written", err=True)
    elif result.interrupted:
        say(f"streamcam: interrupted; {output} holds {_frames(result)} rendered until then", err=True)
    elif result.frames_lost:
        lost = f"{result.frames_lost} of {_count(result.source.frames_read, 'frame')}"
        say(
            f"streamcam: error: {output} lacks {lost} that were read; this is a defect of streamcam", err=True
        )
    elif not result.complete:
        say(f"streamcam: error: {source!r} is damaged: {_damage(result)}", err=True)
    elif signals.received:
        say(f"streamcam: interrupted, but {output} was about to be finished and is whole", err=True)
    if signals.received:
        return EXIT_INTERRUPTED
    return EXIT_DONE if result.complete else EXIT_FAILED


def _damage(result: RenderResult) -> str:
    report, found = result.source, []
    if report.shortfall is not None:
        found.append(report.shortfall)
    if report.packets_damaged:
        found.append(f"{_count(report.packets_damaged, 'packet')} could not be decoded")
    if report.frames_damaged:
        is_or_are = "is" if report.frames_damaged == 1 else "are"
        found.append(f"{_count(report.frames_damaged, 'frame')} {is_or_are} spoiled in part")
    return f"{'; '.join(found)}; {str(result.output)!r} holds {_frames(result)} that could be read"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _frames(result: RenderResult) -> str:
    return "the one frame" if result.frames == 1 else f"the {result.frames} frames"


def _human_size(size: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
