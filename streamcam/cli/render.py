"""``streamcam render``: explain a video or image and write the result."""

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
    localization_options,
    option,
    overlay_options,
    part_options,
    reading_options,
    temporal_options,
)
from streamcam.cli.outcome import abort_message, print_outcome, print_result, resume_message
from streamcam.cli.progress import ProgressLine, showing_activities
from streamcam.cli.signals import SignalCount, stop_on_signal


@click.command("render", short_help="Explain a video or image and write the result.")
@click.argument("source", metavar="INPUT")
@option(
    "-o", "--output", required=True, metavar="FILE", help="The file to write; its suffix chooses the format."
)
@option("--overwrite", is_flag=True, help="Replace existing output files.")
@option(
    "--resume",
    is_flag=True,
    help="Save finished work in OUTPUT.parts, and continue from there. Ctrl-C loses no explanations, a crash "
    "those of the last seconds; encoding continues at a multiple of 250 frames.",
)
@option(
    "--sidecar",
    metavar="FILE.jsonl",
    help="Also write raw maps and predictions, one JSON object per frame.",
)
@part_options
@reading_options
@explainer_options(live=False)
@overlay_options
@localization_options
@temporal_options(live=False)
@encoding_options
@option("--quiet", is_flag=True, help="Print nothing unless something is wrong.")
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
    localization: dict[str, Any],
    temporal: dict[str, Any],
    encoding: dict[str, Any],
    quiet: bool,
) -> int:
    """Explain every frame of INPUT and write it with heat and predicted labels on top.

    INPUT is any video that FFmpeg reads, an image, many images (a folder, frames/%05d.png or "frames/*.png"),
    a local HLS or DASH playlist, the URL of a file on a web server, or - for standard input.
    """
    from streamcam.frames import check_inside
    from streamcam.localization import LocalizationSettings
    from streamcam.media.encoders import EncoderSettings
    from streamcam.overlay import OverlaySettings
    from streamcam.pipeline.render import RenderSettings, plan_render
    from streamcam.sources import SourceSettings
    from streamcam.temporal import TemporalSettings

    settings = RenderSettings(
        source=SourceSettings(**part, **reading, depth=encoding["depth"], chroma=encoding["chroma"]),
        temporal=TemporalSettings(**temporal),
        overlay=OverlaySettings(**overlay),
        localization=LocalizationSettings(**localization),
        encoder=EncoderSettings(**encoding),
        sidecar=sidecar,
        overwrite=overwrite,
        resume=resume,
    )
    signals = SignalCount()
    # Signals are handled from the first frame until the outcome is printed.
    with plan_render(source, output, settings) as plan, contextlib.ExitStack() as handling:
        if explainer["at"] is not None:
            check_inside(explainer["at"], plan.info.width, plan.info.height)
        with ProgressLine(quiet=quiet) as line:
            line.begin(f"loading {model['name']}")
            line.ending = "keeping what is finished" if resume else "finishing the file"
            departure = abort_message(output if resume else None)
            # Only now the slow import: a mistake in files and settings was reported by now.
            from streamcam.explain import Explainer
            from streamcam.models import load_model

            network = load_model(**model, any_shape=explainer["fit"] == "full")
            with showing_activities(line.begin):
                chosen = Explainer(network, **explainer)
            line.begin("explaining the first frames")
            result = plan.run(
                chosen,
                on_progress=line.update,
                on_start=lambda running: handling.enter_context(
                    stop_on_signal(running.stop, line.announce_stop, lambda: _leave(line, departure), signals)
                ),
                on_resume=lambda kept: line.print_above(resume_message(output, kept)),
            )
        if not quiet:
            print_result(result, sidecar)
        return print_outcome(result, source, signals)


def _leave(line: ProgressLine, message: str) -> None:
    """Delete unfinished files and exit the process; safe in a signal handler."""
    from streamcam.sinks import discard_all

    try:
        discard_all()
        line.wipe()
        os.write(2, f"{message}\n".encode(errors="replace"))
    finally:
        os._exit(EXIT_INTERRUPTED)
