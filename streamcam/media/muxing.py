"""Muxing packets with timestamps that every container takes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from av.container import OutputContainer
from av.format import Flags
from av.packet import Packet
from av.rational import AVRational


class Muxer:
    """Muxes packets into a container, each later than the one before in its stream.

    Timestamps are compared in the stream's own time base, in which what was a tick apart may be equal.
    """

    def __init__(self, container: OutputContainer) -> None:
        """Prepare to mux.

        Args:
            container: The output, which has begun: its muxer has chosen the time bases.
        """
        self._container = container
        self._takes_equal = bool(container.format.flags & cast(int, Flags.ts_nonstrict.value))
        self._last: dict[int, int] = {}

    def mux(self, packets: Iterable[Packet[Any]]) -> None:
        """Mux packets, each of which has its stream.

        Raises:
            FFmpegError: if the container refuses.
        """
        for packet in packets:
            self._put_in_order(packet)
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
