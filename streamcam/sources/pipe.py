"""Standard input as it comes: a video that another program sends, without an end that could be waited for."""

from __future__ import annotations

import sys
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError

from streamcam.errors import InvalidArgumentError, SourceError
from streamcam.sources.base import Source
from streamcam.sources.capture import ReconnectingSource
from streamcam.sources.settings import SourceSettings
from streamcam.sources.stream_capture import StreamCapture, reason_of

_LOOKED_AT_US = "500000"
"""How much of it is looked at to find out what it is, in microseconds: images wait for that."""


def open_pipe(_location: str | int | Path, _settings: SourceSettings) -> Source:
    """Make standard input ready; the thread that reads it waits for what comes.

    Raises:
        InvalidArgumentError: if nothing is sent to it.
    """
    if sys.stdin is None or sys.stdin.isatty():
        raise InvalidArgumentError("nothing is sent to standard input; name a source, or pipe one in")
    return ReconnectingSource(PipeCapture(sys.stdin.fileno()))


class PipeCapture(StreamCapture):
    """A video that comes through a pipe, at its own pace at most."""

    is_paced = True
    ends = True

    def __init__(self, descriptor: int) -> None:
        """Take a pipe.

        Args:
            descriptor: The file descriptor to read from.
        """
        self.name = "standard input"
        self._descriptor = descriptor

    def connect(self) -> InputContainer:
        """Wait for the first of what is sent.

        Raises:
            SourceError: if it is no video.
        """
        options = {"protocol_whitelist": "pipe", "analyzeduration": _LOOKED_AT_US}
        try:
            return av.open(f"pipe:{self._descriptor}", options=options, metadata_errors="replace")
        except (FFmpegError, OSError, ValueError) as error:
            raise SourceError(
                f"{self.name!r} is not a video that can be read as it comes ({reason_of(error)}); send "
                "MPEG-TS or Matroska"
            ) from error
