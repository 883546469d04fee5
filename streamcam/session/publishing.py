"""Publication of a live session: to a server, a player or a folder, again and again where it is lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction

from streamcam.errors import SinkError
from streamcam.explanations import RenderedFrame
from streamcam.media.urls import redact
from streamcam.session.compositor import Compositor
from streamcam.session.events import OutputReady
from streamcam.session.outputs import Emit, LiveFrame, Output
from streamcam.sinks import Publication, Sink

_FIRST_DELAY_S = 0.5
_LONGEST_DELAY_S = 10.0

_STEADY_S = 5.0
"""A connection that held this long is taken for a good one: the next pause is short again."""

Publish = Callable[[str, Fraction | None], Sink]


class Publishing(Output):
    """Images on their way out, in a thread of its own: the newest one whenever the way is free.

    What cannot be reached is tried again, with pauses that double up to ten seconds.
    """

    def __init__(
        self,
        target: str,
        *,
        publish: Publish = lambda target, rate: Publication(target, rate=rate),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare a publication; nothing is connected yet.

        Args:
            target: A URL with a scheme in `streamcam.sinks.PROTOCOLS`.
            publish: Makes a connection: target and rate → sink.
            clock: Returns monotonic seconds.

        Raises:
            StreamcamError: if nothing can be published there.
        """
        self._target = target
        self._publish = publish
        self._clock = clock
        self._emit: Emit = lambda _event: None
        self._compositor = Compositor()
        self._sink: Sink | None = None
        self._last_pts: int | None = None
        self._connected_s = self._retry_s = 0.0
        self._delay_s = _FIRST_DELAY_S
        self._is_lost = False
        self._sent = self._losses = 0

    def start(self, emit: Emit) -> None:
        """Take note of where to report to."""
        self._emit = emit

    def write(self, live_frame: LiveFrame) -> None:
        """Send a frame, unless it was sent already or the next attempt to connect is not due."""
        frame, state = live_frame.frame, live_frame.state
        now_s = self._clock()
        if frame.pts == self._last_pts or now_s < self._retry_s:
            return
        try:
            if self._sink is None:
                self._sink = self._publish(self._target, state.rate)
                self._connected_s = now_s
            image = self._compositor.compose_live(live_frame)
            self._sink.write(RenderedFrame(image, frame.pts, frame.time_base, live_frame.heat))
        except SinkError as error:
            self._lose(error)
            return
        self._last_pts = frame.pts
        self._sent += 1
        if self._is_lost:
            self._is_lost = False
            self._emit(OutputReady(f"{redact(self._target)} is reached again"))

    def counts(self) -> dict[str, int]:
        """Return how many frames were sent, and how often the connection was lost."""
        return {"published": self._sent, "publishing_lost": self._losses}

    def close(self) -> None:
        """End the stream in order."""
        sink, self._sink = self._sink, None
        if sink is not None:
            try:
                sink.finish()
            except SinkError as error:
                self._emit(OutputReady(str(error)))

    def _lose(self, error: SinkError) -> None:
        """Hang up, and say so once."""
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.abort()
        now_s = self._clock()
        if sink is not None and now_s - self._connected_s > _STEADY_S:
            self._delay_s = _FIRST_DELAY_S
        self._retry_s = now_s + self._delay_s
        self._delay_s = min(2 * self._delay_s, _LONGEST_DELAY_S)
        self._losses += 1
        if not self._is_lost:
            self._is_lost = True
            self._emit(OutputReady(f"{error}; trying again"))
