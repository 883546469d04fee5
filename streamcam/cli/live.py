"""``streamcam live``: what the network sees, as it happens."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from streamcam.cli.command_line import command_line
from streamcam.cli.exit_codes import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED
from streamcam.cli.flags import name_flags
from streamcam.cli.loading import chosen_method
from streamcam.cli.options import (
    NUMBER,
    debug_option,
    explainer_options,
    grouped,
    localization_options,
    option,
    overlay_options,
    read_above_zero,
    read_rate,
    read_size,
    temporal_options,
)
from streamcam.cli.output import say
from streamcam.cli.progress import showing_activities
from streamcam.cli.signals import SignalCount, stop_on_signal
from streamcam.cli.wall_file import naming_wall_file, read_sources

if TYPE_CHECKING:
    from streamcam.session.outputs import Output
    from streamcam.session.result import LiveResult
    from streamcam.session.settings import StreamSettings


class _Source(click.types.StringParamType):
    """A source; several in an environment variable stand in a line each."""

    name = "source"
    envvar_list_splitter = "\n"


SOURCE = _Source()

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
        "--slide-seconds",
        "slide_s",
        type=NUMBER,
        callback=read_above_zero,
        metavar="SECONDS",
        help="How long each image of a folder is shown. [default: 5]",
    ),
    option(
        "--mirror",
        is_flag=True,
        help="Swap left and right of a camera, as in a mirror.",
    ),
)
"""The fields of `SourceSettings` that cameras, the screen and slide shows take."""

_page_options = grouped(
    "page",
    option(
        "--host",
        default="127.0.0.1",
        show_default=True,
        metavar="ADDRESS",
        help="Where the page is served: this computer only, or with 0.0.0.0 the room.",
    ),
    option("--port", type=int, default=8642, show_default=True, help="The page's port; 0 for any."),
    option(
        "--key",
        metavar="TEXT",
        help="The key in the page's link, for a link that stays the same; best given as STREAMCAM_KEY. "
        "[default: a new one each time]",
    ),
    option("--tls/--no-tls", default=None, help="Encrypt the page. [default: where phones lend cameras]"),
    option("--tls-cert", metavar="FILE.pem", help="A certificate. [default: one made at the first use]"),
    option("--tls-key", metavar="FILE.pem", help="The certificate's key."),
    option(
        "--transport",
        metavar="HOW",
        default="auto",
        show_default=True,
        help="How the page's images travel: webrtc, mjpeg, or auto: webrtc to the room and from "
        "phones, mjpeg to this computer.",
    ),
    option(
        "--ice-server",
        "ice_servers",
        multiple=True,
        metavar="URL",
        help="A server that WebRTC may ask: stun:HOST:PORT or turn:USER:PASSWORD@HOST:PORT. May be given "
        "several times.",
    ),
    option("--browser/--no-browser", "open_browser", default=True, help="Open the page here. [default: yes]"),
)
"""The fields of `PageSettings`."""

_limit_options = grouped(
    "limits",
    option(
        "--duration",
        "duration_s",
        type=NUMBER,
        callback=read_above_zero,
        metavar="SECONDS",
        help="How long to run, counted from the first frame, which comes before the network is loaded.",
    ),
    option(
        "--idle",
        "idle_s",
        type=NUMBER,
        callback=read_above_zero,
        metavar="SECONDS",
        help="Without a command for this long, explain and show everything as at the beginning, and end "
        "recordings that were begun by command. "
        "[default: never]",
    ),
    option(
        "--give-up",
        "give_up_s",
        type=NUMBER,
        callback=read_above_zero,
        metavar="SECONDS",
        help="Fail after this long without a frame. [default: wait for ever]",
    ),
)
"""The fields of `LiveSettings` that happen after some time."""


_metrics_options = grouped(
    "metrics",
    option(
        "--metrics-port",
        type=click.IntRange(0, 65535),
        metavar="NUMBER",
        help="Serve numbers of every stream for Prometheus on this port, as /metrics.",
    ),
    option(
        "--metrics-host",
        default="127.0.0.1",
        show_default=True,
        metavar="ADDRESS",
        help="Where they are served: this computer only, or with 0.0.0.0 the network.",
    ),
)
"""The arguments of `Metrics`."""


@click.command("live", short_help="Show what the network sees, as it happens.")
@click.argument(
    "sources",
    metavar="[SOURCE]...",
    nargs=-1,
    type=SOURCE,
    envvar="STREAMCAM_SOURCE",
    callback=read_sources,
    is_eager=True,  # a wall file sets options
)
@option("--loop", is_flag=True, help="Start a video again after its end.")
@_camera_options
@option(
    "--display",
    metavar="WHERE",
    help="Where to show it: window, page (in a browser), window,page, or none for unattended runs. "
    "[default: window; page where SOURCE is browser]",
)
@_page_options
@option(
    "--publish",
    multiple=True,
    metavar="URL",
    help="Send it to a server, player or folder: rtmp://…, rtsp://…, srt://…, udp://…, whip:https://…, "
    "hls:FOLDER. May be given several times.",
)
@option("--virtual-camera", is_flag=True, help="Let meetings and other programs take it for a webcam.")
@option("--record", metavar="FILE", help="Record from the beginning, as .mp4 or .mkv.")
@option(
    "--evidence",
    metavar="FILE.h5",
    help="Keep every explanation and its frame's time in a file of arrays (HDF5), for streamcam report and "
    "streamcam.open_evidence.",
)
@option("--overwrite", is_flag=True, help="Replace an existing recording or evidence.")
@_limit_options
@option("--stats", metavar="FILE.jsonl", help="Write statistics every second, one JSON object each.")
@_metrics_options
@explainer_options(live=True)
@temporal_options(live=True)
@overlay_options
@localization_options
@option("--quiet", is_flag=True, help="Print nothing unless something is wrong.")
@debug_option
def live_command(
    *,
    sources: tuple[dict[str, Any], ...],
    loop: bool,
    camera: dict[str, Any],
    display: str | None,
    page: dict[str, Any],
    publish: tuple[str, ...],
    virtual_camera: bool,
    record: str | None,
    evidence: str | None,
    overwrite: bool,
    limits: dict[str, Any],
    stats: str | None,
    metrics: dict[str, Any],
    model: dict[str, Any],
    explainer: dict[str, Any],
    temporal: dict[str, Any],
    overlay: dict[str, Any],
    localization: dict[str, Any],
    quiet: bool,
) -> int:
    """Show each SOURCE with the heat and the predicted labels on top, always the newest frame.

    SOURCE is a camera's number or device (default: camera 0), the URL of a stream (rtsp, http, udp, tcp,
    rtmp, srt), a video, which is played at its own pace, a folder of images or a pattern, as a slide show,
    screen: or a part of it (screen:640x480+100+50), - for a video from a pipe, or browser: whoever opens the
    page's camera link lends a camera. Several are shown as tiles and share the network; browser browser has
    room for two phones. A TOML file names them and sets options. In the window, h shows the keys. A URL with
    a password is better put into such a file or the environment variable STREAMCAM_SOURCE than on the command
    line, which others on the same machine can read.
    """
    from streamcam.explain.calibration import check_calibration
    from streamcam.explain.network_loading import check_by_name
    from streamcam.localization import LocalizationSettings
    from streamcam.overlay import OverlaySettings
    from streamcam.session.calibration import FirstFrames
    from streamcam.session.explainers import Explainers, build_from_model
    from streamcam.session.live import open_session
    from streamcam.session.settings import LiveSettings, PageSettings
    from streamcam.session.state import ExplainRequest
    from streamcam.sources import SourceSettings
    from streamcam.temporal import TemporalSettings

    check_by_name(model["name"], {**model, **explainer})

    def announce(text: str) -> None:
        if not quiet:
            say(f"streamcam: {name_flags(text)}", err=True)

    reading = {**camera, "loop": loop, "real_time": True}
    request = ExplainRequest(chosen_method(explainer.pop("method")), explainer.pop("target_layer"))
    awaits_frames = explainer["precision"] == "int8" and explainer["calibration"] is None
    first_frames = FirstFrames() if awaits_frames else None
    if not awaits_frames:
        check_calibration(explainer["precision"], explainer["calibration"])
    with naming_wall_file():
        session = open_session(
            [_stream_settings(each, reading) for each in sources],
            Explainers(build_from_model(model, len(sources), first_frames, **explainer), first_frames),
            request=request,
            model=model["name"],
            settings=LiveSettings(
                SourceSettings(**reading),
                OverlaySettings(**overlay),
                TemporalSettings(**temporal),
                LocalizationSettings(**localization),
                display=display,
                page=PageSettings(**page),
                publish=publish,
                virtual_camera=virtual_camera,
                record=record,
                evidence=evidence,
                command=command_line(),
                overwrite=overwrite,
                statistics=stats,
                **limits,
            ),
            announce=announce,
            wording=name_flags,
            outputs=_outputs_for_services(**metrics),
        )
    signals = SignalCount()
    shown = showing_activities(announce, {"remark": announce})
    with stop_on_signal(session.stop, lambda: None, _leave, signals), shown:
        result = session.run()
    return _report(result, signals, has_display=display != "none", quiet=quiet)


def _stream_settings(values: dict[str, Any], reading: dict[str, Any]) -> StreamSettings:
    """Return the settings of one stream.

    Args:
        values: As `read_sources` returns them.
        reading: How all sources are read, where a stream says nothing else.
    """
    from streamcam.session.settings import StreamSettings
    from streamcam.sources import SourceSettings

    own = {name: value for name, value in values.items() if name not in ("source", "name", "record")}
    return StreamSettings(
        values["source"], values.get("name", ""), SourceSettings(**reading | own), values.get("record")
    )


def _outputs_for_services(metrics_port: int | None, metrics_host: str) -> list[Output]:
    """Return the outputs of a session that runs as a service."""
    from streamcam.session.metrics import Metrics
    from streamcam.session.service import ServiceNotifier

    metrics = [] if metrics_port is None else [Metrics(metrics_port, metrics_host)]
    return [*metrics, *([ServiceNotifier()] if ServiceNotifier.is_expected() else [])]


def _leave() -> None:
    """Exit at once. Recordings can be played as they are."""
    try:
        os.write(2, b"streamcam: interrupted\n")
    finally:
        os._exit(EXIT_INTERRUPTED)


def _report(result: LiveResult, signals: SignalCount, *, has_display: bool, quiet: bool) -> int:
    """Print what was shown and saved; return the exit code."""
    if not quiet:
        for note in result.notes:
            say(f"note: {name_flags(note)}", err=True)
        for path in result.saved:
            say(f"saved {click.format_filename(path)}")
        for recording in result.recordings:
            if recording.written:
                left_out = f", {recording.dropped} left out" if recording.dropped else ""
                audio = ", with audio" if recording.has_audio else ""
                name = click.format_filename(recording.path)
                say(f"recorded {name}: {recording.written} frames{audio}{left_out}")
        for publication in result.publications:
            audio = "with audio" if publication.has_audio else "without audio"
            count = publication.reconnections
            again = f", connected again {'once' if count == 1 else f'{count} times'}" if count else ""
            say(f"published to {publication.target}: {publication.frames} frames, {audio}{again}")
        counts, elapsed_s = result.statistics, result.elapsed_s
        if elapsed_s:
            lines = result.streams if len(result.streams) > 1 else (("", counts),)
            for name, each in lines:
                say(
                    f"{name}{': ' if name else ''}showed {each.shown} of {each.captured} frames in "
                    f"{elapsed_s:.1f} s ({each.shown / elapsed_s:.1f} fps), explained {each.explained}"
                )
    counts = result.statistics
    is_bare = bool(counts.captured) and not counts.explained
    # Who closes a window or interrupts knows that there was no heat yet.
    is_too_short = is_bare and not has_display and not signals.received
    if is_too_short or (is_bare and not quiet):
        kind = "streamcam: error" if is_too_short else "note"
        say(
            f"{kind}: it ended after {result.elapsed_s:.1f} s, before the network had explained anything; "
            "loading takes seconds: run streamcam prepare with the same --model first, or set a longer "
            "--duration, and --loop for a video",
            err=True,
        )
    for problem in result.problems:
        say(f"streamcam: error: {name_flags(problem)}", err=True)
    shows_nothing = 0 < counts.explained == counts.empty
    if shows_nothing:
        say(f"streamcam: error: none of the {counts.explained} explanations has a map", err=True)
    if signals.received:
        return EXIT_INTERRUPTED
    return EXIT_FAILED if result.problems or shows_nothing or is_too_short else EXIT_DONE
