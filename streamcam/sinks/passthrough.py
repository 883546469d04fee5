"""Copying sound, subtitles, chapters and metadata from the input, untouched.

The copier reads the input through a container of its own, because a container belongs to one thread and
the frames are read in another. It holds one packet at a time, however long the film.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream

from streamcam.containers import Timeline, decoding_time_s, open_film, read_packets
from streamcam.errors import SinkError
from streamcam.frames import SourceInfo
from streamcam.sinks.encoding import can_hold

if TYPE_CHECKING:
    from av.container.core import Chapter

_COPIED_TYPES = ("audio", "subtitle")

# What a container says of itself rather than of the film.
_CONTAINER_KEYS = {"major_brand", "minor_version", "compatible_brands", "encoder"}

_INTERLEAVING_S = 10.0
"""How far apart in a file packets of one time may lie; FFmpeg's own muxers keep to the same."""


class StreamCopier:
    """Muxes the input's sound and subtitles beside the new pictures, in step with them.

    Attributes:
        left_out: The streams that the output cannot hold, in words.
    """

    def __init__(self, info: SourceInfo, path: Path, output: OutputContainer) -> None:
        """Open the input and give the output a stream for each one that it can hold.

        Args:
            info: The source of the pictures.
            path: Its file.
            output: The container being written; nothing is muxed yet.

        Raises:
            SinkError: if the input cannot be opened again.
        """
        try:
            self._input: InputContainer = open_film(path)
        except FFmpegError as error:
            raise SinkError(f"{str(path)!r} cannot be read for its sound ({error.strerror})") from error
        self._output = output
        self._info = info
        self.left_out: list[str] = []
        self._copy_descriptions()
        self._streams = self._add_streams()
        self._packets = self._placed_packets()
        self._next = next(self._packets, None)

    def copy_until(self, time_s: float) -> None:
        """Mux everything up to a time in the input's own timeline, in seconds.

        Raises:
            FFmpegError: if the output refuses.
        """
        while self._next is not None and self._next[0] <= time_s:
            self._output.mux(self._next[1])
            self._next = next(self._packets, None)

    def copy_rest(self) -> None:
        """Mux everything that is left of the wanted part.

        Raises:
            FFmpegError: if the output refuses.
        """
        self.copy_until(float("inf"))

    def close(self) -> None:
        """Close the input; there is nothing more to copy then."""
        self._next = None
        self._packets.close()  # going on to read from a closed container would crash the process
        self._input.close()

    def _copy_descriptions(self) -> None:
        self._output.metadata.update(
            {key: value for key, value in self._input.metadata.items() if key not in _CONTAINER_KEYS}
        )
        if self._info.start_s is None and self._info.end_s is None:
            self._output.set_chapters([self._shifted(chapter) for chapter in self._input.chapters()])

    def _shifted(self, chapter: Chapter) -> Chapter:
        shift = round(self._info.begin_s / (chapter["time_base"] or 1))
        return {**chapter, "start": chapter["start"] - shift, "end": chapter["end"] - shift}

    def _add_streams(self) -> dict[int, Stream]:
        streams: dict[int, Stream] = {}
        for stream in self._input.streams:
            if stream.type not in _COPIED_TYPES:
                continue
            if not can_hold(self._output.format.name, stream):
                codec = stream.codec_context.codec.canonical_name if stream.codec_context else "unknown codec"
                self.left_out.append(f"{stream.type} stream {stream.index} ({codec})")
                continue
            copied = self._output.add_stream_from_template(stream)
            copied.metadata.update(stream.metadata)
            copied.disposition = stream.disposition
            streams[stream.index] = copied
        return streams

    def _placed_packets(self) -> Generator[tuple[float, Packet[Any]], None, None]:
        """Yield when each packet is due, in seconds of the input's timeline, and the packet made ready."""
        timelines: dict[int, Timeline] = {}
        for packet in self._wanted_packets():
            index, time_base = packet.stream.index, packet.time_base
            timeline = timelines.setdefault(index, Timeline(time_base))
            given = packet.dts if packet.dts is not None else packet.pts
            placed = timeline.place(given)
            shift = round(self._info.begin_s / time_base)
            packet.dts = placed - shift
            if packet.pts is not None and given is not None:
                packet.pts += packet.dts - given
            packet.stream = self._streams[index]
            yield float(placed * time_base), packet

    def _wanted_packets(self) -> Iterator[Packet[Any]]:
        """Yield the packets of the wanted part, in the order of the file."""
        if not self._streams:
            return
        start_s, end_s = self._info.start_s, self._info.end_s
        if start_s is not None:
            with contextlib.suppress(FFmpegError):  # then it takes longer
                self._input.seek(round(start_s * av.time_base))
        # Errors are not counted: the reader of the pictures meets the same ones and reports them.
        for packet in read_packets(self._input, lambda: None):
            time_s = decoding_time_s(packet)
            if time_s is not None and end_s is not None:
                if time_s >= end_s + _INTERLEAVING_S:
                    return
                if time_s >= end_s:
                    continue
            if start_s is not None and (time_s is None or time_s < start_s):
                continue
            if packet.stream.index in self._streams:
                yield packet
