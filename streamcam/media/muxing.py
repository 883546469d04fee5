"""Muxing packets with timestamps that every container takes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import Any, cast

from av.container import OutputContainer
from av.format import Flags
from av.packet import Packet
from av.rational import AVRational

from streamcam.media.demux import decoding_time_s


@dataclasses.dataclass(slots=True)
class Span:
    """The packets of one stream, in number and time."""

    kind: str
    """``"video"``, ``"audio"``, ``"subtitle"`` or ``"data"``."""
    packets: int = 0
    first_s: float = math.inf
    """The earliest decoding time."""
    last_s: float = -math.inf

    @property
    def length_s(self) -> float:
        """The time from the first packet to the last; 0 if there is none."""
        return max(0.0, self.last_s - self.first_s) if self.packets else 0.0

    def add(self, time_s: float | None) -> None:
        """Take note of a packet and its decoding time."""
        self.packets += 1
        if time_s is not None:
            self.first_s, self.last_s = min(self.first_s, time_s), max(self.last_s, time_s)


class Muxer:
    """Muxes packets into a container, each later than the one before in its stream.

    Timestamps are compared in the stream's own time base, in which what was a tick apart may be equal.

    Attributes:
        spans: Index of each stream → the packets that were muxed.
    """

    def __init__(self, container: OutputContainer) -> None:
        """Prepare to mux.

        Args:
            container: The output, which has begun: its muxer has chosen the time bases.
        """
        self._container = container
        self._takes_equal = bool(container.format.flags & cast(int, Flags.ts_nonstrict.value))
        self._last: dict[int, int] = {}
        self.spans: dict[int, Span] = {}

    def mux(self, packets: Iterable[Packet[Any]]) -> None:
        """Mux packets, each of which has its stream.

        Raises:
            FFmpegError: if the container refuses.
        """
        for packet in packets:
            self._put_in_order(packet)
            stream = packet.stream
            self.spans.setdefault(stream.index, Span(stream.type)).add(decoding_time_s(packet))
            self._container.mux(packet)

    def _put_in_order(self, packet: Packet[Any]) -> None:
        stream = packet.stream
        packet.rescale_ts(AVRational(stream.time_base))
        if packet.dts is None:
            return
        may_be_equal = self._takes_equal or stream.type in ("subtitle", "data")
        last = self._last.get(stream.index)
        if last is not None:
            packet.dts = max(packet.dts, last if may_be_equal else last + 1)
        if packet.pts is not None:
            packet.pts = max(packet.pts, packet.dts)
        self._last[stream.index] = packet.dts
