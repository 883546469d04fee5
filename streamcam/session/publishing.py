"""Publication of a live session: to a server, a player or a folder, again and again where it is lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction

from streamcam.errors import SinkError
from streamcam.explanations import RenderedFrame
from streamcam.frames import AudioBlock
from streamcam.media.urls import redact
from streamcam.session.compositor import Compositor
from streamcam.session.events import OutputFailed, OutputReady, PublicationEnded
from streamcam.session.outputs import Emit, LiveFrame, Output
from streamcam.session.waiting_audio import WaitingAudio
from streamcam.sinks import Publication

_FIRST_DELAY_S = 0.5
_LONGEST_DELAY_S = 10.0

_STEADY_S = 5.0
"""A connection that held this long is taken for a good one: the next pause is short again."""

Publish = Callable[[str, Fraction | None, bool], Publication]


class Publishing(Output):
    """Images on their way out, in a thread of its own: the newest one whenever the way is free.

    What cannot be reached is tried again, with pauses that double up to ten seconds. Audio goes along with
    the images of its time.
    """

    hears = True

    def __init__(
        self,
        target: str,
        *,
        publish: Publish = lambda target, rate, has_audio: Publication(
            target, rate=rate, has_audio=has_audio
        ),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare a publication; nothing is connected yet.

        Args:
            target: A URL with a scheme in `streamcam.sinks.PROTOCOLS`.
            publish: Makes a connection: target, rate and whether there is audio → sink.
            clock: Returns monotonic seconds.

        Raises:
            StreamcamError: if nothing can be published there.
        """
        self._target = target
        self._publish = publish
        self._clock = clock
        self._emit: Emit = lambda _event: None
        self._compositor = Compositor()
        self._sink: Publication | None = None
        self._audio = WaitingAudio()
        self._last_pts: int | None = None
        self._connected_s = self._retry_s = 0.0
        self._delay_s = _FIRST_DELAY_S
        self._is_lost = False
        self._sent = self._losses = self._returns = 0
        self._had_audio = self._is_closed = False
        self._problem = ""

    def start(self, emit: Emit) -> None:
        """Take note of where to report to."""
        self._emit = emit

    def hear(self, block: AudioBlock) -> None:
        """Keep audio until it is sent; the oldest is dropped where nothing can be."""
        self._audio.add(block)

    def write(self, live_frame: LiveFrame) -> None:
        """Send a frame, unless it was sent already or the next attempt to connect is not due."""
        frame, state = live_frame.frame, live_frame.state
        now_s = self._clock()
        if frame.pts == self._last_pts or now_s < self._retry_s:
            return
        try:
            if self._sink is None:
                self._sink = self._publish(self._target, state.rate, state.has_audio)
                self._connected_s = now_s
            image = self._compositor.compose_live(live_frame)
            self._sink.write(RenderedFrame(image, frame.pts, frame.time_base, live_frame.heat))
            for block in self._audio.take_until(frame.time_s):
                self._sink.write_audio(block)
                self._had_audio = True
        except SinkError as error:
            self._lose(error)
            return
        self._last_pts = frame.pts
        self._sent += 1
        if self._is_lost:
            self._is_lost = False
            self._returns += self._sent > 1
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
        if self._is_closed:
            return
        self._is_closed = True
        if self._sent:
            name = redact(self._target)
            self._emit(PublicationEnded(name, self._sent, self._had_audio, self._returns))
        elif self._problem:
            self._emit(OutputFailed(self._problem))

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
        self._problem = str(error)
        if not self._is_lost:
            self._is_lost = True
            self._emit(OutputReady(f"{error}; trying again"))
