"""Encoding the segments of a video, each independently of those before and after."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

from av.packet import Packet
from av.video.stream import VideoStream

from streamcam.explanations import RenderedFrame
from streamcam.sinks.resume.segments import Segment
from streamcam.sinks.video import VideoSink


class EncodedSegment(Protocol):
    """A segment that is encoded by now, or will be."""

    @property
    def is_ready(self) -> bool:
        """Whether nobody has to wait for it."""

    def take(self) -> Segment:
        """Wait for it, and return it without explanations.

        Raises:
            StreamcamError: if it cannot be encoded.
        """


class SegmentEncoder(Protocol):
    """Encodes segments, one after the other, here or elsewhere."""

    @property
    def most_waiting(self) -> int:
        """How many segments may be encoded while later frames come."""

    @property
    def notes(self) -> Sequence[str]:
        """Messages that the user should know of."""

    def encode(self, frame: RenderedFrame) -> None:
        """Add a frame to the segment.

        Raises:
            StreamcamError: if it cannot be encoded.
        """

    def end(self, frames: int) -> EncodedSegment:
        """End a segment of this many frames, and begin the next one.

        Raises:
            StreamcamError: if it cannot be encoded.
        """

    def abort(self) -> None:
        """Give up the segment that was begun."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Finished:
    """A segment that is encoded."""

    segment: Segment
    is_ready: bool = True

    def take(self) -> Segment:
        return self.segment


class LocalSegmentEncoder:
    """Encodes segments at once, each with an encoder of its own."""

    most_waiting = 0
    notes: Sequence[str] = ()

    def __init__(self, open_encoder: Callable[[], VideoSink]) -> None:
        """Prepare.

        Args:
            open_encoder: Opens an encoder, as a video that is never completed.
        """
        self._open_encoder = open_encoder
        self._encoder: VideoSink | None = None
        self._packets: list[Packet[VideoStream]] = []

    def encode(self, frame: RenderedFrame) -> None:
        """As in `SegmentEncoder`.

        Raises:
            SinkError: as `VideoSink.write` does.
        """
        if self._encoder is None:
            self._encoder = self._open_encoder()
        self._packets += self._encoder.encode(frame)

    def end(self, frames: int) -> EncodedSegment:
        """Flush the current encoder, and gather its packets; as in `SegmentEncoder`.

        Raises:
            SinkError: if the encoder refuses.
        """
        assert self._encoder is not None
        packets = [*self._packets, *self._encoder.encode(None)]
        self.abort()
        return _Finished(Segment.of(packets, frames, {}))

    def abort(self) -> None:
        """As in `SegmentEncoder`."""
        if self._encoder is not None:
            self._encoder.abort()
        self._encoder, self._packets = None, []
