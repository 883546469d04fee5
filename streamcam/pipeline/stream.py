"""Explaining a source in background threads, with the results handed to the caller's thread."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from streamcam.errors import CancelledError, InvalidArgumentError
from streamcam.frames import Frame, SourceInfo, SourceReport
from streamcam.milestones import reach
from streamcam.pipeline.batches import BatchExplainer, Explained, FrameExplainer
from streamcam.pipeline.channel import Channel, ChannelClosedError, Policy
from streamcam.pipeline.stopwatch import Stopwatch
from streamcam.pipeline.workers import Worker
from streamcam.sources import Location, Source, SourceSettings, open_source
from streamcam.temporal import TemporalSettings

READER_PATIENCE_S = 5.0
"""How long closing a stream waits for a read that is under way, in seconds; a file's takes far less."""

LIVE_PATIENCE_S = 1.0
"""The same for a live source, whose device may be dead."""


def stream(
    source: Location | Source,
    explainer: FrameExplainer,
    *,
    settings: SourceSettings | None = None,
    temporal: TemporalSettings | None = None,
) -> ExplainedStream:
    """Explain the frames of a file, a camera or a network stream.

    Iterate over the result for (frame, explanation) pairs in order. It ends its threads when it is exhausted,
    left as a context manager, closed, or no longer referred to: ``break`` is enough.

    Every frame of a file comes. Of a live source it is the newest: whoever is slow misses some.

    Args:
        source: A file's path, a camera's number, a stream's URL, or a source that nobody has read from yet.
            The stream closes it.
        explainer: A `streamcam.Explainer`; used by a background thread until the stream is closed.
        settings: How the source is read; not with one that is open already.
        temporal: Which frames are explained, where shots begin and how labels hold; if None, every frame is
            explained by itself.

    Raises:
        StreamcamError: one of its children, if the source cannot be opened or a setting cannot be used.
    """
    if temporal is not None:
        temporal.check()
    if not isinstance(source, Source):
        source = open_source(source, settings)
    elif settings is not None:
        raise InvalidArgumentError("an open source takes no `settings`; pass them to open_source")
    # Of a live source, a second frame would have to be waited for.
    batches = BatchExplainer(explainer, temporal, batch_size=1 if source.is_live else None)
    stages = _Stages(source, batches, 1 if source.is_live else explainer.batch_size)
    stages.start()
    return ExplainedStream(stages)


class ExplainedStream:
    """A source that is being read and explained; see `stream`.

    A stage that raises stops the others at once, and the caller sees its exception.
    """

    def __init__(self, stages: _Stages) -> None:
        """Take over running stages.

        Args:
            stages: The two threads and their channels.
        """
        self._stages = stages
        self._stop_asked = False
        self._drained = False
        self._newest: Explained | None = None
        # The threads know the stages only, so a stream that nobody holds any more is collected and ends them.
        self._abandoned = weakref.finalize(self, stages.cancel)

    def __repr__(self) -> str:
        return f"<ExplainedStream of {self.info.name!r}>"

    def _repr_html_(self) -> str:
        """Show the pair that was handed over last in a notebook."""
        if self._newest is None:
            import html  # which makes a table of all entities

            return f"<p>{html.escape(self.info.name)}: iterate over it for frames and explanations</p>"
        from streamcam.overlay.single_image import show_as_html  # most streams are shown by nobody

        return show_as_html(*self._newest)

    @property
    def info(self) -> SourceInfo:
        """Description of the source; of a live one complete from its first frame on."""
        return self._stages.source.info

    @property
    def notice(self) -> str | None:
        """Current problem of a live source, in words; None while all is well."""
        return self._stages.source.notice

    @property
    def stopped(self) -> bool:
        """Whether `stop` or `close` cut the source short; final once iteration has ended."""
        is_whole = self._drained and self._stages.exhausted
        return (self._stop_asked or not self._abandoned.alive) and not is_whole

    @property
    def stop_asked(self) -> bool:
        """Whether `stop` was called."""
        return self._stop_asked

    def report(self) -> SourceReport:
        """Return what was found in the source; complete once iteration has ended."""
        return self._stages.source.report()

    @property
    def stage_s(self) -> dict[str, float]:
        """How long frames were decoded and explained so far, without waiting for each other, in seconds."""
        stages = self._stages
        return {"decode": stages.decoding.elapsed_s, "explain": stages.explaining.elapsed_s}

    def stop(self) -> None:
        """End early and in order: what is queued already is still explained and handed over.

        A method that runs the network many times for a map ends between two runs, and what is queued is
        dropped. Does not wait. May be called from any thread, and from a signal handler.
        """
        self._stop_asked = True
        self._stages.stop()

    def close(self) -> None:
        """End at once and wait for the threads; what is queued is dropped. May be called again.

        A read that hangs, as a dead camera's may, is waited for `LIVE_PATIENCE_S` at most, that of a file for
        `READER_PATIENCE_S`; then its thread is left behind with a RuntimeWarning, and releases the source
        should it ever wake up.
        """
        if self._abandoned.detach() is not None:  # the first time; a second one must not wait again
            self._stages.end()

    def __iter__(self) -> Iterator[Explained]:
        """Yield (frame, explanation) pairs in order; nothing more once the stream is closed.

        Raises:
            BaseException: what a stage raised.
        """
        try:
            for newest in self._stages.explained:
                self._newest = newest
                yield newest
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
        source: Iterated and closed by the reader.
        explained: From the explainer to the caller.
        decoding: How long reading took.
        explaining: How long explaining took.
    """

    def __init__(self, source: Source, batches: BatchExplainer, waiting: int) -> None:
        """Connect the stages; nothing runs yet.

        Args:
            source: An open source.
            batches: Explains its frames, in the second thread.
            waiting: Number of frames that may wait in each channel.
        """
        self.source = source
        self._batches = batches
        policy: Policy = "drop_oldest" if source.is_live else "block"
        self._frames: Channel[Frame] = Channel(waiting, policy)
        self.explained: Channel[Explained] = Channel(waiting, policy)
        self._is_read = self._is_cut = False
        self._is_ending = False
        self.decoding, self.explaining = Stopwatch(), Stopwatch()
        self._reader = Worker("reader", self._read, on_error=self._fail, on_end=self._frames.close)
        self._explainer = Worker("explainer", self._explain, on_error=self._fail, on_end=self.explained.close)

    def start(self) -> None:
        """Start both threads."""
        self._reader.start()
        self._explainer.start()

    @property
    def exhausted(self) -> bool:
        """Whether the source was read to its end, and all of it explained."""
        return self._is_read and not self._is_cut

    def stop(self) -> None:
        """Read no more; what is queued goes on, unless it takes long. Does not wait."""
        self.source.stop()
        self._frames.close()
        self._is_ending = True

    def cancel(self) -> None:
        """Let both threads and the caller end at once; does not wait."""
        self._fail(ChannelClosedError("the stream is closed"))

    def end(self) -> None:
        """Cancel and wait; see `ExplainedStream.close`."""
        self.cancel()
        self._explainer.join()  # without a limit: it ends, and the caller may use the explainer again
        patience_s = LIVE_PATIENCE_S if self.source.is_live else READER_PATIENCE_S
        if not self._reader.join(patience_s):
            warnings.warn(
                f"{self.source.info.name!r} is stuck in a read for {patience_s:g} s; "
                "its thread is left behind",
                RuntimeWarning,
                stacklevel=3,
            )

    def _read(self) -> None:
        """Pass the source's frames on, and close it."""
        with self.source:
            try:
                for frame in self.decoding.items(self.source):
                    reach("a frame is decoded")
                    self._frames.put(frame)
                self._is_read = not self.source.stop_flag.is_set()
            except ChannelClosedError:
                pass
            except BaseException as error:
                self._fail(error)  # here already, so that an error in closing cannot hide this one

    def _explain(self) -> None:
        """Explain frames and hand them over."""
        explain = self.explaining.timed(self._batches.explain)
        try:
            with self._batches.running(lambda: self._is_ending):
                for frame in self._frames:
                    self._hand_over(explain(frame))
                self._hand_over(self.explaining.timed(self._batches.flush)())
        except ChannelClosedError:
            self._is_cut = True  # frames that were read are missing
            raise
        except CancelledError:
            self._is_cut = True

    def _hand_over(self, pairs: list[Explained]) -> None:
        for pair in pairs:
            reach("a frame has heat")
            self.explained.put(pair)

    def _fail(self, error: BaseException) -> None:
        """Stop everything, and raise an exception in the caller's thread only.

        Two threads that raise one exception object would write into each other's traceback. The caller's
        channel comes first, so that the explainer cannot end it as if all were well.
        """
        self.explained.fail(error)
        self._is_ending = True
        self.source.stop()
        self._frames.fail(ChannelClosedError("another stage has ended"))
