"""The kinds of sources, and opening whichever is meant."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path

from streamcam.errors import InvalidArgumentError
from streamcam.sources.animations import is_animation, open_animation
from streamcam.sources.base import Source
from streamcam.sources.camera import is_camera, open_camera
from streamcam.sources.files import check_input_file, is_file
from streamcam.sources.images import is_image, open_image
from streamcam.sources.network import check_url, is_stream_url, open_stream, redact
from streamcam.sources.sequences import is_sequence, open_sequence
from streamcam.sources.settings import SourceSettings
from streamcam.sources.video import open_video

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


_SEQUENCE = frozenset({"start_s", "end_s", "size", "rate", "depth", "chroma", "real_time", "loop"})

SOURCES: dict[str, SourceKind] = {
    "network stream": SourceKind(is_stream_url, open_stream, frozenset({"real_time"})),
    "camera": SourceKind(is_camera, open_camera, frozenset({"size", "rate", "mirror", "real_time"})),
    "animation": SourceKind(is_animation, open_animation, _SEQUENCE),
    "image": SourceKind(
        lambda location: is_file(location) and is_image(location), open_image, frozenset({"range"})
    ),
    "image sequence": SourceKind(is_sequence, open_sequence, _SEQUENCE | {"range"}),
    "video": SourceKind(
        is_file, open_video, _SEQUENCE | {"range", "video_stream", "keep_interlaced", "hwaccel"}
    ),
}
"""Name of a kind → how it is recognized and opened."""


def open_source(location: Location, settings: SourceSettings | None = None) -> Source:
    """Open a video or image file, a camera or a network stream.

    Files are opened at once, down to their first frame. Cameras and streams connect when they are iterated
    over, and connect again whenever they fail.

    Args:
        location: A file's path, a pattern for numbered images (``frames/%05d.png``), a camera's number (0 or
            ``"0"``) or device path, or a stream's URL.
        settings: How it is read; the defaults if None.

    Returns:
        A source, to be iterated over once and closed.

    Raises:
        SourceNotFoundError: if there is no such file or camera, or it is a directory or a pipe.
        SourceError: if it holds no image that can be decoded.
        InvalidArgumentError: if the URL cannot be used, or a setting does not apply to this kind of source.
    """
    settings = settings or SourceSettings()
    for name, kind in SOURCES.items():
        if kind.recognize(location):
            _log.debug("%r is read as %s", redact(str(location)), name)
            _check_settings(location, name, kind, settings)
            return kind.open(location, settings)
    check_url(location)
    check_input_file(location)
    raise AssertionError("a file that can be read is an image or a video")


def _check_settings(location: Location, name: str, kind: SourceKind, settings: SourceSettings) -> None:
    """Refuse settings that a kind of source does not take."""
    refused = [setting for setting in settings.changed() if setting not in kind.settings]
    if refused:
        words = " and ".join(f"`{setting}`" for setting in refused)
        article = "an" if name[0] in "aeiou" else "a"
        raise InvalidArgumentError(f"{redact(str(location))!r} is {article} {name}; leave out {words}")
