"""Carrying audio, subtitles, data, attachments, chapters and metadata over from the input.

The copier reads the input through a container of its own, because a container belongs to one thread and
the frames are read in another. It holds one packet at a time, however long the video.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Generator, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import AttachmentStream, Disposition, Stream
from av.subtitles.stream import SubtitleStream
from av.video.stream import VideoStream

from streamcam.errors import SinkError
from streamcam.frames import SourceInfo
from streamcam.media.containers import Container, can_copy
from streamcam.media.demux import decoding_time_s, open_input, read_packets
from streamcam.media.timecodes import later_timecode
from streamcam.sinks.copying.stream_copies import Lane, add_audio, add_copy, add_text

if TYPE_CHECKING:
    from av.container.core import Chapter

# What a container says of itself rather than of the video.
_CONTAINER_KEYS = {"major_brand", "minor_version", "compatible_brands", "encoder"}

# What a stream says of how it was encoded, which holds no longer when it is encoded anew.
_ENCODING_KEYS = {"bps", "duration", "encoder", "number_of_bytes", "number_of_frames", "rotate", "vendor_id"}
_STATISTICS = "_statistics_"

_TIMECODE = "timecode"

_ON_A_FRAME = 0.01
"""A start that is so many frames behind one is on it."""

_COVER_TYPES = {"mjpeg": "image/jpeg", "png": "image/png", "bmp": "image/bmp", "gif": "image/gif"}

_PREROLL_S = 0.1
"""How much hidden audio is copied all the same: a decoder needs it to begin with."""

_INTERLEAVING_S = 10.0
"""How far apart in a file packets of one time may lie; FFmpeg's own muxers keep to the same."""


class StreamCopier:
    """Muxes all but the images of the input beside the new images, in step with them.

    Attributes:
        notes: What could not be copied as it is, a sentence each.
    """

    def __init__(
        self, info: SourceInfo, path: Path, output: OutputContainer, container: Container, *, audio: bool
    ) -> None:
        """Open the input and give the output a stream for each one that it can hold.

        Args:
            info: The source of the images.
            path: Its file.
            output: What is being written: it has its stream of images, and nothing is muxed yet.
            container: Which kind of file that is.
            audio: Whether audio is wanted.

        Raises:
            SinkError: if the input cannot be opened again.
        """
        try:
            self._input: InputContainer = open_input(path)
        except FFmpegError as error:
            raise SinkError(f"{str(path)!r} cannot be read for its audio ({error.strerror})") from error
        self._output = output
        self._container = container
        self._info = info
        self._path = path
        self.notes: list[str] = []
        self._covers: list[Packet[Any]] = []
        self._copy_descriptions()
        self._lanes: dict[int, Lane] = {}
        for stream in self._input.streams:
            lane = self._add(stream, audio=audio)
            if lane is not None:
                self._lanes[stream.index] = lane
        self._packets = self._due_packets()
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

    # --- Descriptions ---------------------------------------------------------------------------------

    def _copy_descriptions(self) -> None:
        described = {key: value for key, value in self._input.metadata.items() if key not in _CONTAINER_KEYS}
        self._output.metadata.update(self._with_own_timecode(described))
        chapters = (self._shifted(chapter) for chapter in self._input.chapters())
        self._output.set_chapters([chapter for chapter in chapters if chapter is not None])

    def _shifted(self, chapter: Chapter) -> Chapter | None:
        """Put a chapter on the output's clock, cut to the wanted part; None if it lies outside."""
        time_base = chapter["time_base"]
        if not time_base:
            return None
        shift = round(self._info.begin_s / time_base)
        start, end = max(0, chapter["start"] - shift), chapter["end"] - shift
        if self._info.end_s is not None:
            end = min(end, round(self._info.end_s / time_base) - shift)
        return {**chapter, "start": start, "end": end} if start < end else None

    def _describe(self, stream: Stream, source: Stream, *, encoded_anew: bool) -> None:
        """Copy what a stream says of itself, as far as it stays true."""
        described = dict(source.metadata)
        if encoded_anew:
            described = {
                key: value
                for key, value in described.items()
                if key.lower().partition("-")[0] not in _ENCODING_KEYS and _STATISTICS not in key.lower()
            }
        stream.metadata.update(self._with_own_timecode(described))
        stream.disposition = source.disposition

    def _with_own_timecode(self, described: Mapping[str, str]) -> dict[str, str]:
        """Have a description's timecode name the output's first frame, or leave it out and say so."""
        own = {key: value for key, value in described.items() if key.lower() != _TIMECODE}
        for key in described.keys() - own.keys():
            loss = self._loss_of_timecodes()
            timecode = None if loss else later_timecode(described[key], *self._rate_and_frames_left_out())
            if timecode is not None:
                own[_TIMECODE] = timecode
            else:
                note = f"the timecode {described[key]} is left out: {loss or 'it is none that can be read'}"
                self.notes += [] if note in self.notes else [note]
        return own

    def _loss_of_timecodes(self) -> str | None:
        """Tell in words why the output has no timecodes; None if it has."""
        if not self._container.holds_timecodes:
            return self._cannot_hold()
        rate = self._input.streams[self._info.video_stream or 0].guessed_rate
        return None if self._info.rate in (None, rate) else "it counts frames, and `rate` makes other ones"

    def _rate_and_frames_left_out(self) -> tuple[Fraction, int]:
        rate = self._info.rate or Fraction(0)
        left_out_s = 0.0 if self._info.start_s is None else self._info.start_s - self._info.origin_s
        return rate, math.ceil(left_out_s * rate - _ON_A_FRAME)

    # --- Streams --------------------------------------------------------------------------------------

    def _add(self, source: Stream, *, audio: bool) -> Lane | None:
        """Give the output a stream for one of the input's, where its packets are to be carried over."""
        if isinstance(source, VideoStream):
            self._add_image(source)
        elif isinstance(source, AttachmentStream):
            self._add_attachment(source)
        elif not (source.type == "audio" and not audio) and not self._is_made_anew(source):
            lane = self._lane_for(source)
            if lane is None:
                self._leave_out(source)
            else:
                self._describe(lane.stream, source, encoded_anew=lane.encodes)
            return lane
        return None

    def _lane_for(self, source: Stream) -> Lane | None:
        begin_s = self._info.begin_s
        if can_copy(self._container, source):
            return add_copy(self._output, source, begin_s)
        lane: Lane | None = None
        encoder = None
        if isinstance(source, AudioStream) and (encoder := self._container.audio):
            lane = add_audio(self._output, source, encoder, begin_s)
        elif isinstance(source, SubtitleStream) and (encoder := self._container.subtitles):
            lane = add_text(self._output, source, encoder, begin_s)
        if lane is not None:
            codec = lane.stream.codec_context.codec.canonical_name
            self.notes.append(f"{_named(source)} is written as {codec}{lane.loss}: {self._cannot_hold()}")
        return lane

    def _is_made_anew(self, source: Stream) -> bool:
        """Tell whether a stream says only what the output's muxer writes by itself: timecodes, chapters."""
        # A timecode's track holds the first frame's; that of a camera's data tells one beside its own.
        if source.type == "data" and _TIMECODE in source.metadata and source.frames <= 1:
            return True
        starts = [chapter["start"] * (chapter["time_base"] or 0) for chapter in self._input.chapters()]
        shown = [entry.timestamp * (source.time_base or 0) for entry in source.index_entries]
        is_default = source.disposition & Disposition.default
        return source.type in ("subtitle", "data") and bool(starts) and not is_default and shown == starts

    def _add_image(self, source: VideoStream) -> None:
        """Describe the video's own stream; copy the cover of a disc or song."""
        if source.index == self._info.video_stream:
            self._describe(self._output.streams.video[0], source, encoded_anew=True)
        elif source.disposition & Disposition.attached_pic:
            packet = _first_packet(self._path, source.index)
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
        self.notes.append(f"{_named(source)} is left out: {self._cannot_hold()}")

    def _cannot_hold(self) -> str:
        return f"a {self._container.suffix} file cannot hold it"

    # --- Packets --------------------------------------------------------------------------------------

    def _due_packets(self) -> Generator[tuple[float, Packet[Any]], None, None]:
        """Yield when each packet is due, in seconds of the input's timeline, and the packet made ready."""
        for cover in self._covers:
            yield -math.inf, cover
        for packet in self._wanted_packets():
            yield from self._lanes[packet.stream.index].carry(packet)
        for lane in self._lanes.values():
            for packet in lane.flush():
                yield math.inf, packet

    def _wanted_packets(self) -> Iterator[Packet[Any]]:
        """Yield the packets of the wanted part, in the order of the file."""
        if not self._lanes:
            return
        start_s, end_s = self._info.start_s, self._info.end_s
        if start_s is not None:
            with contextlib.suppress(FFmpegError):  # then it takes longer
                self._input.seek(round(start_s * av.time_base))
        # Errors are not counted: the reader of the images meets the same ones and reports them.
        for packet in read_packets(self._input, lambda: None):
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
            if packet.stream.index in self._lanes:
                yield packet

    def _is_cut_off(self, packet: Packet[Any], time_s: float | None) -> bool:
        """Tell whether an edit list hides a packet, and the output could not: it has none."""
        if not packet.is_discard or self._container.has_edit_lists or time_s is None:
            return False
        return time_s < self._info.begin_s - _PREROLL_S


def _named(source: Stream) -> str:
    """Name a stream in words: its kind, number and codec, or file name."""
    if isinstance(source, AttachmentStream):
        return f"attachment {source.metadata.get('filename', source.index)!r}"
    # Streams of data have a name of their own; those whose codec FFmpeg does not know may be told by a title.
    name = getattr(source, "name", None) or source.metadata.get("handler_name", "").strip()
    codec = source.codec_context.codec.canonical_name if source.codec_context else name
    kind = "cover image" if source.type == "video" else f"{source.type} stream"
    return f"{kind} {source.index} ({codec or 'unknown codec'})"


def _first_packet(path: Path, index: int) -> Packet[Any] | None:
    """Read the one packet of a cover image, through a container of its own."""
    with contextlib.suppress(FFmpegError), open_input(path) as container:
        return next((packet for packet in container.demux(container.streams[index]) if packet.size), None)
    return None
