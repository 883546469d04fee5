"""Finding out whether a video file holds what it promises."""

from __future__ import annotations

from typing import Any

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

# Containers whose index, read before the first packet, lists every frame there should be.
_HAS_INDEX = ("mov",)

# Containers that state their own duration instead of letting FFmpeg estimate it from the file's size.
_STATES_DURATION = ("matroska", "flv", "avi")

_TOLERANCE_S = 0.5
_TOLERANCE_FRAMES = 2


class CompletenessCheck:
    """Watches a video's packets go by and compares them, at the end, with what its container declares.

    A file that was cut off mostly reads like one that ends there: FFmpeg says nothing.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        """Assign.

        Args:
            container: The open file.
            stream: Its stream of images.
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
        """Tell in words what is missing at the end; None if nothing is. Only for a file read to its end."""
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
