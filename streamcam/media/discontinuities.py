"""Discontinuities: where the clock of a file is set back, because recordings were strung together."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

from av.packet import Packet

from streamcam.media.demux import decoding_time_s

_JITTER_S = 0.1
"""Timestamps that fall back by no more than this merely jitter."""

_GAP_S = 0.1
"""A stream that pauses for longer may be on a new clock; another stream shows whether it is set back."""

_GAP_PACKETS = 12
"""How many packets later that may show."""

_LOOKAHEAD_S = 1.5
"""How far a new clock is followed, to see which streams it is the clock of."""

_LOOKAHEAD_PACKETS = 1000


@dataclasses.dataclass(slots=True, eq=False)
class _Stream:
    """One audio or video stream, with its times in seconds as they are in the file."""

    is_video: bool
    shift_s: float
    """The seconds added to its times."""
    last_s: float
    """The last decoding time."""
    end_s: float
    """The end of the last packet."""
    begin_s: float | None = None
    """The first time on a new clock whose shift is not known yet."""
    before: tuple[float, float] = (0.0, 0.0)
    """`last_s` and `end_s` before that."""
    passed: int = 0
    """How many discontinuities it has passed."""

    def advance(self, time_s: float, duration_s: float) -> None:
        """Take note of a packet."""
        step_s = duration_s or max(0.0, time_s - self.last_s)
        self.last_s, self.end_s = time_s, time_s + step_s

    def begin(self, time_s: float) -> None:
        """Begin a new clock."""
        self.begin_s, self.before = time_s, (self.last_s, self.end_s)
        self.last_s = time_s


class ContinuousClock:
    """Moves the times of packets so that a clock that is set back goes on instead.

    All streams of one discontinuity move together, by as little as keeps them from overlapping: audio and
    images of the later recording stay in step, even if those of the earlier one ended apart. For that, the
    packets behind a discontinuity are held back until it is known which streams it concerns.
    """

    def __init__(self) -> None:
        """Prepare for the packets of one file."""
        self._streams: dict[int, _Stream] = {}
        self._shift_s = 0.0
        self._held: list[tuple[Packet[Any], bool]] = []
        self._first: _Stream | None = None
        self._gap_packets = 0

    def passed(self, stream_index: int) -> int:
        """Return how many discontinuities the packets of a stream have passed so far."""
        stream = self._streams.get(stream_index)
        return 0 if stream is None else stream.passed

    def correct(self, packets: Iterable[Packet[Any]]) -> Iterator[Packet[Any]]:
        """Yield the packets of all streams in the order of the file, each moved if it has to be."""
        for packet in packets:
            time_s = decoding_time_s(packet) if packet.dts is not None else None
            stream = self._stream_of(packet, time_s)
            if stream is None or time_s is None:
                is_new = time_s is not None and self._is_nearer_to_new(time_s)
            else:
                if self._is_decided(stream, time_s):
                    yield from self._release()
                is_new = self._is_on_new_clock(stream, time_s)
                stream.advance(time_s, float((packet.duration or 0) * packet.time_base))
            if not is_new:
                self._move(packet)
            if self._first is None and not self._gap_packets:
                yield packet
                continue
            self._held.append((packet, is_new))
            if self._has_looked_ahead():
                yield from self._release()
        yield from self._release()

    def _stream_of(self, packet: Packet[Any], time_s: float | None) -> _Stream | None:
        """Return what is known of a packet's stream; None if packets may come there as they like."""
        kind = packet.stream.type
        if time_s is None or kind not in ("video", "audio"):
            return None
        index = packet.stream.index
        if index not in self._streams:
            self._streams[index] = _Stream(kind == "video", self._shift_s, time_s, time_s)
        return self._streams[index]

    def _is_on_new_clock(self, stream: _Stream, time_s: float) -> bool:
        """Return whether a packet is, or may be, behind a discontinuity whose shift is not known yet."""
        if self._first is None:
            if time_s < stream.last_s - _JITTER_S:
                stream.begin(time_s)
                self._first = stream
                for other in self._streams.values():
                    if other.begin_s is not None and not self._is_nearer_to_new(other.begin_s):
                        other.begin_s = None  # its gap was one
            elif stream.begin_s is None and time_s > stream.end_s + _GAP_S and len(self._streams) > 1:
                stream.begin(time_s)
                self._gap_packets = _GAP_PACKETS
        elif stream.begin_s is None:
            goes_on = stream.last_s <= time_s <= stream.end_s + _GAP_S
            if not goes_on and self._is_nearer_to_new(time_s):
                stream.begin(time_s)
        return stream.begin_s is not None

    def _is_nearer_to_new(self, time_s: float) -> bool:
        """Return whether a time is nearer to the new clock than to the old one."""
        if self._first is None:
            return False
        return abs(time_s - self._first.last_s) < abs(time_s - self._first.before[0])

    def _is_decided(self, stream: _Stream, time_s: float) -> bool:
        """Return whether a packet ends the wait for others of the same time."""
        is_set_back = time_s < stream.last_s - _JITTER_S
        if stream.begin_s is None or (self._first is None and not is_set_back):
            return False
        if self._first is None:
            return True
        if stream is not self._first:
            return False
        if stream.begin_s == stream.last_s and time_s > stream.before[0]:  # one packet was out of order
            stream.last_s, stream.end_s = stream.before
            self._forget_begins()
            return True
        return is_set_back or time_s > stream.begin_s + _LOOKAHEAD_S

    def _has_looked_ahead(self) -> bool:
        """Return whether what is held back is enough to tell which streams are on a new clock."""
        first = self._first
        if first is None:
            self._gap_packets -= 1
            return not self._gap_packets
        is_known_of_all = all(stream.begin_s is not None for stream in self._streams.values())
        is_confirmed = first.begin_s != first.last_s
        return (is_known_of_all and is_confirmed) or len(self._held) >= _LOOKAHEAD_PACKETS

    def _forget_begins(self) -> None:
        for stream in self._streams.values():
            stream.begin_s = None

    def _release(self) -> Iterator[Packet[Any]]:
        """Settle the shift of the new clock, if there is one, and yield what was held back."""
        if self._first is None:
            self._forget_begins()
        moved = [stream for stream in self._streams.values() if stream.begin_s is not None]
        if moved:
            shift_s = _common_shift_s(moved)
            for stream in moved:
                stream.shift_s, stream.begin_s = shift_s, None
            if len(moved) > 1 or len(self._streams) == 1:
                self._shift_s = shift_s
        held, self._held, self._first, self._gap_packets = self._held, [], None, 0
        for packet, is_new in held:
            if is_new:
                found = self._streams.get(packet.stream.index)
                if found is not None and found in moved:
                    moved.remove(found)
                    found.passed += 1
                self._move(packet)
            yield packet

    def _move(self, packet: Packet[Any]) -> None:
        stream = self._streams.get(packet.stream.index)
        shift_s = self._shift_s if stream is None else stream.shift_s
        if shift_s and packet.time_base is not None:
            ticks = round(shift_s / packet.time_base)
            packet.dts = None if packet.dts is None else packet.dts + ticks
            packet.pts = None if packet.pts is None else packet.pts + ticks


def _common_shift_s(streams: list[_Stream]) -> float:
    """Return by how much a new clock is moved so that each of its streams goes on behind what it had.

    Beside images, which follow each other to the tick, audio may overlap by less than a packet.
    """
    video = [stream for stream in streams if stream.is_video]
    shifts_s = []
    for stream in streams:
        assert stream.begin_s is not None
        last_s, end_s = stream.before
        reached_s = end_s if stream.is_video or not video else last_s
        shifts_s.append(reached_s + stream.shift_s - stream.begin_s)
    return max(shifts_s)
