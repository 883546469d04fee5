"""The audio of a file that is played, read beside its images."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import cast

import av
from av.audio.frame import AudioFrame
from av.error import FFmpegError

from streamcam.media.demux import audio_stream, open_input, read_packets


def holds_audio(path: Path) -> bool:
    """Return whether a file holds audio that can be decoded."""
    with contextlib.suppress(FFmpegError, OSError), open_input(path) as container:
        return audio_stream(container) is not None
    return False


class FileAudio:
    """The audio of a file, in order of time. The file is opened a second time: its images are read apart."""

    def __init__(self, path: Path, begin_s: float) -> None:
        """Open the file.

        Args:
            path: A file that `holds_audio`.
            begin_s: What is before is left out, in seconds on the file's timeline.

        Raises:
            FFmpegError: if it cannot be opened any more.
        """
        self._container = open_input(path)
        self._frames = self._decode(begin_s)
        self._next = next(self._frames, None)

    def until(self, time_s: float) -> Iterator[tuple[float, AudioFrame]]:
        """Yield what was not yielded yet and begins before a time, each with its time, in seconds."""
        while self._next is not None and self._next[0] < time_s:
            yield self._next
            self._next = next(self._frames, None)

    def close(self) -> None:
        """Close the file."""
        self._next = None
        self._frames.close()  # going on to read from a closed container would crash the process
        self._container.close()

    def _decode(self, begin_s: float) -> Generator[tuple[float, AudioFrame], None, None]:
        stream = audio_stream(self._container)
        with contextlib.suppress(FFmpegError):  # then it takes longer
            self._container.seek(round(begin_s * av.time_base))
        # Errors are not counted: the reader of the images meets the same ones and reports them.
        for packet in read_packets(self._container, lambda: None):
            if stream is None or packet.stream.index != stream.index:
                continue
            with contextlib.suppress(FFmpegError):
                for frame in cast("list[AudioFrame]", packet.decode()):
                    if frame.time is not None and frame.time >= begin_s:
                        yield frame.time, frame
