"""``streamcam doctor``: list what is installed and connected, and what is wrong with it."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streamcam.cli.exit_codes import EXIT_DONE, EXIT_FAILED
from streamcam.cli.options import debug_option, option
from streamcam.cli.output import say

if TYPE_CHECKING:
    from streamcam.sources import CameraInfo

_PACKAGES = ("torch", "torchvision", "openvino", "av", "opencv-python", "numpy", "pillow", "timm")

_PAGE_PACKAGES = ("aiohttp", "aiortc", "cryptography", "segno")

_DISPLAY_VARIABLES = ("DISPLAY", "WAYLAND_DISPLAY")
"""Environment variables of a graphical session."""

Finding = tuple[str, str | None]
"""A line to print, and the problem in words, if there is one."""


@click.command("doctor", short_help="Check the installation, devices, cameras and display.")
@option("--clear-cache", is_flag=True, help="Remove the cached networks and show how much space was freed.")
@debug_option
def doctor_command(*, clear_cache: bool) -> int:
    """List versions, accelerators, cameras, the display, ways in and out of live sessions, and the caches.

    Problems are listed at the end, each with a way to fix it. The exit code is 0 if videos can be rendered,
    even without a camera or display; else 1.
    """
    return _clear_cache() if clear_cache else _check_all()


def _clear_cache() -> int:
    from streamcam.explain.backends.cache import cache_directory, clear, used

    directory = cache_directory()
    entries, size = clear(directory)
    click.echo(f"{directory}: {_networks(entries)} removed, {_megabytes(size)} freed")
    kept, _ = used(directory)
    if kept:
        say(f"problem: {_networks(kept)} could not be removed", err=True)
    return EXIT_FAILED if kept else EXIT_DONE


def _networks(count: int) -> str:
    return "1 converted network" if count == 1 else f"{count} converted networks"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


def _check_all() -> int:
    problems: list[str] = []
    usable = True
    for title, check, is_needed in _CHECKS:
        click.echo(title)
        try:
            findings = list(check())
        except Exception as error:  # anything may be broken; that is what this command is for
            findings = [("", f"{title} could not be checked ({type(error).__name__}: {error})")]
        for line, problem in findings:
            if line:
                click.echo(f"  {line}")
            if problem is not None:
                problems.append(problem)
                usable = usable and not is_needed
    click.echo()
    for problem in problems:
        click.echo(f"problem: {problem}")
    if not problems:
        click.echo("no problems found")
    elif usable:
        click.echo("videos can still be rendered")
    return EXIT_DONE if usable else EXIT_FAILED


def _versions() -> Iterator[Finding]:
    import streamcam

    yield (
        f"streamcam {streamcam.__version__}, Python {platform.python_version()}, {platform.platform()}",
        None,
    )
    versions = {name: _version_of(name) for name in _PACKAGES}
    found = {name: version for name, version in versions.items() if version is not None}
    yield ", ".join(f"{name} {version}" for name, version in found.items()), None
    names = ("opencv-python-headless", "opencv-contrib-python-headless")
    headless = [name for name in names if _version_of(name) is not None]
    for name in headless:
        yield (
            f"{name} is installed",
            f"{name} replaces OpenCV's windows: pip uninstall {name} opencv-python, then "
            "pip install opencv-python",
        )
    from streamcam.errors import StreamcamError
    from streamcam.media.encoders import EncoderSettings, choose_encoding

    try:
        encoding = choose_encoding(Path("video.mp4"), EncoderSettings())
        yield f"videos are encoded with {encoding.encoder}", None
    except StreamcamError as error:
        yield "", str(error)


def _version_of(package: str) -> str | None:
    """Return the version of an installed package; None if it is not installed."""
    import importlib.metadata  # only now: it takes 20 ms, which every command would wait for

    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _accelerators() -> Iterator[Finding]:
    if importlib.util.find_spec("torch") is None:
        yield "PyTorch is not installed: only exported networks run, as --model net.explain", None
        return
    from streamcam.explain.devices import describe_accelerators

    for line in describe_accelerators():
        yield line, None


def _cameras() -> Iterator[Finding]:
    from streamcam.sources import list_cameras

    if not sys.platform.startswith("linux"):
        yield "cameras are not listed on this system; try streamcam live 0", None
        return
    cameras = list_cameras()
    if not cameras:
        yield "none found; only streamcam live needs one, and only without a video or stream URL", None
    for camera in cameras:
        yield (
            f"{camera.number}: {camera.title} ({camera.path})",
            (None if camera.problem is None else f"camera {camera.number}: {camera.problem}"),
        )
        for line in mode_lines(camera):
            yield f"   {line}", None


def mode_lines(camera: CameraInfo) -> list[str]:
    """Describe a camera's modes: a line per pixel format, with sizes and their highest frame rates."""
    lines: dict[str, list[str]] = {}
    for mode in camera.modes:
        rate = "" if mode.rate is None else f" at {_number(mode.rate)}"
        lines.setdefault(mode.fourcc, []).append(f"{mode.width}x{mode.height}{rate}")
    return [f"{fourcc}: {', '.join(sizes)}" for fourcc, sizes in lines.items()]


def _number(rate: Fraction) -> str:
    return f"{float(rate):.4g}"


def _display() -> Iterator[Finding]:
    from streamcam.session.window import NO_DISPLAY, find_display

    problem = find_display()
    if problem is None:
        yield "windows can be opened", None
    elif problem.startswith(NO_DISPLAY) and not any(map(os.environ.get, _DISPLAY_VARIABLES)):
        yield "none, as on a server; only the window of streamcam live needs one", None
    else:
        yield "no window can be opened", problem


def _live() -> Iterator[Finding]:
    """List where live sessions can come from and go to; nothing of it is a problem where it is missing."""
    from streamcam.errors import StreamcamError
    from streamcam.session.virtual_camera import VirtualCamera
    from streamcam.sinks import PROTOCOLS
    from streamcam.sources.screen import find_grabber

    there = [name for name, protocol in PROTOCOLS.items() if protocol.is_available]
    missing = [name for name in PROTOCOLS if name not in there]
    without = f" (FFmpeg here is built without {', '.join(missing)})" if missing else ""
    yield f"published by {', '.join(there)}{without}", None
    grabber = find_grabber()
    yield "the screen cannot be grabbed" if grabber is None else f"the screen is grabbed by {grabber}", None
    absent = [name for name in _PAGE_PACKAGES if importlib.util.find_spec(name) is None]
    needed = f"the page needs {', '.join(absent)}: pip install 'streamcam[page]'"
    yield needed if absent else "the page is there", None
    try:
        VirtualCamera().close()
        yield "a virtual camera is there", None
    except StreamcamError as error:
        yield str(error), None


def _caches() -> Iterator[Finding]:
    from streamcam.explain.backends.cache import LIMIT_BYTES, cache_directory, used

    directory = cache_directory()
    entries, size = used(directory)
    yield (
        f"{directory}: {_networks(entries)}, {_megabytes(size)} of at most {_megabytes(LIMIT_BYTES)} "
        "(streamcam doctor --clear-cache removes them)",
        _not_writable(directory),
    )
    hub = Path(os.environ.get("TORCH_HOME", Path.home() / ".cache" / "torch")) / "hub" / "checkpoints"
    weights = list(hub.glob("*.pth")) if hub.is_dir() else []
    size = sum(path.stat().st_size for path in weights)
    yield f"{hub}: {len(weights)} files of weights, {_megabytes(size)}", None


def _not_writable(directory: Path) -> str | None:
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    if os.access(existing, os.W_OK):
        return None
    return f"{existing} is not writable, so networks are converted at every start; set STREAMCAM_CACHE"


_CHECKS: tuple[tuple[str, Callable[[], Iterator[Finding]], bool], ...] = (
    ("versions", _versions, True),
    ("accelerators", _accelerators, True),
    ("cameras", _cameras, False),
    ("display", _display, False),
    ("live sessions", _live, False),
    ("caches", _caches, False),
)
"""Title, check, and whether videos cannot be rendered if it finds a problem."""
