"""Where finished pictures go: video files, image files, memory; and the sidecar with the raw maps."""

from __future__ import annotations

from pathlib import Path

from streamcam.errors import InvalidArgumentError
from streamcam.frames import SourceInfo
from streamcam.sinks.base import Sink
from streamcam.sinks.encoding import EncoderSettings, check_encoding
from streamcam.sinks.image import IMAGE_SUFFIXES, ImageSink
from streamcam.sinks.memory import MemorySink
from streamcam.sinks.partfile import check_output, discard_all, same_file
from streamcam.sinks.sidecar import SidecarWriter
from streamcam.sinks.video import VideoSink, open_video_sink

__all__ = [
    "EncoderSettings",
    "ImageSink",
    "MemorySink",
    "SidecarWriter",
    "Sink",
    "VideoSink",
    "check_destination",
    "check_encoding",
    "check_output",
    "discard_all",
    "open_sink",
    "same_file",
]


def open_sink(
    location: str | Path,
    info: SourceInfo,
    *,
    settings: EncoderSettings | None = None,
    overwrite: bool = False,
) -> Sink:
    """Open an output of the kind that its suffix names.

    Args:
        location: The file to make.
        info: What the pictures come from: their size and timing, and the sound to copy.
        settings: How to encode a film; the defaults if None.
        overwrite: Whether an existing file may be replaced.

    Raises:
        OutputExistsError: if the file exists, or is the input.
        SinkError: if it cannot be written there.
        InvalidArgumentError: if the suffix names no known kind, or one that does not fit the input.
    """
    path = check_destination(location, info.path, overwrite=overwrite, is_still=info.is_still)
    if info.is_still:
        return ImageSink(path)
    return open_video_sink(path, info, settings or EncoderSettings())


def check_destination(location: str | Path, source: Path | None, *, overwrite: bool, is_still: bool) -> Path:
    """Make sure, before any work, that an output can be made and is of the input's kind.

    Raises:
        OutputExistsError: if the file exists, or is the input.
        SinkError: if it cannot be written there.
        InvalidArgumentError: if its suffix is not one for a film or picture, as the input is.
    """
    path = check_output(location, overwrite=overwrite, inputs=(source,))
    is_image = path.suffix.lower() in IMAGE_SUFFIXES
    if is_image and not is_still:
        raise InvalidArgumentError(f"{path.name!r} is a picture, but the input is a film; use .mp4 or .mkv")
    if is_still and not is_image:
        wanted = ", ".join(sorted(IMAGE_SUFFIXES))
        raise InvalidArgumentError(f"the input is a picture, so the output is one too: use {wanted}")
    return path
