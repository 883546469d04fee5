"""The threads of a live preview: one reads, one explains, and neither ever waits for the other."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Sequence
from typing import Protocol

from streamcam.errors import StreamcamError
from streamcam.explanations import Explanation
from streamcam.frames import Frame
from streamcam.pipeline.batches import FrameExplainer
from streamcam.pipeline.channel import Channel, ChannelClosedError
from streamcam.sources import Source
from streamcam.temporal import TemporalSettings, Tracker

PATIENCE_S = 0.5
"""How long the end waits for both threads, in seconds. One whose device hangs, or that loads a network or
computes a slow map, is then left behind: it holds nothing that has to be finished."""


@dataclasses.dataclass(frozen=True, slots=True)
class ExplainRequest:
    """What is to be explained, and how. With neither class nor rank it is what was asked for at the start."""

    method: str
    layer: str = "auto"
    class_index: int | None = None
    """The one class to explain, in every image."""
    rank: int | None = None
    """Or each image's most probable class (0), its second (1) …"""


@dataclasses.dataclass(frozen=True, slots=True)
class ExplainerFacts:
    """What is to be known of an explainer that was built."""

    model: str
    method: str
    layer: str
    backend: str
    precision: str
    labels: Sequence[str]
    """Every class's name, by index."""
    layers: tuple[str, ...]
    """The layers to choose from, in the order in which they run."""
    notes: tuple[str, ...] = ()


class LiveExplainer(FrameExplainer, Protocol):
    """What explains a live preview's frames."""

    @property
    def facts(self) -> ExplainerFacts:
        """What is true of it now: with the next frame another backend may have to take over."""


class Explainers(Protocol):
    """Builds explainers; used by the explaining thread only, but for its `methods`."""

    @property
    def methods(self) -> Sequence[str]:
        """The names of the methods to choose from; may be empty until the first explainer is built."""

    def make(self, wanted: ExplainRequest) -> LiveExplainer:
        """Return an explainer for what is wanted.

        Raises:
            StreamcamError: if it cannot be had.
        """


@dataclasses.dataclass(frozen=True, slots=True)
class Explained:
    """One frame's explanation, and what made it."""

    frame: Frame
    explanation: Explanation
    facts: ExplainerFacts


@dataclasses.dataclass(frozen=True, slots=True)
class Refusal:
    """Something was wanted that cannot be had; what was explained before goes on."""

    reason: str
    facts: ExplainerFacts
    """What goes on."""


Answer = ExplainerFacts | Explained | Refusal


class LiveStages:
    """The reading and the explaining thread, and the channels between them and the caller.

    Both channels of frames hold one and drop it for a newer one, so that what is taken is always the newest.

    Attributes:
        images: From the reader to the caller.
        answers: From the explainer to the caller.
        captured: How many frames have been read.
    """

    def __init__(
        self, source: Source, explainers: Explainers, wanted: ExplainRequest, temporal: TemporalSettings
    ) -> None:
        """Assign.

        Args:
            source: Read by the reader's thread only.
            explainers: Used by the explainer's thread only.
            wanted: What to explain at first.
            temporal: How what is explained is followed from frame to frame.
        """
        self._temporal = temporal
        self._source = source
        self._explainers = explainers
        self._wanted = wanted
        self._to_explain: Channel[Frame] = Channel(1, "drop_oldest")
        self._orders: Channel[ExplainRequest] = Channel(1, "drop_oldest")
        self.images: Channel[Frame] = Channel(1, "drop_oldest")
        self.answers: Channel[Answer] = Channel(8, "drop_oldest")
        self.captured = 0
        self._frozen = False
        self._freezing = threading.Lock()
        self._reading = threading.Thread(target=self._read, name="streamcam-reader", daemon=True)
        self._explaining = threading.Thread(target=self._explain, name="streamcam-explainer", daemon=True)

    @property
    def notice(self) -> str | None:
        """What is wrong with the source, in words; None while nothing is."""
        return self._source.notice

    def start(self) -> None:
        """Start both threads."""
        self._reading.start()
        self._explaining.start()

    def order(self, wanted: ExplainRequest) -> None:
        """Let something else be explained from the next frame on."""
        self._orders.put(wanted)

    def freeze(self, frozen: bool) -> None:
        """Explain no new frames from now on, only those handed to `explain`; or all again."""
        # Not between the reader's look and its put, which would replace the frame handed in after this.
        with self._freezing:
            self._frozen = frozen

    def explain(self, frame: Frame) -> None:
        """Hand in a frame to be explained, whether it was before or not."""
        self._to_explain.put(frame)

    def end(self) -> None:
        """End both threads; one that does not answer within `PATIENCE_S` is left behind."""
        self._source.stop()
        gone = ChannelClosedError("the preview has ended")
        for channel in (self.images, self._to_explain, self.answers):
            channel.fail(gone)
        ends_at = time.monotonic() + PATIENCE_S
        for thread in (self._reading, self._explaining):
            if thread.ident is not None:
                thread.join(max(0.0, ends_at - time.monotonic()))

    def _read(self) -> None:
        """Own the source, and pass its frames on."""
        try:
            with self._source:
                for frame in self._source:
                    self.captured += 1
                    self.images.put(frame)
                    with self._freezing:
                        if not self._frozen:
                            self._to_explain.put(frame)
        except ChannelClosedError:
            pass
        except BaseException as error:
            self.images.fail(error)
        self.images.close()

    def _explain(self) -> None:
        """Explain the newest frame, and then the newest again."""
        try:
            proven = current = self._explainers.make(self._wanted)
            self.answers.put(current.facts)
            tracker, last = Tracker(self._temporal), -1
            for frame in self._to_explain:
                wanted = self._orders.take(0)
                try:
                    if wanted is not None:
                        current = self._explainers.make(wanted)
                        self.answers.put(current.facts)
                    if wanted is not None or frame.index <= last:  # a frozen image comes again
                        tracker = Tracker(self._temporal)
                    last = frame.index
                    due = tracker.observe(frame)
                    found = current.explain_frames([frame], tracker)[0] if due else None
                    explanation = tracker.complete(frame, found)
                except Exception as error:
                    if isinstance(error, ChannelClosedError) or (current is proven and wanted is None):
                        raise
                    tracker = Tracker(self._temporal)
                    current = proven  # many methods and layers do not go with many networks
                    self.answers.put(Refusal(_reason(error), proven.facts))
                else:
                    proven = current
                    self.answers.put(Explained(frame, explanation, current.facts))
        except ChannelClosedError:
            pass
        except BaseException as error:
            self.images.fail(error)


def _reason(error: Exception) -> str:
    if isinstance(error, StreamcamError):
        return str(error)
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
