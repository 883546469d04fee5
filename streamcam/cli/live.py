"""``streamcam live``: what the network sees, as it happens."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streamcam.cli.exit_codes import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED
from streamcam.cli.options import (
    NUMBER,
    debug_option,
    explanation_options,
    model_options,
    option,
    overlay_options,
    read_rate,
    read_size,
    temporal_options,
)
from streamcam.cli.saying import say
from streamcam.cli.signals import SignalCount, stop_on_signal

if TYPE_CHECKING:
    from streamcam.pipeline import LiveResult
    from streamcam.sinks.window import Display


def _span(_context: click.Context, parameter: click.Parameter, seconds: float | None) -> float | None:
    """Make sure that a span of time or a rate is above 0."""
    if seconds is not None and seconds <= 0:
        raise click.BadParameter(f"{seconds:g} is not above 0", param=parameter)
    return seconds


@click.command("live", short_help="Show what the network sees, as it happens.")
@click.argument("source", metavar="[SOURCE]", default="0", envvar="STREAMCAM_SOURCE")
@option("--loop", is_flag=True, help="Begin a film again after its end.")
@option(
    "--size", callback=read_size, metavar="WxH", help="The camera's picture size. [default: near 1280x720]"
)
@option(
    "--fps",
    "rate",
    callback=read_rate,
    metavar="NUMBER",
    help="The camera's frames per second. [default: up to 30]",
)
@option("--mirror", is_flag=True, help="Swap left and right of a camera, as in a mirror.")
@option(
    "--display",
    type=click.Choice(["window", "none"]),
    default="window",
    show_default=True,
    help="Where to show it; none for unattended runs.",
)
@option("--record", metavar="FILE", help="Record from the beginning, as .mp4 or .mkv.")
@option("--overwrite", is_flag=True, help="Replace an existing recording.")
@option("--duration", "duration_s", type=NUMBER, callback=_span, metavar="SECONDS", help="How long to run.")
@option(
    "--give-up",
    "give_up_s",
    type=NUMBER,
    callback=_span,
    metavar="SECONDS",
    help="Fail after so long without a picture. [default: wait for ever]",
)
@option("--stats", metavar="FILE.jsonl", help="Write figures every second, one JSON object each.")
@model_options
@explanation_options
@temporal_options(default_mode="causal")
@overlay_options
@option("--quiet", is_flag=True, help="Say nothing unless something is wrong.")
@debug_option
def live_command(
    *,
    source: str,
    loop: bool,
    size: tuple[int, int] | None,
    rate: Fraction | None,
    mirror: bool,
    display: str,
    record: str | None,
    overwrite: bool,
    duration_s: float | None,
    give_up_s: float | None,
    stats: str | None,
    model: str,
    weights: str,
    labels: str | None,
    own_model: dict[str, Any],
    device: str,
    precision: str,
    engine: str,
    fit: str | None,
    method: str,
    target_layer: str,
    class_names: tuple[str, ...],
    target: str | None,
    against: str | None,
    signed: bool,
    top_k: int,
    colormap: str,
    alpha: float,
    temporal: dict[str, Any],
    no_labels: bool,
    quiet: bool,
) -> int:
    """Show SOURCE with the heat and the predicted labels on top, always the newest picture.

    SOURCE is a camera's number or device (default: camera 0), the URL of a stream (rtsp, http, udp, tcp,
    rtmp, srt), or a film, which is played at its own pace. In the window, h shows the keys. A URL with a
    password is better put into the environment variable STREAMCAM_SOURCE than on the command line, which
    others on the same machine can read.
    """
    import cv2  # noqa: F401 - before av, whose X11 libraries would make OpenCV hang at its first window

    from streamcam.cli.live_explainers import LiveExplainers
    from streamcam.overlay import Overlay, OverlaySettings
    from streamcam.pipeline import LivePreview, LiveSettings, StatsFile, View, Wanted
    from streamcam.sinks import check_output, check_recording
    from streamcam.sources import CameraSettings, live_source
    from streamcam.temporal import TemporalSettings, check_live

    overlay = OverlaySettings(colormap, alpha, labels=not no_labels)
    steadied = TemporalSettings(**temporal)
    settings = LiveSettings(
        view=View(overlay, steadied.smoothing_s),
        temporal=steadied,
        wanted=Wanted(method, target_layer),
        duration_s=duration_s,
        give_up_s=give_up_s,
        record=None if record is None else check_recording(record, overwrite=overwrite),
    )
    Overlay(overlay)  # what is wrong with settings is said before anything is opened
    check_live(steadied)
    opened = live_source(source, loop=loop, camera=CameraSettings(size, rate, mirror))
    if stats is not None:
        check_output(stats, overwrite=True, inputs=())
    shown_on = _open_display(display, opened.name)
    explainers = LiveExplainers(
        model,
        weights=weights,
        labels=labels,
        classes=(*class_names, *([target] if target else [])),
        against=against,
        signed=signed,
        top_k=top_k,
        device=device,
        precision=precision,
        engine=engine,
        fit=fit,
        **own_model,
    )
    stats_file = None if stats is None else StatsFile(Path(stats))
    signals = SignalCount()

    def tell(words: str) -> None:
        if not quiet:
            say(f"streamcam: {words}", err=True)

    preview = LivePreview(opened, explainers, shown_on, settings, stats=stats_file, tell=tell)
    try:
        with stop_on_signal(preview.stop, lambda: None, _leave, signals):
            result = preview.run()
    finally:
        if stats_file is not None:
            stats_file.close()
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
    from streamcam.sinks.window import NoDisplay, Window, find_display

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
            say(f"note: {note}", err=True)
        for path in result.saved:
            say(f"saved {click.format_filename(path)}")
        for recorder in result.recordings:
            if recorder.written:
                left_out = f", {recorder.dropped} left out" if recorder.dropped else ""
                say(f"recorded {click.format_filename(recorder.path)}: {recorder.written} frames{left_out}")
        figures, elapsed_s = result.figures, result.elapsed_s
        if elapsed_s:
            say(
                f"showed {figures.shown} of {figures.captured} pictures in {elapsed_s:.1f} s "
                f"({figures.shown / elapsed_s:.1f} fps), explained {figures.explained}"
            )
    for problem in result.problems:
        say(f"streamcam: error: {problem}", err=True)
    if signals.received:
        return EXIT_INTERRUPTED
    return EXIT_FAILED if result.problems else EXIT_DONE
