"""Input files: checking that they can be read, and what sources of several images in one file share."""

from __future__ import annotations

import stat
from collections.abc import Generator, Iterator
from pathlib import Path

from streamcam.errors import SourceError, SourceNotFoundError
from streamcam.frames import Frame, SourceInfo
from streamcam.media.images import Image
from streamcam.sources.base import Source
from streamcam.sources.settings import SourceSettings
from streamcam.sources.transparency import make_frame


def is_file(location: str | int | Path) -> bool:
    """Return whether there is a regular file of that name."""
    try:
        return not isinstance(location, int) and Path(location).is_file()
    except (OSError, ValueError):  # a NUL in the name, or a name that is too long
        return False


def check_input_file(location: str | int | Path) -> Path:
    """Make sure that an input is a file with something in it.

    Raises:
        SourceNotFoundError: if there is no such file, or it is a directory, a pipe or a device.
        SourceError: if it is empty or may not be read.
    """
    path, name = Path(str(location)), str(location)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise SourceNotFoundError(f"{name!r} is a directory; give a video or image file")
        if not stat.S_ISREG(mode):  # opening a pipe would wait for its other end
            raise SourceNotFoundError(f"{name!r} is not a file; give a video or image file")
        with path.open("rb") as file:
            is_empty = not file.read(1)
    except SourceError:
        raise
    except (FileNotFoundError, NotADirectoryError):
        raise SourceNotFoundError(f"no file {name!r}; check the path") from None
    except OSError as error:
        raise SourceError(f"{name!r} cannot be read: {error.strerror}") from error
    except ValueError as error:  # a NUL in the name
        raise SourceError(f"{name!r} cannot be read: {error}") from error
    if is_empty:
        raise SourceError(f"{name!r} is empty")
    return path


class DecodedFileSource(Source):
    """The frames of one file, of which the first is decoded when it is opened: `info` describes it.

    A subclass sets `_settings`, `_info`, `_images`, the images that are still to come, and `_first`, the one
    before them. It counts in `_frames_read` the images that were decoded.
    """

    _settings: SourceSettings
    _info: SourceInfo
    _images: Generator[Image, None, None]
    _first: Image | None
    _frames_read = 0
    _frames_given = 0

    @property
    def info(self) -> SourceInfo:
        """Description of the file."""
        return self._info

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames, once."""
        image, self._first = self._first, None
        while image is not None and not self.stop_flag.is_set():
            assert image.pts is not None
            time_base, duration = self._info.time_base, image.duration or 0
            frame = make_frame(image, self._frames_given, image.pts, time_base, duration)
            self._frames_given += 1
            yield frame
            image = next(self._images, None)

    def close(self) -> None:
        """Close the file; it yields no more frames."""
        self._first = None
        self._images.close()  # going on to read from a closed file may crash the process

    def _count_frames(self) -> tuple[int, int | None]:
        """Return how many images were read, and how many frames were made of them at another rate."""
        if self._settings.rate is None:
            return self._frames_given, None
        return self._frames_read, self._frames_given


VIDEO_SUFFIXES = frozenset(
    {
        ".3g2",
        ".3gp",
        ".apng",
        ".asf",
        ".avi",
        ".dv",
        ".f4v",
        ".flv",
        ".gif",
        ".h264",
        ".h265",
        ".hevc",
        ".ivf",
        ".m1v",
        ".m2ts",
        ".m2v",
        ".m4v",
        ".mj2",
        ".mjpeg",
        ".mjpg",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".mxf",
        ".nut",
        ".ogv",
        ".qt",
        ".rm",
        ".ts",
        ".vob",
        ".webm",
        ".wmv",
        ".y4m",
    }
)
"""Suffixes of the videos that are looked for in a folder. A file that is named may have any."""
