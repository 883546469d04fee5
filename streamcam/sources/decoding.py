"""Decoding a video file, with a count of what is damaged or missing in it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, cast

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from streamcam.media.demux import PacketPlaces, Timeline, read_packets
from streamcam.media.discontinuities import ContinuousClock
from streamcam.media.images import Image

_SEEK_MARGINS_S = (1, 20)
"""How long before the start to look for a keyframe, at first and then."""

# Containers whose index, read before the first packet, lists every frame there should be.
_HAS_INDEX = ("mov",)

# Containers that state their own duration instead of letting FFmpeg estimate it from the file's size.
_STATES_DURATION = ("matroska", "flv", "avi")

# Containers without presentation times: an image is shown when it is its turn.
_COUNTS_FRAMES = ("avi",)

_TOLERANCE_S = 0.5
_TOLERANCE_FRAMES = 2

_MARK_AGE = 2
"""How many packets behind a damaged one a discontinuity may follow that explains the mark."""

_LONGEST_HEAD = 500
"""How many packets without a time may come first before they are counted from 0."""

_REORDERED = 4
"""How many packets show the least time of those that are decoded in another order."""

_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""Codec → the decoder that reads its transparency too; FFmpeg's own leave it out."""


def _context_with_alpha(stream: VideoStream) -> VideoCodecContext | None:
    """Open a decoder that reads transparency, where a stream has some that its own decoder leaves out."""
    name = _ALPHA_DECODERS.get(stream.codec_context.name)
    if name is None or stream.metadata.get("alpha_mode") != "1" or name not in av.codecs_available:
        return None
    context = cast(VideoCodecContext, av.CodecContext.create(name, "r"))
    context.options = stream.codec_context.options
    return context


class Decoder:
    """Decodes one stream, from a keyframe before the start of a part to the end of the file.

    Attributes:
        damage: Damage that reaches the part.
        frames_decoded: Number of decoded images, those before the start included.
        completeness: Comparison with what the container declares.
    """

    def __init__(
        self, container: InputContainer, stream: VideoStream, start_pts: int | None, end_pts: int | None
    ) -> None:
        """Prepare to decode a part of a stream.

        Args:
            container: The open file.
            stream: One of its video streams.
            start_pts: First time of the part, in the stream's ticks; None for the beginning.
            end_pts: First time behind the part; None for the end.
        """
        # Not "AUTO": a decoder that works on several frames at once silently returns none of them when one of
        # the last packets is damaged.
        stream.thread_type = "SLICE"
        self._context = _context_with_alpha(stream) or stream.codec_context
        self._container = container
        self._stream = stream
        self._time_base = stream.time_base or Fraction(1, 1000)
        self._start_pts = start_pts
        self.damage = DamageCounter(start_pts, end_pts)
        self.frames_decoded = 0
        self.completeness = CompletenessCheck(container, stream)
        self._clock = ContinuousClock()
        self._mark: tuple[Packet[VideoStream], int, int] | None = None

    def images(self) -> Iterator[Image]:
        """Decode from the start's keyframe on; the images are as decoded, but with increasing pts."""
        rate = self._stream.guessed_rate
        step = max(1, round(1 / (rate * self._time_base))) if rate else 1
        packets = self._packets_from_start()
        head = _read_head(packets)
        timeline = Timeline(step, _first_time(head, step))
        places = PacketPlaces() if self._container.format.name in _COUNTS_FRAMES else None
        for packet in itertools.chain(head, packets, [None]):
            self._judge_mark(packet)
            if places is not None and packet is not None:
                places.feed(packet.dts)
            for decoded in self._decode_packet(packet):
                self.frames_decoded += 1
                if places is not None:
                    decoded.pts = places.place(self._context.reorder_depth, at_end=packet is None)
                decoded.pts = timeline.place(decoded.pts)
                self.damage.see(decoded)
                yield decoded

    def _decode_packet(self, packet: Packet[VideoStream] | None) -> list[Image]:
        """Decode one packet; None makes the decoder return what it still holds."""
        if packet is not None:
            self.damage.begin_packet(packet)
        try:
            images = self._context.decode(packet)
        except FFmpegError:
            self.damage.lose(packet)
            return []
        return images

    def _judge_mark(self, packet: Packet[VideoStream] | None) -> None:
        """Count a packet that the demuxer marked as damaged, unless a discontinuity follows at once.

        Where recordings were strung together, the container's count of its own packets starts over, which
        looks as if some were missing.
        """
        passed = self._clock.passed(self._stream.index)
        if self._mark is not None:
            marked, passed_then, age = self._mark
            self._mark = (marked, passed_then, age + 1) if passed == passed_then else None
            if self._mark and (age == _MARK_AGE or packet is None or packet.is_corrupt):
                self._mark = None
                self.damage.lose(marked)
        if packet is not None and packet.is_corrupt:
            self._mark = packet, passed, 0

    def _packets_from_start(self) -> Iterator[Packet[VideoStream]]:
        """Demux from a keyframe at or before the start on.

        Seeking goes by decoding times and, in some containers, to any packet: it may end up behind the
        last keyframe before the start. So it aims some time before the start, and then further back.
        """
        beginning = self._stream.start_time
        if self._start_pts is None or beginning is None:  # without timestamps there is no seeking
            return self._demux()
        for margin in (round(margin_s / self._time_base) for margin_s in _SEEK_MARGINS_S):
            if not self._seek(self._start_pts - margin):
                break
            packets = itertools.dropwhile(lambda packet: not packet.is_keyframe, self._demux())
            first = next(packets, None)
            if first is not None and first.pts is not None and first.pts <= self._start_pts:
                return itertools.chain([first], packets)
        # Some containers need a time before the first packet's to find it, others refuse one.
        _ = self._seek(beginning - margin) or self._seek(beginning)
        return self._demux()

    def _seek(self, pts: int) -> bool:
        try:
            self._container.seek(pts, stream=self._stream)
        except FFmpegError:
            return False
        return True

    def _demux(self) -> Iterator[Packet[VideoStream]]:
        """Yield the packets of the images; all are read, to know how far the file really reaches."""
        self._clock = ContinuousClock()
        for packet in self._clock.correct(self._noted_packets()):
            if packet.stream.index == self._stream.index:
                if self._container.format.name in _COUNTS_FRAMES:
                    packet.pts = packet.dts  # FFmpeg makes others up
                yield cast("Packet[VideoStream]", packet)

    def _noted_packets(self) -> Iterator[Packet[Any]]:
        for packet in read_packets(self._container, lambda: self.damage.lose(None)):
            self.completeness.note(packet)
            yield packet


def _read_head(packets: Iterator[Packet[VideoStream]]) -> list[Packet[VideoStream]]:
    """Read the packets without any time at the beginning, and those behind that tell theirs."""
    head: list[Packet[VideoStream]] = []
    timed = 0
    for packet in packets:
        head.append(packet)
        timed += _is_timed(packet)
        if timed == len(head) or timed == _REORDERED or len(head) == _LONGEST_HEAD:
            break
    return head


def _first_time(head: list[Packet[VideoStream]], step: int) -> int:
    """Return the time of the first image in ticks, counted back from those that are known.

    Matroska's times before 0 get lost.
    """
    times = [packet.pts for packet in head if packet.pts is not None]
    return min(times) - step * sum(not _is_timed(packet) for packet in head) if times else 0


def _is_timed(packet: Packet[Any]) -> bool:
    return packet.pts is not None or packet.dts is not None


class DamageCounter:
    """Counts the damage of a stream that reaches the part that is read.

    Damage before the start counts as far as images of the part may refer to it: from the last keyframe
    before the start on. Damage behind the end counts if images before the end are decoded after it.

    Attributes:
        packets: Packets that could not be decoded, or were marked as damaged.
        frames: Frames that were decoded with damage in them.
    """

    def __init__(self, start_pts: int | None, end_pts: int | None) -> None:
        """Prepare to count.

        Args:
            start_pts: First time of the part, in the stream's ticks; None for the beginning.
            end_pts: First time behind the part; None for the end.
        """
        self.packets = 0
        self.frames = 0
        self._start_pts = start_pts
        self._end_pts = end_pts
        self._key_pts: int | None = None
        self._has_begun = start_pts is None
        self._behind_end = 0

    def begin_packet(self, packet: Packet[VideoStream]) -> None:
        """Note a packet before it is decoded."""
        if packet.pts is None:
            return
        if packet.is_keyframe and not self._has_begun and packet.pts <= (self._start_pts or 0):
            self.packets = self.frames = 0
            self._key_pts = packet.pts
        if self._end_pts is not None and packet.pts < self._end_pts:
            self.packets, self._behind_end = self.packets + self._behind_end, 0

    def lose(self, packet: Packet[VideoStream] | None) -> None:
        """Count a damaged packet; None where it is not known which."""
        pts = None if packet is None else packet.pts
        if self._is_behind_end(pts):
            self._behind_end += 1
        elif not self._is_before_key(pts):
            self.packets += 1

    def see(self, image: Image) -> None:
        """Note a decoded image."""
        pts = image.pts
        self._has_begun = self._has_begun or (pts is not None and pts >= (self._start_pts or 0))
        if image.is_corrupt and not self._is_behind_end(pts) and not self._is_before_key(pts):
            self.frames += 1

    def _is_before_key(self, pts: int | None) -> bool:
        return self._key_pts is not None and pts is not None and pts < self._key_pts

    def _is_behind_end(self, pts: int | None) -> bool:
        return self._end_pts is not None and pts is not None and pts >= self._end_pts


class CompletenessCheck:
    """Watches a video's packets go by and compares them, at the end, with what its container declares.

    A file that was cut off mostly reads like one that ends there: FFmpeg says nothing.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        """Prepare to watch a file.

        Args:
            container: The open file.
            stream: Its video stream.
        """
        self._container = container
        self._stream = stream
        self._last_dts: int | None = None
        self._last_end_s: float | None = None

    def note(self, packet: Packet[Any]) -> None:
        """Take note of one packet of any stream."""
        if packet.stream.index == self._stream.index and packet.dts is not None:
            self._last_dts = packet.dts
        start = packet.pts if packet.pts is not None else packet.dts
        if start is not None and packet.time_base is not None:
            end_s = float((start + (packet.duration or 0)) * packet.time_base)
            self._last_end_s = end_s if self._last_end_s is None else max(self._last_end_s, end_s)

    def shortfall(self) -> str | None:
        """Describe what is missing at the end of a file that was read to its end; None if nothing is."""
        name = self._container.format.name
        if name.startswith(_HAS_INDEX):
            return self._missing_frames()
        return self._missing_time() if name.startswith(_STATES_DURATION) else None

    def _missing_frames(self) -> str | None:
        entries = self._stream.index_entries
        missing = 0
        for number in reversed(range(len(entries))):
            if self._last_dts is not None and entries[number].timestamp <= self._last_dts:
                break
            missing += 1
        return f"{missing} of {len(entries)} frames are missing from the file" if missing else None

    def _missing_time(self) -> str | None:
        declared_s = self._declared_end_s()
        if declared_s is None:
            return None
        rate = self._stream.guessed_rate
        tolerance_s = max(_TOLERANCE_S, _TOLERANCE_FRAMES / float(rate) if rate else 0.0)
        missing_s = declared_s - (self._last_end_s or 0.0)
        return f"the last {missing_s:.1f} s are missing from the file" if missing_s > tolerance_s else None

    def _declared_end_s(self) -> float | None:
        if self._container.format.name == "avi":
            # FFmpeg puts its estimate in the duration's place; the header counts frames, empty ones too.
            return float(self._stream.frames * (self._stream.time_base or 0)) or None
        if self._container.duration is None:
            return None
        return ((self._container.start_time or 0) + self._container.duration) / av.time_base
