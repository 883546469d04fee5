"""From a video file's packets to decoded images, each with a time of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from typing import cast

from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from streamcam.media.demux import Timeline, read_packets
from streamcam.media.images import Image
from streamcam.sources.completeness import CompletenessCheck
from streamcam.sources.damage import DamageCounter

_SEEK_MARGINS_S = (1, 20)
"""How long before the start to look for a keyframe, at first and then."""


class Decoder:
    """Decodes one stream, from a keyframe before the wanted start to the end of the file.

    Attributes:
        damage: What was found damaged and reaches the wanted part.
        frames_decoded: All that were decoded.
        completeness: What was found of what the file promises.
    """

    def __init__(
        self, container: InputContainer, stream: VideoStream, start_pts: int | None, end_pts: int | None
    ) -> None:
        """Assign.

        Args:
            container: The open file, of this thread.
            stream: One of its streams.
            start_pts: The first wanted time, in the stream's ticks; None for the beginning.
            end_pts: The first one that is not wanted any more; None for the end.
        """
        # Not "AUTO": a decoder that works on several frames at once gives none of them when one of the
        # last packets is damaged, and says nothing.
        stream.thread_type = "SLICE"
        self._container = container
        self._stream = stream
        self._time_base = stream.time_base or Fraction(1, 1000)
        self._start_pts = start_pts
        self.damage = DamageCounter(start_pts, end_pts)
        self.frames_decoded = 0
        self.completeness = CompletenessCheck(container, stream)

    def images(self) -> Iterator[Image]:
        """Decode from the start's keyframe on: as the decoder gives them, but each with a time of its own."""
        rate = self._stream.guessed_rate
        step = max(1, round(1 / (rate * self._time_base))) if rate else 1
        timeline = Timeline(self._time_base, step)
        for packet in itertools.chain(self._packets_from_start(), [None]):
            for decoded in self._decode_packet(packet):
                self.frames_decoded += 1
                decoded.pts = timeline.place(decoded.pts)
                self.damage.see(decoded)
                yield decoded

    def _decode_packet(self, packet: Packet[VideoStream] | None) -> list[Image]:
        """Decode one packet; None makes the decoder give what it still holds."""
        if packet is not None:
            self.damage.begin_packet(packet)
        try:
            images = self._stream.decode(packet)
        except FFmpegError:
            self.damage.lose(packet)
            return []
        if packet is not None and packet.is_corrupt:
            self.damage.lose(packet)
        return images

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
        for packet in read_packets(self._container, lambda: self.damage.lose(None)):
            self.completeness.note(packet)
            if packet.stream.index == self._stream.index:
                yield cast("Packet[VideoStream]", packet)
