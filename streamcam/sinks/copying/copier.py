"""Copies of the input's other streams: audio, subtitles, data, attachments and covers.

The copier opens the input a second time, because a container belongs to one thread and the frames are read in
another. It holds one packet at a time, however long the video.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import AttachmentStream, Disposition, Stream
from av.subtitles.stream import SubtitleStream
from av.video.stream import VideoStream

from streamcam.errors import SinkError, map_errors
from streamcam.frames import SourceInfo
from streamcam.media.containers import Container, can_copy
from streamcam.media.demux import decoding_time_s, open_input, read_packets
from streamcam.media.discontinuities import ContinuousClock
from streamcam.media.muxing import Muxer
from streamcam.sinks.copying.converters import StreamConverter, add_audio, add_copy, add_subtitles
from streamcam.sinks.copying.metadata import TIMECODE, MetadataCopier

_COVER_TYPES = {"mjpeg": "image/jpeg", "png": "image/png", "bmp": "image/bmp", "gif": "image/gif"}

_PREROLL_S = 0.1
"""How much hidden audio is copied all the same: a decoder needs it to begin with."""

_HEAD_PACKETS = 1000
"""How many packets of a file are searched for the first of each stream."""

_INTERLEAVING_S = 10.0
"""How far apart in a file packets of one time may lie; FFmpeg's own muxers keep to the same."""


class StreamCopier:
    """Muxes the input's other streams beside the new images, in step with them."""

    def __init__(
        self, info: SourceInfo, path: Path, output: OutputContainer, container: Container, *, audio: bool
    ) -> None:
        """Open the input, and add a stream to the output for each that it can hold.

        Args:
            info: The source of the images.
            path: The source's file.
            output: The output: it has its stream of images, and nothing is muxed yet.
            container: The output's kind of file.
            audio: Whether audio is copied.

        Raises:
            SinkError: if the input cannot be opened again.
        """
        with map_errors(FFmpegError, to=lambda error: _unreadable(path, error)):
            self._input: InputContainer = open_input(path)
        self._output = output
        self._container = container
        self._info = info
        self._first_packets = _first_packets(path)
        self._notes: list[str] = []
        self._covers: list[Packet[Any]] = []
        self._metadata = MetadataCopier(self._input, output, container, info)
        self._metadata.copy_file()
        self._converters: dict[int, StreamConverter] = {}
        self._names: dict[int, str] = {}
        for stream in self._input.streams:
            converter = self._add(stream, audio=audio)
            if converter is not None:
                self._converters[stream.index] = converter
                self._names[stream.index] = _name(stream)
        self._first_packets.clear()
        self._packets = self._due_packets()
        self._next = next(self._packets, None)

    @property
    def notes(self) -> tuple[str, ...]:
        """Changes and losses that the user should know of, a sentence each."""
        damaged = (
            f"{self._names[index]}: {converter.damaged} damaged packets are left out"
            for index, converter in self._converters.items()
            if converter.damaged
        )
        return (*self._metadata.notes, *self._notes, *damaged)

    def copy_until(self, time_s: float, muxer: Muxer) -> None:
        """Mux everything up to a time in the input's own timeline, in seconds.

        Raises:
            FFmpegError: if the output refuses.
        """
        while self._next is not None and self._next[0] <= time_s:
            muxer.mux([self._next[1]])
            self._next = next(self._packets, None)

    def copy_rest(self, muxer: Muxer) -> None:
        """Mux everything that is left.

        Raises:
            FFmpegError: if the output refuses.
        """
        self.copy_until(float("inf"), muxer)

    def close(self) -> None:
        """Close the input; there is nothing more to copy then."""
        self._next = None
        self._packets.close()  # going on to read from a closed container would crash the process
        self._input.close()

    # --- Streams --------------------------------------------------------------------------------------

    def _add(self, source: Stream, *, audio: bool) -> StreamConverter | None:
        """Add a stream to the output for one of the input's; return the converter of its packets, if any."""
        if isinstance(source, VideoStream):
            self._add_image(source)
        elif isinstance(source, AttachmentStream):
            self._add_attachment(source)
        elif not (source.type == "audio" and not audio) and not self._is_redundant(source):
            converter = self._add_converter(source)
            if converter is None:
                self._leave_out(source)
            else:
                self._metadata.copy_stream(converter.stream, source, is_reencoded=converter.reencodes)
            return converter
        return None

    def _add_converter(self, source: Stream) -> StreamConverter | None:
        begin_s = self._info.begin_s
        if can_copy(self._container, source, self._first_packets.get(source.index)):
            return add_copy(self._output, source, begin_s)
        converter: StreamConverter | None = None
        encoder = None
        if isinstance(source, AudioStream) and (encoder := self._container.audio):
            converter = add_audio(self._output, source, encoder, begin_s)
        elif isinstance(source, SubtitleStream) and (encoder := self._container.subtitles):
            converter = add_subtitles(self._output, source, encoder, begin_s)
        if converter is not None:
            codec = converter.stream.codec_context.codec.canonical_name
            self._notes.append(
                f"{_name(source)} is re-encoded to {codec}{converter.loss}: {self._metadata.cannot_hold}"
            )
        return converter

    def _is_redundant(self, source: Stream) -> bool:
        """Return whether the output's muxer writes by itself all that a stream holds: timecodes, chapters."""
        # A track of timecodes holds one alone; a camera's track of data may have a timecode beside its data.
        if source.type == "data" and TIMECODE in source.metadata and source.frames <= 1:
            return True
        starts = [chapter["start"] * (chapter["time_base"] or 0) for chapter in self._input.chapters()]
        shown = [entry.timestamp * (source.time_base or 0) for entry in source.index_entries]
        is_default = source.disposition & Disposition.default
        return source.type in ("subtitle", "data") and bool(starts) and not is_default and shown == starts

    def _add_image(self, source: VideoStream) -> None:
        """Describe the video's own stream; copy the cover of a disc or song."""
        if source.index == self._info.video_stream:
            self._metadata.copy_stream(self._output.streams.video[0], source, is_reencoded=True)
        elif source.disposition & Disposition.attached_pic:
            packet = self._first_packets.get(source.index)
            if packet is None or not self._container.holds_covers:
                self._leave_out(source)
            elif self._container.holds_attachments:
                name = source.metadata.get("filename", f"cover.{source.codec_context.name}")
                kind = source.metadata.get("mimetype", _COVER_TYPES.get(source.codec_context.name, ""))
                self._output.add_attachment(name, kind, bytes(packet))
            else:
                cover = self._output.add_stream_from_template(source)
                cover.disposition = source.disposition
                packet.stream = cover
                self._covers.append(packet)

    def _add_attachment(self, source: AttachmentStream) -> None:
        if not self._container.holds_attachments:
            self._leave_out(source)
            return
        name = source.metadata.get("filename", f"attachment {source.index}")
        self._output.add_attachment(name, source.mimetype or "application/octet-stream", source.data)

    def _leave_out(self, source: Stream) -> None:
        self._notes.append(f"{_name(source)} is left out: {self._metadata.cannot_hold}")

    # --- Packets --------------------------------------------------------------------------------------

    def _due_packets(self) -> Generator[tuple[float, Packet[Any]], None, None]:
        """Yield each packet for the output after its time in the input, in seconds."""
        for cover in self._covers:
            yield -math.inf, cover
        for packet in self._read_packets():
            converter = self._converters[packet.stream.index]
            if not self._container.holds_changes and not converter.reencodes:
                packet = self._without_changes(packet)
            yield from converter.convert(packet)
        for converter in self._converters.values():
            for packet in converter.flush():
                yield math.inf, packet

    def _read_packets(self) -> Iterator[Packet[Any]]:
        """Yield the packets of the part that is rendered, in the order of the file."""
        if not self._converters:
            return
        start_s, end_s = self._info.start_s, self._info.end_s
        if start_s is not None:
            with contextlib.suppress(FFmpegError):  # then it takes longer
                self._input.seek(round(start_s * av.time_base))
        # Errors are not counted: the reader of the images meets the same ones and reports them.
        for packet in ContinuousClock().correct(read_packets(self._input, lambda: None)):
            time_s = decoding_time_s(packet)
            if time_s is not None and end_s is not None:
                if time_s >= end_s + _INTERLEAVING_S:
                    return
                if time_s >= end_s:
                    continue
            if start_s is not None and (time_s is None or time_s < start_s):
                continue
            if self._is_cut_off(packet, time_s):
                continue
            if packet.stream.index in self._converters:
                yield packet

    def _without_changes(self, packet: Packet[Any]) -> Packet[Any]:
        """Take changed codec data out of a packet; the next ones may not be decoded then."""
        if not packet.has_sidedata("new_extradata"):
            return packet
        source = packet.stream
        note = f"{_name(source)} changes its codec data on the way: {self._metadata.cannot_hold}"
        if note not in self._notes:
            self._notes.append(note)
        plain = Packet(bytes(packet))
        plain.pts, plain.dts, plain.duration = packet.pts, packet.dts, packet.duration
        plain.time_base, plain.is_keyframe = packet.time_base, packet.is_keyframe
        return plain

    def _is_cut_off(self, packet: Packet[Any], time_s: float | None) -> bool:
        """Return whether an edit list hides a packet, and the output has no edit list to do the same."""
        if not packet.is_discard or self._container.has_edit_lists or time_s is None:
            return False
        return time_s < self._info.begin_s - _PREROLL_S


def _name(source: Stream) -> str:
    """Describe a stream by its kind, number and codec, or file name."""
    if isinstance(source, AttachmentStream):
        return f"attachment {source.metadata.get('filename', source.index)!r}"
    # FFmpeg names streams of data; those whose codec it does not know may have a title.
    name = getattr(source, "name", None) or source.metadata.get("handler_name", "").strip()
    codec = source.codec_context.codec.canonical_name if source.codec_context else name
    kind = "cover image" if source.type == "video" else f"{source.type} stream"
    return f"{kind} {source.index} ({codec or 'unknown codec'})"


def _unreadable(path: Path, error: Exception) -> SinkError:
    return SinkError(f"{str(path)!r} cannot be read for its audio ({getattr(error, 'strerror', error)})")


def _first_packets(path: Path) -> dict[int, Packet[Any]]:
    """Read the first packet of each stream that has one near the beginning, through another container.

    Returns:
        Index of the stream → its packet.
    """
    first: dict[int, Packet[Any]] = {}
    with contextlib.suppress(FFmpegError), open_input(path) as container:
        if len(container.streams) == 1:
            return first
        for packet in itertools.islice(read_packets(container, lambda: None), _HEAD_PACKETS):
            first.setdefault(packet.stream.index, packet)
            if len(first) == len(container.streams):
                break
    return first
