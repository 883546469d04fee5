"""Videos sent to standard output, for another program to read while they are made."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import av
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from streamcam.errors import InvalidArgumentError, SinkError, map_errors
from streamcam.files import sink_error
from streamcam.frames import SourceInfo
from streamcam.media.containers import CONTAINERS
from streamcam.media.encoders import EncoderSettings, Encoding, choose_encoding
from streamcam.sinks.copying.copier import StreamCopier
from streamcam.sinks.video import VideoSink
from streamcam.sinks.video_streams import close_container, start_streams

STANDARD_OUTPUT = "-"

_NAME = "standard output"
_DEFAULT = ".mkv"


def is_standard_output(location: str | Path) -> bool:
    """Return whether a location means standard output; a file of that name is ``./-``."""
    return str(location) == STANDARD_OUTPUT


class StandardOutputSink(VideoSink):
    """A video that is sent while it is encoded: what was sent stays, however the render ends."""

    def __init__(
        self,
        pipe: _Pipe,
        container: OutputContainer,
        stream: VideoStream,
        copier: StreamCopier | None,
        encoding: Encoding,
        info: SourceInfo,
    ) -> None:
        """Take over an open container; see `open_standard_output`."""
        super().__init__(Path(_NAME), container, stream, copier, encoding, info, overwrite=True)
        self._pipe = pipe

    def check(self) -> None:
        """Do nothing: whoever reads has closed it is seen when it is written to."""

    def _complete(self) -> None:
        self._pipe.close()

    def _discard(self) -> None:
        self._pipe.close()


class _Pipe:
    """Standard output for the video alone; what else is printed goes to standard error meanwhile.

    FFmpeg does not try to go back in what has no `seek`.
    """

    def __init__(self) -> None:
        self._descriptor: int | None = None
        with map_errors(
            OSError, ValueError, to=lambda error: SinkError(f"{_NAME} cannot be written: {error}")
        ):
            sys.stdout.flush()
            self._descriptor = os.dup(1)
            os.dup2(2, 1)

    def write(self, data: bytes) -> int:
        """Write all of the data."""
        assert self._descriptor is not None
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        return len(data)

    def close(self) -> None:
        """Give standard output back; may be called again."""
        if self._descriptor is not None:
            os.dup2(self._descriptor, 1)
            os.close(self._descriptor)
        self._descriptor = None


def open_standard_output(info: SourceInfo, settings: EncoderSettings) -> StandardOutputSink:
    """Choose and try the encoder, and start a video on standard output.

    Args:
        info: The source of the frames.
        settings: How they are encoded, and in what kind of video.

    Raises:
        InvalidArgumentError: if the source is an image, standard output is a terminal, the kind of video
            needs a file, or codec, options, container and video do not go together.
        SinkError: if it cannot be written to.
    """
    if info.is_still:
        raise InvalidArgumentError(f"an image is not sent to {_NAME}; name a file, as heat.png")
    suffix = settings.container or _DEFAULT
    kind = CONTAINERS.get(suffix.lower())
    if kind is None or kind.pipe_options is None:
        fitting = ", ".join(row.suffix for row in CONTAINERS.values() if row.pipe_options is not None)
        raise InvalidArgumentError(
            f"`container` {suffix!r} is no kind of video that can be sent to {_NAME}; use one of {fitting}"
        )
    if sys.stdout is None or sys.stdout.isatty():
        raise InvalidArgumentError(f"{_NAME} is a terminal; send it to a program or file, or name the output")
    encoding = choose_encoding(
        Path(f"{_NAME}{suffix}"),
        settings,
        pixel_format=info.pixel_format,
        hdr_metadata=info.hdr_metadata,
        rate=info.rate,
    )
    path = Path(_NAME)
    with contextlib.ExitStack() as undo:
        pipe = _Pipe()
        undo.callback(pipe.close)
        options = kind.options_for(info, is_pipe=True)
        with map_errors(FFmpegError, OSError, to=lambda error: sink_error(path, "cannot be written", error)):
            container = av.open(pipe, "w", format=kind.muxer, container_options=options)
        undo.callback(close_container, container)
        stream, copier = start_streams(container, path, info, encoding, audio=not settings.no_audio)
        undo.pop_all()
    return StandardOutputSink(pipe, container, stream, copier, encoding, info)
