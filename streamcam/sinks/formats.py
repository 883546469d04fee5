"""The kinds of film files that are written: which muxer makes each, and what it holds."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import av
from av.error import FFmpegError
from av.stream import Stream

from streamcam.errors import InvalidArgumentError


@dataclasses.dataclass(frozen=True, slots=True)
class Container:
    """One kind of film file."""

    suffix: str
    """How its name ends."""
    muxer: str
    """FFmpeg's name of the container."""
    video: str
    """The encoder used unless another is asked for."""
    audio: str | None = None
    """The encoder for sound that cannot be copied."""
    subtitles: str | None = None
    """The encoder for subtitle texts that cannot be copied."""
    holds_data: bool = False
    """Whether streams of data keep their meaning in it."""
    holds_attachments: bool = False
    holds_covers: bool = False


_ALL = (
    Container(".mp4", "mp4", "libx264", "aac", "mov_text", holds_covers=True),
    Container(".m4v", "mp4", "libx264", "aac", "mov_text", holds_covers=True),
    Container(".mov", "mov", "libx264", "aac", "mov_text"),
    Container(".mkv", "matroska", "libx264", "libopus", "srt", holds_attachments=True, holds_covers=True),
    Container(".webm", "webm", "libvpx-vp9", "libopus", "webvtt"),
    Container(".ts", "mpegts", "libx264", "aac", holds_data=True),
)

CONTAINERS = {container.suffix: container for container in _ALL}
"""Suffix → the kind of file.

Only containers with timestamps: AVI, which counts frames, is not among them.
"""

# FFmpeg writes anything at all into a transport stream, but reads only these back as what they were.
TRANSPORT_CODECS = {
    *("h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4"),
    *("aac", "ac3", "dts", "eac3", "mp2", "mp3", "opus", "truehd"),
    *("dvb_subtitle", "dvb_teletext"),
}


def container_of(path: Path) -> Container:
    """Tell which kind of film a file's suffix asks for.

    Raises:
        InvalidArgumentError: if it asks for none that is known.
    """
    try:
        return CONTAINERS[path.suffix.lower()]
    except KeyError:
        raise InvalidArgumentError(
            f"cannot tell from {path.name!r} what kind of file to write; use {', '.join(CONTAINERS)} "
            "for a film or .png, .jpg, .webp for a picture"
        ) from None


def can_copy(container: Container, stream: Stream) -> bool:
    """Tell whether a container takes a copy of a stream, by trying: not all refusals can be looked up.

    Args:
        container: The kind of file.
        stream: A stream of sound, subtitles or data of an open input.
    """
    if stream.type == "data":
        return container.holds_data and stream.container.format.name == container.muxer
    if not stream.codec_context:  # FFmpeg does not know the codec
        return False
    if container.muxer == "mpegts" and stream.codec_context.codec.canonical_name not in TRANSPORT_CODECS:
        return False
    try:
        with av.open(io.BytesIO(), "w", format=container.muxer) as trial:
            trial.add_stream_from_template(stream)
            trial.start_encoding()
    except (ValueError, FFmpegError):
        return False
    return True
