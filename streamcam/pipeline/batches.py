"""Explaining frames in batches: deciding which, and completing what belongs to all of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, runtime_checkable

from streamcam.explanations import Explanation
from streamcam.frames import Frame
from streamcam.pipeline.cancelling import cancelled_by
from streamcam.temporal import TemporalSettings, Tracker

_MOST_WAITING_BYTES = 256 << 20
"""Frames that wait for those behind them, for clips, take no more memory than this."""

Explained = tuple[Frame, Explanation]

_MOST_SKIPPED = 24
"""A batch with this many skipped frames in it is full, too: their images take memory."""


class FrameExplainer(Protocol):
    """Anything that explains frames; `streamcam.Explainer` is one."""

    @property
    def batch_size(self) -> int:
        """How many frames it explains at once."""

    @property
    def clip_s(self) -> float:
        """How far from a frame the others of its clip may be, in seconds; 0 for single images."""

    def explain_frames(
        self, frames: list[Frame], tracker: Tracker | None = None, context: Sequence[Frame] = ()
    ) -> list[Explanation]:
        """Return one explanation for each frame, in order; a tracker decides which classes are explained.

        The context is as `streamcam.Explainer` says, and not passed where `clip_s` is 0.
        """


@runtime_checkable
class ShortBatchExplainer(Protocol):
    """An explainer that may know that frames come one by one; `streamcam.Explainer` is one."""

    def short_batches(self) -> contextlib.AbstractContextManager[None]:
        """Run a single frame by itself inside of the context, and do not fill it up to a batch."""


def short_batches(explainer: object) -> contextlib.AbstractContextManager[None]:
    """Let an explainer run single frames by themselves inside of a context, if it would fill them up."""
    if isinstance(explainer, ShortBatchExplainer):
        return explainer.short_batches()
    return contextlib.nullcontext()


class BatchExplainer:
    """Explains one run of frames.

    Frames are gathered until those that are to be explained fill a batch and, of clips, until those behind
    them are there, as far as memory allows. With ``every="auto"`` each answer decides on the frames behind
    it, so a frame is explained at once. After as many in a row as fill a batch the next ones will hardly be
    skipped, and whole batches are gathered again until one is: a batch takes less time than its frames one by
    one. The batches of a file are always the same, so that results repeat bit for bit. Belongs to one thread.
    """

    def __init__(
        self,
        explainer: FrameExplainer,
        temporal: TemporalSettings | None,
        *,
        batch_size: int | None = None,
        tracker: Tracker | None = None,
    ) -> None:
        """Begin a run.

        Args:
            explainer: Explains the frames.
            temporal: Which frames are explained, where shots begin and how labels hold; None explains every
                frame by itself.
            batch_size: Number of frames in a batch, the explainer's own if None. With 1 every frame comes
                back at once, however far its clip goes on.
            tracker: Tracks the frames, from the middle of a video on; a new one, by the settings, if None.

        Raises:
            InvalidArgumentError: if a temporal setting cannot be used.
        """
        self._explainer = explainer
        self._batch_size = batch_size
        self._is_adaptive = temporal is not None and temporal.every == "auto"
        if tracker is None and temporal is not None:
            tracker = Tracker(temporal)
        self._tracker = tracker
        self._batch: list[tuple[Frame, bool]] = []
        self._between: Sequence[Frame] = ()

    @contextlib.contextmanager
    def running(self, is_cancelled: Callable[[], bool]) -> Iterator[None]:
        """Prepare the explainer for its batches, inside of a context in which they are explained.

        Args:
            is_cancelled: Returns whether nobody waits for explanations any more; the explainer may then end
                in the middle of a batch.
        """
        with contextlib.ExitStack() as stack:
            stack.enter_context(cancelled_by(self._explainer, is_cancelled))
            if self._is_adaptive or self._batch_size == 1:  # most batches have one frame
                stack.enter_context(short_batches(self._explainer))
            yield

    def explain(self, frame: Frame, before: Sequence[Frame] = ()) -> list[Explained]:
        """Take the next frame.

        Args:
            frame: The frame.
            before: Frames that came between the last one and this and are not explained themselves, for clips
                that hold them.

        Returns:
            All frames of the batches that it completed, in order, with their explanations; often none.
        """
        in_any_case = self._is_restless and any(is_due for _, is_due in self._batch)
        is_due = self._tracker is None or self._tracker.observe(frame, in_any_case=in_any_case)
        self._batch.append((frame, is_due))
        self._between = before
        explained = []
        while count := self._count_complete():
            explained += self._explain(count)
        return explained

    def flush(self) -> list[Explained]:
        """Explain what was gathered, although it does not fill a batch."""
        return self._explain(len(self._batch))

    def _count_complete(self) -> int:
        """Return how many of the gathered frames make a batch; 0 if there are too few yet."""
        is_single = self._is_adaptive and not self._is_restless
        size = self._batch_size or (1 if is_single else self._explainer.batch_size)
        return count_complete((is_due for _, is_due in self._batch[: self._count_ready()]), size)

    @property
    def _is_restless(self) -> bool:
        """Whether, with ``every="auto"``, more frames than fill a batch were due in a row.

        Those of clips wait for frames behind them anyway.
        """
        if not self._is_adaptive or self._tracker is None or self._explainer.clip_s:
            return False
        return self._tracker.due_in_a_row > self._explainer.batch_size

    def _count_ready(self) -> int:
        """Return how many of the gathered frames need not wait for more to come behind them."""
        clip_s = 0.0 if self._batch_size == 1 else self._explainer.clip_s
        if not clip_s:
            return len(self._batch)
        newest = self._batch[-1][0]
        waiting = max(1, _MOST_WAITING_BYTES // _bytes_of(newest))
        last_s = newest.time_s - clip_s + 1e-6  # times are rounded
        ready = sum(frame.time_s <= last_s for frame, _ in self._batch)
        return max(ready, len(self._batch) - waiting)

    def _explain(self, count: int) -> list[Explained]:
        """Explain the first of the gathered frames."""
        batch = self._batch[:count]
        due = [frame for frame, is_due in batch if is_due]
        raw = self._explain_due(due) if due else []
        del self._batch[:count]
        if self._tracker is None:
            return list(zip(due, raw, strict=True))
        by_index = {frame.index: explanation for frame, explanation in zip(due, raw, strict=True)}
        last = due[-1] if due else None
        return [
            (frame, self._tracker.complete(frame, by_index.get(frame.index), is_last=frame is last))
            for frame, _ in batch
        ]

    def _explain_due(self, due: list[Frame]) -> list[Explanation]:
        if not self._explainer.clip_s:
            return self._explainer.explain_frames(due, self._tracker)
        context = (*self._between, *(frame for frame, _ in self._batch))
        return self._explainer.explain_frames(due, self._tracker, context)


def count_complete(due: Iterable[bool], size: int) -> int:
    """Return how many of the first frames make a batch; 0 if there are too few.

    Args:
        due: Whether each frame is explained.
        size: How many of them are explained at once.
    """
    explained = 0
    for number, is_due in enumerate(due, 1):
        explained += is_due
        if explained >= size or size == 1 or number - explained == _MOST_SKIPPED:
            return number
    return 0


def _bytes_of(frame: Frame) -> int:
    images = [frame.image] if frame.layered is None else [frame.image, frame.layered]
    return sum(plane.buffer_size for image in images for plane in image.planes)
