"""``streamcam live``: what the network sees, as it happens."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streamcam.cli.exit_codes import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED
from streamcam.cli.flags import name_flags
from streamcam.cli.options import (
    NUMBER,
    debug_option,
    explainer_options,
    grouped,
    option,
    overlay_options,
    read_above_zero,
    read_rate,
    read_size,
    temporal_options,
)
from streamcam.cli.output import say
from streamcam.cli.signals import SignalCount, stop_on_signal

if TYPE_CHECKING:
    from streamcam.session.session import LiveResult
    from streamcam.session.window import Display


_camera_options = grouped(
    "camera",
    option(
        "--size",
        callback=read_size,
        metavar="WxH",
        help="The camera's image size. [default: near 1280x720]",
    ),
    option(
        "--fps",
        "rate",
        callback=read_rate,
        metavar="NUMBER",
        help="The camera's frames per second. [default: up to 30]",
    ),
    option(
        "--mirror",
        is_flag=True,
        help="Swap left and right of a camera, as in a mirror.",
    ),
)
"""The fields of `SourceSettings` that a camera takes."""

_limit_options = grouped(
    "limits",
    option(
        "--duration",
        "duration_s",
        type=NUMBER,
        callback=read_above_zero,
        metavar="SECONDS",
        help="How long to run from the first image on, which comes before the network is loaded.",
    ),
    option(
        "--give-up",
        "give_up_s",
        type=NUMBER,
        callback=read_above_zero,
        metavar="SECONDS",
        help="Fail after so long without an image. [default: wait for ever]",
    ),
)
"""When to end: what `LiveSettings` takes of that."""


@click.command("live", short_help="Show what the network sees, as it happens.")
@click.argument("source", metavar="[SOURCE]", default="0", envvar="STREAMCAM_SOURCE")
@option("--loop", is_flag=True, help="Begin a video again after its end.")
@_camera_options
@option(
    "--display",
    type=click.Choice(["window", "none"]),
    default="window",
    show_default=True,
    help="Where to show it; none for unattended runs.",
)
@option("--record", metavar="FILE", help="Record from the beginning, as .mp4 or .mkv.")
@option("--overwrite", is_flag=True, help="Replace an existing recording.")
@_limit_options
@option("--stats", metavar="FILE.jsonl", help="Write figures every second, one JSON object each.")
@explainer_options(live=True)
@temporal_options(live=True)
@overlay_options
@option("--quiet", is_flag=True, help="Say nothing unless something is wrong.")
@debug_option
def live_command(
    *,
    source: str,
    loop: bool,
    camera: dict[str, Any],
    display: str,
    record: str | None,
    overwrite: bool,
    limits: dict[str, Any],
    stats: str | None,
    model: dict[str, Any],
    explainer: dict[str, Any],
    temporal: dict[str, Any],
    overlay: dict[str, Any],
    quiet: bool,
) -> int:
    """Show SOURCE with the heat and the predicted labels on top, always the newest image.

    SOURCE is a camera's number or device (default: camera 0), the URL of a stream (rtsp, http, udp, tcp,
    rtmp, srt), or a video, which is played at its own pace. In the window, h shows the keys. A URL with a
    password is better put into the environment variable STREAMCAM_SOURCE than on the command line, which
    others on the same machine can read.
    """
    from streamcam.overlay import Overlay, OverlaySettings
    from streamcam.session.controls import View
    from streamcam.session.explainers import LiveExplainers
    from streamcam.session.session import LivePreview
    from streamcam.session.settings import LiveSettings
    from streamcam.session.stages import ExplainRequest
    from streamcam.session.statistics import StatsFile
    from streamcam.sinks import check_output, check_recording
    from streamcam.sources import SourceSettings, open_source
    from streamcam.temporal import TemporalSettings, check_live

    drawn, stabilized = OverlaySettings(**overlay), TemporalSettings(**temporal)
    settings = LiveSettings(
        view=View(drawn, stabilized.smoothing_s),
        temporal=stabilized,
        wanted=ExplainRequest(explainer.pop("method"), explainer.pop("target_layer")),
        **limits,
        record=None if record is None else check_recording(record, overwrite=overwrite),
    )
    Overlay(drawn)  # what is wrong with settings is said before anything is opened
    check_live(stabilized)
    opened = open_source(source, SourceSettings(**camera, loop=loop, real_time=True))
    if stats is not None:
        check_output(stats, overwrite=True, inputs=())
    shown_on = _open_display(display, opened.info.name)
    explainers = LiveExplainers(model, **explainer)
    signals = SignalCount()

    def tell(words: str) -> None:
        if not quiet:
            say(f"streamcam: {words}", err=True)

    with contextlib.nullcontext() if stats is None else StatsFile(Path(stats)) as stats_file:
        preview = LivePreview(opened, explainers, shown_on, settings, stats=stats_file, tell=tell)
        with stop_on_signal(preview.stop, lambda: None, _leave, signals):
            result = preview.run()
    return _report(result, signals, quiet=quiet)


def _leave() -> None:
    """End at once. What was recorded can be played as it is."""
    try:
        os.write(2, b"streamcam: interrupted\n")
    finally:
        os._exit(EXIT_INTERRUPTED)


def _open_display(kind: str, name: str) -> Display:
    """Make the display ready.

    Raises:
        SinkError: if there is none.
    """
    from streamcam.errors import SinkError
    from streamcam.session.window import NoDisplay, Window, find_display

    if kind == "none":
        return NoDisplay()
    problem = find_display()
    if problem is not None:
        raise SinkError(problem)
    return Window(f"streamcam: {name}")


def _report(result: LiveResult, signals: SignalCount, *, quiet: bool) -> int:
    """Say what was shown and what was kept; return the exit code."""
    if not quiet:
        for note in result.notes:
            say(f"note: {name_flags(note)}", err=True)
        for path in result.saved:
            say(f"saved {click.format_filename(path)}")
        for recorder in result.recordings:
            if recorder.written:
                left_out = f", {recorder.dropped} left out" if recorder.dropped else ""
                say(f"recorded {click.format_filename(recorder.path)}: {recorder.written} frames{left_out}")
        figures, elapsed_s = result.figures, result.elapsed_s
        if elapsed_s:
            say(
                f"showed {figures.shown} of {figures.captured} images in {elapsed_s:.1f} s "
                f"({figures.shown / elapsed_s:.1f} fps), explained {figures.explained}"
            )
    for problem in result.problems:
        say(f"streamcam: error: {problem}", err=True)
    if signals.received:
        return EXIT_INTERRUPTED
    return EXIT_FAILED if result.problems else EXIT_DONE
