"""The threads of a live session: each source is read in one, one explains, and none waits for another."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from streamcam.errors import CancelledError, InvalidArgumentError, StreamcamError
from streamcam.explanations import Explanation
from streamcam.frames import FloatArray, Frame
from streamcam.milestones import reach
from streamcam.pipeline.batches import FrameExplainer
from streamcam.pipeline.cancelling import cancelled_by
from streamcam.pipeline.channel import Channel, ChannelClosedError
from streamcam.pipeline.outputs import still_refusal
from streamcam.pipeline.workers import Worker
from streamcam.session.batches import LiveBatches
from streamcam.session.deletion import DeletionMeter
from streamcam.session.events import DeletionMeasured, DeletionRefused, ExplainerChanged, RequestRefused
from streamcam.session.newest import NewestFrames
from streamcam.session.reader import StreamReader
from streamcam.session.state import ExplainerFacts, ExplainRequest
from streamcam.sources import Source
from streamcam.temporal import TemporalSettings

_logger = logging.getLogger("streamcam.session")

PATIENCE_S = 0.5
"""How long the end waits for all threads, in seconds. A device that hangs, a network that is loading or a
slow map is then left behind: none of them holds anything that has to be finished."""


class LiveExplainer(FrameExplainer, Protocol):
    """An explainer of a live session."""

    @property
    def facts(self) -> ExplainerFacts:
        """Facts about it at this moment; with the next frame another backend may take over."""

    def probabilities_without(self, frame: Frame, heatmap: FloatArray) -> FloatArray:
        """Return the probabilities of a frame without its hottest part, float32 (classes,)."""


ExplainerFor = Callable[[ExplainRequest], LiveExplainer]
"""Returns an explainer for a request, or raises a `StreamcamError`. Called in the explaining thread."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """One frame's explanation, and the explainer that made it."""

    frame: Frame
    explanation: Explanation
    facts: ExplainerFacts
    stream: int = 0
    """Index of the stream that the frame is of."""


Answer = ExplainerChanged | RequestRefused | Explained | DeletionMeasured | DeletionRefused


class LiveThreads:
    """The reading threads and the explaining one, and the channels between them and the session.

    Of each stream one frame waits for the session and one for the explainer, and is dropped for a newer one.

    Attributes:
        frames: From the readers to the session.
        answers: From the explainer to the session.
        readers: The readers, by the index of their stream.
        ended: Streams of several that ended: index, and the exception that was the reason, if there was one.
        batches: How many batches were explained.
        deletion: Measures what is left of a class without the heat.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        explainer_for: ExplainerFor,
        request: ExplainRequest,
        temporal: TemporalSettings,
    ) -> None:
        """Connect sources and explainer; nothing runs yet.

        Args:
            sources: Each is iterated and closed in a reader's thread.
            explainer_for: Called in the explainer's thread.
            request: What to explain at first.
            temporal: How classes and shots are followed from frame to frame.
        """
        count = len(sources)
        self.frames = NewestFrames(count)
        self.answers: Channel[Answer] = Channel(8 * count, "drop_oldest")
        self.ended: deque[tuple[int, Exception | None]] = deque()
        self.batches = 0
        self.deletion = DeletionMeter(count)
        self._explainer_for = explainer_for
        self._request = request
        self._temporal = temporal
        self._to_explain = NewestFrames(count)
        self._requests: Channel[ExplainRequest] = Channel(1, "drop_oldest")
        self.readers = [
            StreamReader(source, stream, self.frames, self._to_explain, self.ended, is_only=count == 1)
            for stream, source in enumerate(sources)
        ]
        self._is_ending = False
        self._explainer = Worker("explainer", self._explain, on_error=self.frames.fail)

    def start(self) -> None:
        """Start all threads."""
        for reader in self.readers:
            reader.worker.start()
        self._explainer.start()

    def request(self, request: ExplainRequest) -> None:
        """Explain something else from the next frame on."""
        self._requests.put(request)

    def freeze(self, frozen: bool) -> None:
        """Explain no new frames from now on, only those handed to `explain`; or all again."""
        for reader in self.readers:
            reader.freeze(frozen)

    def explain(self, stream: int, frame: Frame) -> None:
        """Explain a frame, whether it was explained before or not; of a stream that has ended, too."""
        self._to_explain.put(stream, frame)

    def stop(self) -> None:
        """Let all threads end soon; does not wait."""
        self._is_ending = True
        for reader in self.readers:
            reader.source.stop()
        closed = ChannelClosedError("the session has ended")
        self.frames.fail(closed)
        self._to_explain.fail(closed)
        self.answers.fail(closed)

    def join(self) -> None:
        """Wait for all threads after `stop`; one that does not end within `PATIENCE_S` is left behind.

        A network that is still being loaded or converted is waited for when the interpreter exits.
        """
        ends_at = time.monotonic() + PATIENCE_S
        for thread in (*(reader.worker for reader in self.readers), self._explainer):
            thread.join(max(0.0, ends_at - time.monotonic()))
        self._explainer.join_at_exit()

    def _explain(self) -> None:
        """Explain the newest frames, those of the streams whose turn it is, and then the newest again."""
        proven = current = self._load(self._request)
        batches = LiveBatches(current, self._temporal, len(self.readers))
        while True:
            most = 1 if len(self.readers) == 1 else current.batch_size
            frames = self._to_explain.take(most, rounds_down=True)
            request = self._requests.take(0)
            try:
                if request is not None:
                    current = self._load(request)
                    batches.switch(current)
                befores = [self.readers[stream].take_recent(frame) for stream, frame in frames]
                with cancelled_by(current, lambda: self._is_ending):
                    explained = batches.explain(frames, befores[0] if len(befores) == 1 else ())
                facts = current.facts
                answers = [Explained(frame, each, facts, stream) for stream, frame, each in explained]
            except CancelledError:
                return
            except Exception as error:
                if isinstance(error, ChannelClosedError) or (current is proven and request is None):
                    raise
                _logger.info("%s was refused: %s", request or current.facts.method, _reason(error))
                current = proven  # many methods and layers do not go with many networks
                batches.switch(proven)
                self._gather_for(proven)
                self.answers.put(RequestRefused(_reason(error), proven.facts))
            else:
                proven = current
                self.batches += 1
                reach("a frame has heat")
                for answer in answers:
                    self.answers.put(answer)
                self._measure_deletion(current, explained)

    def _measure_deletion(
        self, explainer: LiveExplainer, explained: Sequence[tuple[int, Frame, Explanation]]
    ) -> None:
        """Measure what is left of a class without the heat, if that is on and time allows."""
        try:
            measured = self.deletion.measure(explainer, explained)
        except StreamcamError as error:
            self.deletion.is_on = False
            self.answers.put(DeletionRefused(str(error)))
        else:
            if measured is not None:
                stream, deletion = measured
                self.answers.put(DeletionMeasured(deletion, stream))

    def _load(self, request: ExplainRequest) -> LiveExplainer:
        """Return an explainer for a request, and announce it."""
        explainer = self._explainer_for(request)
        if explainer.clip_s:
            check_alone(len(self.readers), explainer.facts.model)
            check_moving(self.readers[0].source, explainer.facts.model)
        reach("the explainer is loaded")
        self._gather_for(explainer)
        self.answers.put(ExplainerChanged(explainer.facts))
        return explainer

    def _gather_for(self, explainer: LiveExplainer) -> None:
        for reader in self.readers:
            reader.clip_s = explainer.clip_s


def check_alone(streams: int, model: str) -> None:
    """Refuse several sources for a network that looks at clips.

    Args:
        streams: How many there are.
        model: Name of the network.

    Raises:
        InvalidArgumentError: if there are several.
    """
    if streams > 1:
        raise InvalidArgumentError(f"{model} takes clips, and can explain one source at a time; name one")


def check_moving(source: Source, model: str) -> None:
    """Refuse images that are shown one after another for a network that looks at clips.

    Args:
        source: The source.
        model: Name of the network.

    Raises:
        InvalidArgumentError: if it shows such images.
    """
    if source.shows_stills:
        raise still_refusal(
            source.info.name,
            model,
            "a slide show",
            "if these are the frames of a video, say how many there are in a second by `rate`",
        )


def _reason(error: Exception) -> str:
    if isinstance(error, StreamcamError):
        return str(error)
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
