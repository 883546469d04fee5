"""``streamcam render``: a file in, a file out."""

from __future__ import annotations

import contextlib
import os
from typing import Any

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
    from streamcam.pipeline.render import RenderSettings, plan_render
    from streamcam.sources import SourceSettings
    from streamcam.temporal import TemporalSettings

    settings = RenderSettings(
        source=SourceSettings(**part, **reading, depth=encoding["depth"], chroma=encoding["chroma"]),
        temporal=TemporalSettings(**temporal),
        overlay=OverlaySettings(**overlay),
        encoder=EncoderSettings(**encoding),
        sidecar=sidecar,
        overwrite=overwrite,
        resume=resume,
    )
    signals = SignalCount()
    # Signals are handled from the first frame until the outcome is printed.
    with plan_render(source, output, settings) as plan, contextlib.ExitStack() as handling:
        with ProgressLine(quiet=quiet) as line:
            line.begin(f"loading {model['name']}")
            line.ending = "keeping what is finished" if resume else "finishing the file"
            departure = tell_departure(output if resume else None)
            # Only now the slow import: a mistake in files and settings was reported by now.
            from streamcam.explain import Explainer
            from streamcam.models import load_model

            network = load_model(**model, any_shape=explainer["fit"] == "full")
            chosen = Explainer(network, **explainer)
            result = plan.run(
                chosen,
                on_progress=line.update,
                on_start=lambda running: handling.enter_context(
                    stop_on_signal(running.stop, line.announce_stop, lambda: _leave(line, departure), signals)
                ),
                on_resume=lambda kept: line.tell(tell_resumption(output, kept)),
            )
        if not quiet:
            tell(result, sidecar)
        return judge(result, source, signals)


def _leave(line: ProgressLine, message: str) -> None:
    """End the process here and now, with nothing unfinished left; called in the middle of anything."""
    from streamcam.sinks import discard_all

    try:
        discard_all()
        line.wipe()
        os.write(2, f"{message}\n".encode(errors="replace"))
    finally:
        os._exit(EXIT_INTERRUPTED)
