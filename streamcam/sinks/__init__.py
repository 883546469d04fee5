"""Where finished images go: video files, image files, memory; and the sidecar with the raw maps."""

from __future__ import annotations

from pathlib import Path

from streamcam.errors import InvalidArgumentError
from streamcam.frames import SourceInfo
from streamcam.media.containers import CONTAINERS
from streamcam.media.encoders import EncoderSettings, Encoding
from streamcam.sinks.base import Sink
from streamcam.sinks.image import IMAGE_SUFFIXES, ImageSink
from streamcam.sinks.memory import MemorySink
from streamcam.sinks.part_file import check_output, discard_all, same_file
from streamcam.sinks.recording import Recording, check_recording
from streamcam.sinks.resume.segments import SegmentStore, open_store, parts_path
from streamcam.sinks.resume.sink import ResumableSink, check_resumable, open_resumable_sink
from streamcam.sinks.sequence import SequenceSink, check_sequence, is_sequence, sequence_size
from streamcam.sinks.sidecar import SidecarWriter
from streamcam.sinks.video import VideoSink, open_video_sink
from streamcam.sinks.video_setup import check_video

__all__ = [
    "ImageSink",
    "MemorySink",
    "Recording",
    "ResumableSink",
    "SegmentStore",
    "SequenceSink",
    "SidecarWriter",
    "Sink",
    "VideoSink",
    "check_destination",
    "check_output",
    "check_recording",
    "check_resumable",
    "discard_all",
    "open_resumable_sink",
    "open_sink",
    "open_store",
    "output_size",
    "parts_path",
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
        location: The file to make; ``out/%05d.png`` makes one image a frame.
        info: What the images come from: their size and timing, and the audio to copy.
        settings: How to encode a video; the defaults if None.
        overwrite: Whether an existing file may be replaced.

    Raises:
        OutputExistsError: if the file exists, or is the input.
        SinkError: if it cannot be written there.
        InvalidArgumentError: if the suffix names no known kind, or one that does not fit the input.
    """
    settings = settings or EncoderSettings()
    path, encoding = _settled(location, info, settings, overwrite=overwrite)
    if encoding is not None:
        return open_video_sink(path, info, settings, encoding)
    return ImageSink(path) if info.is_still else SequenceSink(path, info)


def check_destination(
    location: str | Path, info: SourceInfo, settings: EncoderSettings, *, overwrite: bool
) -> None:
    """Make sure, before any work, that an output can be made, is of the input's kind and can be encoded.

    Raises:
        OutputExistsError: if the file exists, or is the input.
        SinkError: if it cannot be written there.
        InvalidArgumentError: if its suffix is not one for a video or image, as the input is, or the
            settings do not go with it.
    """
    _settled(location, info, settings, overwrite=overwrite)


def _settled(
    location: str | Path, info: SourceInfo, settings: EncoderSettings, *, overwrite: bool
) -> tuple[Path, Encoding | None]:
    """Check an output as `check_destination` does; return how a video is encoded, if it is one."""
    path = check_output(location, overwrite=overwrite, inputs=(info.path,))
    is_image = path.suffix.lower() in IMAGE_SUFFIXES
    if info.is_still:
        if not is_image:
            wanted = ", ".join(sorted(IMAGE_SUFFIXES))
            raise InvalidArgumentError(f"the input is an image, so the output is one too: use {wanted}")
        return path, None
    if is_sequence(path):
        check_sequence(path, settings, overwrite=overwrite)
        return path, None
    if is_image and path.suffix.lower() not in CONTAINERS:
        raise InvalidArgumentError(
            f"{path.name!r} is an image, but the input is a video; use .mp4 or .mkv, or "
            f"%05d{path.suffix} for one image a frame"
        )
    return path, check_video(path, info, settings)


def output_size(path: Path) -> int:
    """Tell how many bytes an output has that was made by one of the sinks here."""
    return sequence_size(path) if is_sequence(path) and not path.exists() else path.stat().st_size
