"""The newest frame of each stream of a live session, on its way from the readers to one consumer."""

from __future__ import annotations

import threading

from streamcam.frames import Frame
from streamcam.pipeline.channel import ChannelClosedError

NumberedFrame = tuple[int, Frame]
"""The index of a stream, and a frame of it."""


class NewestFrames:
    """Holds one frame of each stream, the newest, for a consumer that takes those of some streams at a time.

    Streams take turns: the frames of those that were taken longest ago come first, so that none waits for
    ever, and one that sends nothing costs nothing. Nobody polls and nobody sleeps.

    Attributes:
        dropped: For each stream, how many frames were replaced by newer ones.
    """

    def __init__(self, streams: int) -> None:
        """Make it empty.

        Args:
            streams: Number of streams.
        """
        self.dropped = [0] * streams
        self._frames: dict[int, Frame] = {}
        self._open = set(range(streams))
        self._turns = [0] * streams
        self._turn = 0
        self._changed = threading.Condition()
        self._error: BaseException | None = None

    def put(self, stream: int, frame: Frame) -> None:
        """Replace the frame of a stream.

        Raises:
            ChannelClosedError: if the stream is closed, or all have failed.
        """
        with self._changed:
            if stream not in self._open:
                raise ChannelClosedError("the stream takes no more frames")
            self.dropped[stream] += stream in self._frames
            self._frames[stream] = frame
            self._changed.notify_all()

    def take(
        self, most: int, timeout_s: float | None = None, *, rounds_down: bool = False
    ) -> list[NumberedFrame]:
        """Take the frames of the streams whose turn it is, waiting for the first one.

        Args:
            most: How many to take at most.
            timeout_s: How long to wait in seconds; None for as long as it takes.
            rounds_down: Whether to take only 1, 2, 4 or another power of two: a network has to be prepared
                for every size of a batch.

        Returns:
            The frames, those of the streams that were taken longest ago; none if none has come in that time.

        Raises:
            ChannelClosedError: if all streams are closed and nothing is left.
            BaseException: what `fail` was given.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._frames or not self._open, timeout_s)
            if self._error is not None:
                raise self._error
            if not self._frames and not self._open:
                raise ChannelClosedError("no more frames will come")
            count = min(most, len(self._frames))
            if rounds_down and count:
                count = 1 << (count.bit_length() - 1)
            turn = sorted(self._frames, key=lambda stream: (self._turns[stream], stream))[:count]
            for stream in turn:  # those of one batch one after another, or the first would come sooner again
                self._turn += 1
                self._turns[stream] = self._turn
            return [(stream, self._frames.pop(stream)) for stream in turn]

    def close(self, stream: int) -> None:
        """Let a stream end after the frame that waits; does nothing to a closed one."""
        with self._changed:
            self._open.discard(stream)
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """Close all streams and raise an exception in the consumer; the first failure counts."""
        with self._changed:
            if self._error is None:
                self._error = error
            self._open.clear()
            self._frames.clear()
            self._changed.notify_all()
