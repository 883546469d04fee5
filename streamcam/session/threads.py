"""The threads of a live session: one reads, one explains, and neither ever waits for the other."""

from __future__ import annotations

import dataclasses
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from streamcam.errors import StreamcamError
from streamcam.explanations import Explanation
from streamcam.frames import Frame
from streamcam.pipeline.batches import BatchExplainer, FrameExplainer
from streamcam.pipeline.channel import Channel, ChannelClosedError
from streamcam.pipeline.workers import Worker
from streamcam.session.events import ExplainerChanged, RequestRefused
from streamcam.session.state import ExplainerFacts, ExplainRequest
from streamcam.sources import Source
from streamcam.temporal import TemporalSettings

_logger = logging.getLogger("streamcam.session")

_MOST_RECENT = 32
"""Number of frames that are kept for clips while one is explained."""

PATIENCE_S = 0.5
"""How long the end waits for both threads, in seconds. A device that hangs, a network that is loading or a
slow map is then left behind: none of them holds anything that has to be finished."""


class LiveExplainer(FrameExplainer, Protocol):
    """An explainer of a live session."""

    @property
    def facts(self) -> ExplainerFacts:
        """Facts about it at this moment; with the next frame another backend may take over."""


ExplainerFor = Callable[[ExplainRequest], LiveExplainer]
"""Returns an explainer for a request, or raises a `StreamcamError`. Called in the explaining thread."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """One frame's explanation, and the explainer that made it."""

    frame: Frame
    explanation: Explanation
    facts: ExplainerFacts


Answer = ExplainerChanged | RequestRefused | Explained


class LiveThreads:
    """The reading and the explaining thread, and the channels between them and the session.

    Both channels of frames hold one and drop it for a newer one, so that what is taken is always the newest.

    Attributes:
        frames: From the reader to the session.
        answers: From the explainer to the session.
        captured: How many frames have been read.
    """

    def __init__(
        self,
        source: Source,
        explainer_for: ExplainerFor,
        request: ExplainRequest,
        temporal: TemporalSettings,
    ) -> None:
        """Connect source and explainer; nothing runs yet.

        Args:
            source: Iterated and closed in the reader's thread.
            explainer_for: Called in the explainer's thread.
            request: What to explain at first.
            temporal: How classes and shots are followed from frame to frame.
        """
        self.frames: Channel[Frame] = Channel(1, "drop_oldest")
        self.answers: Channel[Answer] = Channel(8, "drop_oldest")
        self.captured = 0
        self._source = source
        self._explainer_for = explainer_for
        self._request = request
        self._temporal = temporal
        self._to_explain: Channel[Frame] = Channel(1, "drop_oldest")
        self._recent: deque[Frame] = deque(maxlen=_MOST_RECENT)
        self._clip_s = 0.0
        self._requests: Channel[ExplainRequest] = Channel(1, "drop_oldest")
        self._frozen = False
        self._freezing = threading.Lock()
        fail = self.frames.fail
        self._reader = Worker("reader", self._read, on_error=fail, on_end=self.frames.close)
        self._explainer = Worker("explainer", self._explain, on_error=fail)

    def start(self) -> None:
        """Start both threads."""
        self._reader.start()
        self._explainer.start()

    def request(self, request: ExplainRequest) -> None:
        """Explain something else from the next frame on."""
        self._requests.put(request)

    def freeze(self, frozen: bool) -> None:
        """Explain no new frames from now on, only those handed to `explain`; or all again."""
        # The lock: a frame that the reader is putting would otherwise replace one handed in after this.
        with self._freezing:
            self._frozen = frozen

    def explain(self, frame: Frame) -> None:
        """Explain a frame, whether it was explained before or not."""
        self._to_explain.put(frame)

    def stop(self) -> None:
        """Let both threads end soon; does not wait."""
        self._source.stop()
        closed = ChannelClosedError("the session has ended")
        for channel in (self.frames, self._to_explain, self.answers):
            channel.fail(closed)

    def join(self) -> None:
        """Wait for both threads after `stop`; one that does not end within `PATIENCE_S` is left behind.

        A network that is still being loaded or converted is waited for when the interpreter exits.
        """
        ends_at = time.monotonic() + PATIENCE_S
        for thread in (self._reader, self._explainer):
            thread.join(max(0.0, ends_at - time.monotonic()))
        self._explainer.join_at_exit()

    def _read(self) -> None:
        """Pass the source's frames on, and close it."""
        with self._source:
            for frame in self._source:
                self.captured += 1
                self.frames.put(frame)
                with self._freezing:
                    if not self._frozen:
                        self._keep_for_clips(frame)
                        self._to_explain.put(frame)

    def _keep_for_clips(self, frame: Frame) -> None:
        """Keep a frame that may be in the next clip without being explained, spread evenly over its time."""
        if self._clip_s:
            last_s = self._recent[-1].time_s if self._recent else -math.inf
            if not 0 <= frame.time_s - last_s < self._clip_s / _MOST_RECENT:
                self._recent.append(frame)

    def _take_recent(self, frame: Frame) -> list[Frame]:
        """Take the frames that were kept for the clip of a frame, without those behind it."""
        before: list[Frame] = []
        while self._recent and self._recent[0].index < frame.index:
            before.append(self._recent.popleft())
        if self._recent and self._recent[0] is frame:
            self._recent.popleft()
        return before

    def _explain(self) -> None:
        """Explain the newest frame, and then the newest again."""
        proven = current = self._explainer_for(self._request)
        self.answers.put(ExplainerChanged(current.facts))
        batches, last = BatchExplainer(current, self._temporal, batch_size=1), -1
        for frame in self._to_explain:
            request = self._requests.take(0)
            try:
                if request is not None:
                    current = self._explainer_for(request)
                    self.answers.put(ExplainerChanged(current.facts))
                    batches.switch(current)
                elif frame.index <= last:  # a frozen frame comes again
                    batches.restart()
                last = frame.index
                self._clip_s = current.clip_s
                before = self._take_recent(frame)
                explained = [Explained(*pair, current.facts) for pair in batches.explain(frame, before)]
            except Exception as error:
                if isinstance(error, ChannelClosedError) or (current is proven and request is None):
                    raise
                _logger.info("%s was refused: %s", request or current.facts.method, _reason(error))
                current = proven  # many methods and layers do not go with many networks
                batches.switch(proven)
                self.answers.put(RequestRefused(_reason(error), proven.facts))
            else:
                proven = current
                for answer in explained:
                    self.answers.put(answer)


def _reason(error: Exception) -> str:
    if isinstance(error, StreamcamError):
        return str(error)
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
