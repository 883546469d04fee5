"""``streamcam render``: a file in, a file out."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from streamcam.cli.exit_codes import EXIT_INTERRUPTED
from streamcam.cli.options import (
    debug_option,
    encoding_options,
    explainer_options,
    option,
    overlay_options,
    part_options,
    reading_options,
    temporal_options,
)
from streamcam.cli.outcome import judge, tell, tell_departure, tell_resumption
from streamcam.cli.progress import ProgressLine
from streamcam.cli.signals import SignalCount, stop_on_signal

if TYPE_CHECKING:
    from streamcam.explain import Explainer
    from streamcam.media.encoders import EncoderSettings
    from streamcam.overlay import OverlaySettings
    from streamcam.pipeline.render import RenderResult
    from streamcam.pipeline.stream import ExplainedStream
    from streamcam.sources import SourceSettings
    from streamcam.temporal import TemporalSettings


@dataclasses.dataclass(frozen=True, slots=True)
class _Request:
    """What is to be rendered, apart from the network."""

    source: str
    output: str
    sidecar: str | None
    overwrite: bool
    resume: bool
    temporal: TemporalSettings
    overlay: OverlaySettings
    reading: SourceSettings
    encoder: EncoderSettings


@click.command("render", short_help="Turn a video or image into labelled heatmap footage.")
@click.argument("source", metavar="INPUT")
@option(
    "-o", "--output", required=True, metavar="FILE", help="The file to make; its suffix chooses the kind."
)
@option("--overwrite", is_flag=True, help="Replace existing output files.")
@option(
    "--resume",
    is_flag=True,
    help="Keep what is done in OUTPUT.parts while it works, and go on from what is there. Ctrl-C loses "
    "nothing that was explained, a crash its last seconds; encoding goes on from every 250th frame.",
)
@option(
    "--sidecar",
    metavar="FILE.jsonl",
    help="Also write the raw maps and predictions, one JSON object a frame.",
)
@part_options
@reading_options
@explainer_options(live=False)
@overlay_options
@temporal_options(live=False)
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
    part: dict[str, Any],
    reading: dict[str, Any],
    model: dict[str, Any],
    explainer: dict[str, Any],
    overlay: dict[str, Any],
    temporal: dict[str, Any],
    encoding: dict[str, Any],
    quiet: bool,
) -> int:
    """Explain every frame of INPUT and write it with the heat and the predicted labels on top.

    INPUT is a video of any kind that FFmpeg reads, or a JPEG, PNG or WebP image.
    """
    from streamcam.media.encoders import EncoderSettings
    from streamcam.overlay import OverlaySettings
    from streamcam.sources import SourceSettings
    from streamcam.temporal import TemporalSettings

    request = _Request(
        source=source,
        output=output,
        sidecar=sidecar,
        overwrite=overwrite,
        resume=resume,
        temporal=TemporalSettings(**temporal),
        overlay=OverlaySettings(**overlay),
        reading=SourceSettings(**part, **reading, depth=encoding["depth"], chroma=encoding["chroma"]),
        encoder=EncoderSettings(**encoding),
    )
    _check(request)
    signals = SignalCount()
    with contextlib.ExitStack() as heeding:  # of signals: from the first frame until all has been told
        with ProgressLine(quiet=quiet) as line:
            line.begin(f"loading {model['name']}")
            line.ending = "keeping what is finished" if resume else "finishing the file"
            departure = tell_departure(output if resume else None)
            # Only now the slow import: what could be wrong with files and settings has been said.
            from streamcam.explain import Explainer
            from streamcam.models import load_model

            network = load_model(**model, any_shape=explainer["fit"] == "full")
            chosen = Explainer(network, **explainer)
            result = _render(
                request,
                chosen,
                line,
                lambda running: heeding.enter_context(
                    stop_on_signal(running.stop, line.announce_stop, lambda: _leave(line, departure), signals)
                ),
            )
        if not quiet:
            tell(result, sidecar)
        return judge(result, source, signals)


def _check(request: _Request) -> None:
    """Find what is wrong with files and settings before anything slow is imported or loaded."""
    from streamcam.overlay import Overlay
    from streamcam.pipeline.render import check_outputs
    from streamcam.sinks import check_resumable, open_sink
    from streamcam.sources import check_input_file, open_source
    from streamcam.temporal import Stabilizer

    # Down to the first image, because only that tells a video from a text file of that name.
    source = check_input_file(request.source)
    with open_source(source, request.reading) as opened:
        info = opened.info
    check_outputs(source, request.output, request.sidecar, overwrite=request.overwrite)
    Stabilizer(request.temporal)
    open_sink(request.output, info, settings=request.encoder, overwrite=request.overwrite).abort()
    if request.resume:
        check_resumable(request.output, info)
    Overlay(request.overlay)


def _render(
    request: _Request, explainer: Explainer, line: ProgressLine, on_start: Callable[[ExplainedStream], None]
) -> RenderResult:
    """Render, until the end or the first signal."""
    from streamcam.pipeline.render import render

    return render(
        request.source,
        request.output,
        explainer,
        temporal=request.temporal,
        overlay=request.overlay,
        encoder=request.encoder,
        sidecar=request.sidecar,
        reading=request.reading,
        overwrite=request.overwrite,
        resume=request.resume,
        on_progress=line.update,
        on_start=on_start,
        on_resume=lambda kept: line.tell(tell_resumption(request.output, kept)),
    )


def _leave(line: ProgressLine, told: str) -> None:
    """End the process here and now, with nothing unfinished left; called in the middle of anything."""
    from streamcam.sinks import discard_all

    try:
        discard_all()
        line.wipe()
        os.write(2, f"{told}\n".encode(errors="replace"))
    finally:
        os._exit(EXIT_INTERRUPTED)
