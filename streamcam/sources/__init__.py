"""Stage 1: reading frames from files, and from cameras and networks as they happen."""

from __future__ import annotations

import math
import stat
from pathlib import Path

from streamcam.errors import InvalidArgumentError, SourceError, SourceNotFoundError
from streamcam.sources.base import Source
from streamcam.sources.camera import CameraFeed, CameraSettings, check_camera
from streamcam.sources.live import LiveSource, Notify, ReconnectingSource
from streamcam.sources.network import NetworkFeed, check_no_url, is_url
from streamcam.sources.paced import PacedSource
from streamcam.sources.settings import ReadingSettings
from streamcam.sources.still import is_image, open_image
from streamcam.sources.synthetic import SyntheticSource
from streamcam.sources.v4l2 import CameraInfo, list_cameras
from streamcam.sources.video import open_video

__all__ = [
    "CameraInfo",
    "CameraSettings",
    "LiveSource",
    "Notify",
    "ReadingSettings",
    "Source",
    "SyntheticSource",
    "check_input_file",
    "is_image",
    "list_cameras",
    "live_source",
    "open_source",
]


def open_source(
    location: str | Path,
    *,
    start_s: float | None = None,
    end_s: float | None = None,
    reading: ReadingSettings | None = None,
) -> Source:
    """Open a video or image file for reading.

    Args:
        location: The file's path.
        start_s: Frames before this time, in seconds from the video's beginning, are left out.
        end_s: Frames from this time on are left out.
        reading: How a video is read.

    Returns:
        A source, to be iterated and closed by the thread that uses it.

    Raises:
        SourceNotFoundError: if there is no such file, or it is a directory, a pipe or a device.
        SourceError: if it holds no image that can be decoded.
        InvalidArgumentError: if the times are not 0 ≤ start < end, or the file is an image, which has none
            and takes no other settings for videos either.
    """
    if start_s is not None and not 0 <= start_s < math.inf:
        raise InvalidArgumentError(f"`start_s` {start_s:g} is not in the video; it counts seconds from 0")
    if end_s is not None and not (start_s or 0) < end_s < math.inf:
        raise InvalidArgumentError(f"`end_s` {end_s:g} is not after the start ({start_s or 0:g})")
    if reading is not None and reading.keep_interlaced and reading.size:
        raise InvalidArgumentError(
            "`size` would mix the rows of two instants; leave `keep_interlaced=True` out"
        )
    path = check_input_file(location)
    if not is_image(path):
        return open_video(path, start_s, end_s, reading or ReadingSettings())
    if start_s is not None or end_s is not None:
        raise InvalidArgumentError(f"{str(location)!r} is an image; leave out `start_s` and `end_s`")
    if reading not in (None, ReadingSettings()):
        raise InvalidArgumentError(f"{str(location)!r} is an image; leave out the options for videos")
    return open_image(path)


def live_source(location: str, *, loop: bool = False, camera: CameraSettings | None = None) -> LiveSource:
    """Tell what kind of source is meant, and make it ready; it is opened by the thread that reads it.

    Args:
        location: A camera's number or device path, a stream's URL, or the path of a video.
        loop: Whether a video begins again after its end.
        camera: How a camera is to be set.

    Raises:
        SourceNotFoundError: if there is no such camera, or it is a path that leads nowhere.
        SourceError: if it is a file that may not be read.
        InvalidArgumentError: if it is an image, or its URL cannot be used.
    """
    if is_url(location):
        return ReconnectingSource(NetworkFeed(location))
    is_number = location.isascii() and location.isdigit()
    if is_number or location.startswith("/dev/"):
        device = int(location) if is_number else location
        check_camera(device)
        return ReconnectingSource(CameraFeed(device, camera))
    if not Path(location).exists():
        check_no_url(location)
    return PacedSource(check_input_file(location), loop=loop)


def check_input_file(location: str | Path) -> Path:
    """Make sure that an input is a file with something in it.

    Raises:
        SourceNotFoundError: if there is no such file, or it is a directory, a pipe or a device.
        SourceError: if it is empty or may not be read.
    """
    path = Path(location)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise SourceNotFoundError(f"{str(location)!r} is a directory; give a video or image file")
        if not stat.S_ISREG(mode):  # opening a pipe would wait for its other end
            raise SourceNotFoundError(f"{str(location)!r} is not a file; give a video or image file")
        with path.open("rb") as file:
            is_empty = not file.read(1)
    except SourceError:
        raise
    except (FileNotFoundError, NotADirectoryError):
        raise SourceNotFoundError(f"no file {str(location)!r}; check the path") from None
    except OSError as error:
        raise SourceError(f"{str(location)!r} cannot be read: {error.strerror}") from error
    except ValueError as error:  # a NUL in the name
        raise SourceError(f"{str(location)!r} cannot be read: {error}") from error
    if is_empty:
        raise SourceError(f"{str(location)!r} is empty")
    return path
