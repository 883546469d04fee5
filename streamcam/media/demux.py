"""Video files at the level of containers and packets: what reading images and copying audio both need."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet

PLAYLISTS = ("hls", "concat", "dash", "imf", "webm_dash_manifest")
"""FFmpeg's names for files that only point to others; some of them are waited for."""

_MAX_ERRORS_IN_A_ROW = 100
"""Reading is given up after this many: the rest of the file is noise."""

_JUMP_S = 1
"""Timestamps that fall back by more than this start anew; by less, they merely jitter."""


def open_input(path: Path, hwaccel: HWAccel | None = None) -> InputContainer:
    """Open a local video for reading, whatever its name looks like: no playlist, and no other file.

    Args:
        path: The file.
        hwaccel: What is to decode it, if not software.

    Returns:
        A container, which belongs to the thread that reads from it.

    Raises:
        FFmpegError: if FFmpeg cannot read it.
    """
    allowed = {
        "protocol_whitelist": "file",
        "format_whitelist": ",".join(sorted(av.formats_available - set(PLAYLISTS))),
    }
    # "file:" keeps names with a colon from being taken for protocols.
    return av.open(f"file:{path.absolute()}", options=allowed, metadata_errors="replace", hwaccel=hwaccel)


def read_packets(container: InputContainer, on_error: Callable[[], None]) -> Iterator[Packet[Any]]:
    """Yield the packets of all streams that carry something, from where the container stands to its end.

    Args:
        container: Of this thread.
        on_error: Called for every error met on the way, after which reading goes on.
    """
    errors = 0
    while errors < _MAX_ERRORS_IN_A_ROW:
        try:
            for packet in container.demux():
                errors = 0
                if packet.size:
                    yield packet
            return
        except FFmpegError:
            errors += 1
            on_error()


def decoding_time_s(packet: Packet[Any]) -> float | None:
    """Tell where a packet stands in its file's timeline, in seconds; None if it has no timestamp."""
    ticks = packet.dts if packet.dts is not None else packet.pts
    return None if ticks is None or packet.time_base is None else float(ticks * packet.time_base)


class Timeline:
    """Makes the timestamps of one stream increase strictly, and leaves them alone where they do."""

    def __init__(self, time_base: Fraction, step: int = 1) -> None:
        """Assign.

        Args:
            time_base: Seconds per tick.
            step: Ticks from one timestamp to the next where the file does not say.
        """
        self._jump = _JUMP_S / time_base
        self._step = step
        self._shift = 0
        self._last: int | None = None

    def place(self, ticks: int | None) -> int:
        """Tell the time, in ticks, of the next in line.

        Args:
            ticks: What the file says; None if it says nothing.
        """
        if self._last is None:
            self._last = 0 if ticks is None else ticks
        elif ticks is None:
            self._last += self._step
        else:
            if ticks + self._shift < self._last - self._jump:  # as where two recordings are strung together
                self._shift = self._last + self._step - ticks
            self._last = max(ticks + self._shift, self._last + 1)
        return self._last
