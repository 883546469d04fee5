"""The kinds of sources, and opening whichever is meant."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path

from streamcam.errors import InvalidArgumentError
from streamcam.media.stores import is_stored, local_path
from streamcam.media.urls import redact
from streamcam.sources.animations import is_animation, open_animation
from streamcam.sources.base import Source
from streamcam.sources.camera import is_camera, open_camera
from streamcam.sources.fetched import (
    fetch_standard_input,
    is_standard_input,
    is_web_url,
)
from streamcam.sources.files import check_input_file, is_file
from streamcam.sources.images import is_image, open_image
from streamcam.sources.lent_camera import is_lent_camera, open_lent_camera
from streamcam.sources.network import check_url, is_stream_url, open_stream
from streamcam.sources.pages import is_paged, open_pages
from streamcam.sources.pipe import open_pipe
from streamcam.sources.screen import is_screen, open_screen
from streamcam.sources.sequences import files_matching, is_glob, is_sequence, open_sequence
from streamcam.sources.settings import SourceSettings
from streamcam.sources.stored import fetch_stored_file
from streamcam.sources.video_opening import open_video

_log = logging.getLogger("streamcam.sources")

Location = str | int | Path
"""Where a source is: a file's path, a camera's number or device, a stream's URL."""


@dataclasses.dataclass(frozen=True, slots=True)
class SourceKind:
    """One kind of source: one row of the table."""

    recognize: Callable[[Location], bool]
    """Whether a location is of this kind. The first row that says so is taken."""
    open: Callable[[Location, SourceSettings], Source]
    """Opens it. Files down to their first frame; live kinds check what takes no time, and connect when they
    are iterated over."""
    settings: frozenset[str] = frozenset()
    """The fields of `SourceSettings` that it takes; others are refused."""


_IMAGE = frozenset({"range", "alpha_channel"})

_SEQUENCE = frozenset(
    {"start_s", "end_s", "size", "rate", "depth", "chroma", "alpha_channel", "real_time", "loop"}
)

_VIDEO = _SEQUENCE | {"range", "video_stream", "keep_interlaced", "hwaccel"}


def _open_standard_input(location: Location, settings: SourceSettings) -> Source:
    if settings.real_time:
        return open_pipe(location, settings)
    return fetch_standard_input(lambda path: open_source(path, settings))


def _open_web_file(location: Location, settings: SourceSettings) -> Source:
    """Open a file on a web server; what is to be shown as it comes, or has no end, is a network stream."""
    if not settings.real_time:
        from streamcam.sources.web_files import fetch_web_file  # and what speaks HTTP

        source = fetch_web_file(str(location), lambda path: open_source(path, settings))
        if source is not None:
            return source
    return _open_as("network stream", location, settings)


SOURCES: dict[str, SourceKind] = {
    "standard input": SourceKind(is_standard_input, _open_standard_input, _VIDEO),
    "web file": SourceKind(is_web_url, _open_web_file, _VIDEO),
    "stored file": SourceKind(
        is_stored,
        lambda location, settings: fetch_stored_file(str(location), lambda path: open_source(path, settings)),
        _VIDEO - {"real_time", "loop"},
    ),
    "network stream": SourceKind(is_stream_url, open_stream, frozenset({"real_time"})),
    "screen": SourceKind(is_screen, open_screen, frozenset({"rate", "real_time"})),
    "lent camera": SourceKind(is_lent_camera, open_lent_camera, frozenset({"real_time"})),
    "camera": SourceKind(is_camera, open_camera, frozenset({"size", "rate", "mirror", "real_time"})),
    "animation": SourceKind(is_animation, open_animation, _SEQUENCE),
    "paged image": SourceKind(is_paged, open_pages, _SEQUENCE | {"range"}),
    "image": SourceKind(lambda location: is_file(location) and is_image(location), open_image, _IMAGE),
    "image sequence": SourceKind(is_sequence, open_sequence, _SEQUENCE | {"range", "slide_s"}),
    "video": SourceKind(is_file, open_video, _VIDEO),
}
"""Name of a kind → how it is recognized and opened."""


def open_source(location: Location, settings: SourceSettings | None = None) -> Source:
    """Open a video or image file, many images, a camera or a network stream.

    Files are opened at once, down to their first frame. Cameras and streams connect when they are iterated
    over, and connect again whenever they fail.

    Args:
        location: A file's path; a pattern for numbered images (``frames/%05d.png``), a folder of images or a
            pattern of names (``frames/*.png``); ``"-"`` for standard input; a camera's number (0 or ``"0"``)
            or device path; ``"screen:"`` for this computer's, or a part of it (``"screen:640x480+100+50"``);
            the URL of a file on a web server, in a store (``s3://``, ``gs://``) or of a stream; ``file://``.
        settings: How it is read; the defaults if None.

    Returns:
        A source, to be iterated over once and closed.

    Raises:
        SourceNotFoundError: if there is no such file or camera, or it is a pipe, or a directory without
            images.
        SourceError: if it holds no image that can be decoded.
        InvalidArgumentError: if the URL cannot be used, or a setting does not apply to this kind of source.
    """
    settings = settings or SourceSettings()
    location = local_path(location)
    if is_glob(location) and not is_file(location):
        check_url(location)
        matches = files_matching(location)
        is_slide = settings.real_time and is_image(matches[0])
        location = matches[0] if len(matches) == 1 and not is_slide else location
    for name, kind in SOURCES.items():
        if kind.recognize(location):
            return _open_as(name, location, settings)
    check_url(location)
    check_input_file(location)
    raise AssertionError("a file that can be read is an image or a video")


def is_still(location: Location) -> bool:
    """Return whether a location is a single image, without opening it as a source."""
    name = next((name for name, kind in SOURCES.items() if kind.recognize(location)), None)
    return name == "image"


def _open_as(name: str, location: Location, settings: SourceSettings) -> Source:
    """Open a source as one kind of the table."""
    _log.debug("%r is read as %s", redact(str(location)), name)
    _check_settings(location, name, SOURCES[name], settings)
    return SOURCES[name].open(location, settings)


def _check_settings(location: Location, name: str, kind: SourceKind, settings: SourceSettings) -> None:
    """Refuse settings that a kind of source does not take."""
    refused = [setting for setting in settings.changed() if setting not in kind.settings]
    if refused:
        words = " and ".join(f"`{setting}`" for setting in refused)
        article = "an" if name[0] in "aeiou" else "a"
        raise InvalidArgumentError(f"{redact(str(location))!r} is {article} {name}; leave out {words}")
