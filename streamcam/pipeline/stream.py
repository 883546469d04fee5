"""Reading and explaining in threads of their own, with the results handed to the caller's thread."""

from __future__ import annotations

import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Protocol, Self

from streamcam.errors import InvalidArgumentError
from streamcam.explanations import Explanation
from streamcam.frames import Frame, SourceInfo, SourceReport
from streamcam.pipeline.channel import Channel, ChannelClosedError
from streamcam.sources import Location, Source, SourceSettings, open_source
from streamcam.temporal import TemporalSettings, Tracker

Explained = tuple[Frame, Explanation]

_MOST_LEFT_OUT = 24
"""A batch is full, too, with this many frames in it that are not explained: their images take memory."""

READER_PATIENCE_S = 5.0
"""How long closing a stream waits for a read that is under way, in seconds; a file's takes far less."""


class FrameExplainer(Protocol):
    """What the second stage needs; `streamcam.Explainer` is one."""

    batch_size: int

    def explain_frames(self, frames: list[Frame], tracker: Tracker | None = None) -> list[Explanation]:
        """Return one explanation for each frame, in order; a tracker decides which classes are explained."""


def stream(
    source: Location | Source,
    explainer: FrameExplainer,
    *,
    settings: SourceSettings | None = None,
    temporal: TemporalSettings | None = None,
) -> ExplainedStream:
    """Explain every frame of a source.

    Iterate over the result for (frame, explanation) pairs in order; use it as a context manager, or
    exhaust it, so that its threads end.

    Args:
        source: A file's path, a camera's number, a stream's URL, or a source that nobody has read from yet.
        explainer: A `streamcam.Explainer`; used by the second thread until the stream is closed.
        settings: How the source is read; not with one that is open already.
        temporal: Which frames are explained, where shots begin and how labels hold; if None, every frame is
            explained by itself.

    Raises:
        StreamcamError: one of its children, if the source cannot be opened or a setting cannot be used.
    """
    tracker = None if temporal is None else Tracker(temporal)
    if not isinstance(source, Source):
        return _started(lambda: open_source(source, settings), explainer, tracker)
    if settings is not None:
        raise InvalidArgumentError("an open source takes no `settings`; pass them to open_source")
    return _started(lambda: source, explainer, tracker)


def _started(
    opener: Callable[[], Source], explainer: FrameExplainer, tracker: Tracker | None
) -> ExplainedStream:
    """Start both threads and wait until the source is open."""
    stages = _Stages(opener, explainer, tracker)
    stages.start()
    try:
        return ExplainedStream(stages, next(stages.opened))
    except BaseException:
        stages.end()
        raise


class ExplainedStream:
    """A source that is being read and explained; see `stream`.

    A stage that raises stops the others at once, and its own exception is what the caller sees.

    Attributes:
        info: What the source says of itself.
    """

    def __init__(self, stages: _Stages, info: SourceInfo) -> None:
        """Take over stages that run already.

        Args:
            stages: The two threads and their channels.
            info: What the source says of itself.
        """
        self.info = info
        self._stages = stages
        self._stop_asked = False
        self._drained = False
        # The threads know the stages only, so a stream that nobody holds any more is collected and ends them.
        self._abandoned = weakref.finalize(self, stages.cancel)

    @property
    def stopped(self) -> bool:
        """Whether `stop` or `close` cut the video short; final once iteration has ended."""
        is_whole = self._drained and self._stages.exhausted
        return (self._stop_asked or not self._abandoned.alive) and not is_whole

    def report(self) -> SourceReport:
        """Tell what the source found; complete once iteration has ended."""
        return self._stages.report

    def stop(self) -> None:
        """End early and in order: what is queued already is still explained and handed over.

        Does not wait. May be called from any thread, and from a signal handler.
        """
        self._stop_asked = True
        self._stages.frames.close()

    def close(self) -> None:
        """End at once and wait for the threads; what is queued is dropped. May be called again.

        A read that hangs, as a dead camera's may, is waited for `READER_PATIENCE_S` at most; then its
        thread is left behind with a RuntimeWarning, and lets go of the source should it ever wake up.
        """
        if self._abandoned.detach() is not None:  # the first time; a second one must not wait again
            self._stages.end()

    def __iter__(self) -> Iterator[Explained]:
        """Yield (frame, explanation) pairs in order; nothing more once the stream is closed.

        Raises:
            BaseException: what a stage raised.
        """
        try:
            yield from self._stages.explained
            self._drained = True
        except ChannelClosedError:
            return
        finally:
            self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Stages:
    """The two threads, and the channels between them and the caller.

    Attributes:
        opened: Carries one item: what the source says of itself once it is open.
        frames: From the reader to the explainer.
        explained: From the explainer to the caller.
        report: What the source found.
        exhausted: Whether the source was read to its end.
    """

    def __init__(
        self, opener: Callable[[], Source], explainer: FrameExplainer, tracker: Tracker | None
    ) -> None:
        """Assign.

        Args:
            opener: Opens the source; called in the reader's thread, which owns it from then on.
            explainer: Used in the explainer's thread.
            tracker: Likewise; None explains every frame by itself.
        """
        self._opener = opener
        self._explainer = explainer
        self._tracker = tracker
        self.opened: Channel[SourceInfo] = Channel(1)
        self.frames: Channel[Frame] = Channel(explainer.batch_size)
        self.explained: Channel[Explained] = Channel(explainer.batch_size)
        self.report = SourceReport()
        self.exhausted = False
        self._is_open = False
        self._reading = threading.Thread(target=self._read, name="streamcam-reader", daemon=True)
        self._explaining = threading.Thread(target=self._explain, name="streamcam-explainer", daemon=True)

    def start(self) -> None:
        """Start both threads."""
        self._reading.start()
        self._explaining.start()

    def cancel(self) -> None:
        """Let both threads and the caller end at once; does not wait."""
        self._fail(ChannelClosedError("the stream is closed"))

    def end(self) -> None:
        """Cancel and wait; see `ExplainedStream.close`."""
        self.cancel()
        here = threading.current_thread()  # garbage is collected in any thread, one of these two included
        if self._explaining is not here:
            self._explaining.join()  # without a limit: it ends, and the caller may use the explainer again
        if self._reading is not here:
            self._reading.join(READER_PATIENCE_S)
            if self._reading.is_alive():
                warnings.warn(
                    f"the source is stuck in a read for {READER_PATIENCE_S:g} s; its thread is left behind",
                    RuntimeWarning,
                    stacklevel=3,
                )

    def _read(self) -> None:
        """Own the source: open it, pass its frames on, close it."""
        try:
            with self._opener() as source:
                self._pass_on(source)
        except BaseException as error:
            if not self._is_open:  # later nobody waits there, and an error must not overtake the news
                self.opened.fail(error)
            self._fail(error)
        self.frames.close()

    def _pass_on(self, source: Source) -> None:
        """Tell that the source is open, and pass its frames on to the end."""
        try:
            self.opened.put(source.info)
            self._is_open = True
            for frame in source:
                self.frames.put(frame)
            self.exhausted = True
        except ChannelClosedError:
            pass
        except BaseException as error:
            self._fail(error)  # here already, so that an error in closing cannot hide this one
        finally:
            self.report = source.report()

    def _explain(self) -> None:
        """Explain frames and hand them over."""
        try:
            for batch in self._batches():
                for pair in self._explained(batch):
                    self.explained.put(pair)
        except ChannelClosedError:
            pass
        except BaseException as error:
            self._fail(error)
        self.explained.close()

    def _fail(self, error: BaseException) -> None:
        """Stop everything, and raise an exception in the caller's thread only.

        Two threads that raise one exception object would write into each other's traceback. The caller's
        channel comes first, so that the explainer cannot end it as if all were well.
        """
        self.explained.fail(error)
        self.frames.fail(ChannelClosedError("another stage has ended"))

    def _explained(self, batch: list[tuple[Frame, bool]]) -> Iterator[Explained]:
        """Explain those frames of a batch that are to be explained."""
        due = [frame for frame, is_due in batch if is_due]
        if self._tracker is None:
            yield from zip(due, self._explainer.explain_frames(due), strict=True)
            return
        explanations = self._explainer.explain_frames(due, self._tracker) if due else []
        own = {frame.index: one for frame, one in zip(due, explanations, strict=True)}
        for frame, _ in batch:
            yield frame, self._tracker.complete(frame, own.get(frame.index))

    def _batches(self) -> Iterator[list[tuple[Frame, bool]]]:
        """Gather frames, each with whether it is to be explained, until those that are make a full batch.

        Always the same batches for one file, so that results repeat bit for bit.
        """
        batch: list[tuple[Frame, bool]] = []
        for frame in self.frames:
            batch.append((frame, self._tracker is None or self._tracker.observe(frame)))
            due = sum(is_due for _, is_due in batch)
            if due >= self._explainer.batch_size or len(batch) - due == _MOST_LEFT_OUT:
                yield batch
                batch = []
        if batch:
            yield batch
