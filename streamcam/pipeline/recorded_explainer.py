"""Stored explanations of an interrupted render, used again instead of running the network."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from streamcam.evidence import TableEncoder, from_tables
from streamcam.explanations import Explanation
from streamcam.frames import Frame
from streamcam.pipeline.batches import FrameExplainer, short_batches
from streamcam.pipeline.cancelling import cancelled_by
from streamcam.sinks import SegmentStore
from streamcam.temporal import Tracker

SECONDS_AT_RISK = 5.0
"""Explanations are saved once the oldest has waited this long for its segment to be finished."""


class SkippingExplainer(FrameExplainer, Protocol):
    """An explainer that can skip frames whose explanations are known; `streamcam.Explainer` is one."""

    def skip_frames(
        self, frames: list[Frame], tracker: Tracker | None = None, context: Sequence[Frame] = ()
    ) -> None:
        """Take note of frames whose explanations are known, for clips that hold them."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Batch:
    """A batch that was explained."""

    begin: int
    """The number of its first frame that was not stored before, explained or skipped."""
    end: int
    """The number of its last frame plus one."""
    recorded: Sequence[Explanation]
    began_s: float
    """The time when its computation began, in seconds."""


class ResumingExplainer:
    """Explains frames, keeps the explanations until their segment is finished, and repeats stored ones.

    Batches are those of a render that was never interrupted, so results are too: a batch with a frame that is
    not stored is explained as a whole. So is the first in any case, because backends choose by the
    first images how they compute.

    Attributes:
        batch_size: How many frames a batch has.
        clip_s: How far from a frame the others of its clip may be, in seconds.
    """

    def __init__(
        self, explainer: SkippingExplainer, store: SegmentStore, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Prepare to explain the frames of a video in order.

        Args:
            explainer: Explains the frames that are not stored.
            store: The finished segments.
            clock: Returns the time in seconds.
        """
        self.batch_size = explainer.batch_size
        self.clip_s = explainer.clip_s
        self._explainer = explainer
        self._store = store
        self._clock = clock
        self._stored = store.explanations()
        self._is_settled = False
        self._repeated: dict[int, Explanation] = {}
        self._fresh: dict[int, Explanation] = {}
        self._end = store.pending.frames
        self._short: _Batch | None = None
        self._unsaved: list[_Batch] = []

    def explain_frames(
        self, frames: list[Frame], tracker: Tracker | None = None, context: Sequence[Frame] = ()
    ) -> list[Explanation]:
        """Return one explanation for each frame, in order; a tracker sees all of them, stored or not.

        Raises:
            SinkError: if a stored file is damaged, or the disk is full.
        """
        began_s = self._clock()
        arguments: tuple[Any, ...] = (frames,) if tracker is None else (frames, tracker)
        if self.clip_s:
            arguments = (frames, tracker, context)
        recorded = [self._find_stored(frame.index) for frame in frames]
        known = [one for one in recorded if one is not None]
        if len(known) == len(frames) and self._is_settled:
            self._explainer.skip_frames(*arguments)
            for frame, explanation in zip(frames, known, strict=True):
                if tracker is not None and explanation.probabilities is not None:
                    tracker.restore_ranking(
                        frame,
                        explanation.probabilities,
                        explanation.smoothed_predictions,
                        listed=len(explanation.predictions),
                    )
                    tracker.restore_objects(frame, explanation.instances)
        else:
            self._is_settled = True
            explanations = self._explainer.explain_frames(*arguments)
            complete = [_with_ranking(*pair, tracker) for pair in zip(frames, explanations, strict=True)]
            fresh = complete[len(known) :]
            self._fresh.update((explanation.frame_index, explanation) for explanation in fresh)
            if fresh:
                self._collect(_Batch(self._end, frames[-1].index + 1, fresh, began_s), len(frames))
            known += fresh
        return known

    def cancelled_by(self, is_cancelled: Callable[[], bool]) -> contextlib.AbstractContextManager[None]:
        """As for the explainer of the frames that are not stored."""
        return cancelled_by(self._explainer, is_cancelled)

    def short_batches(self) -> contextlib.AbstractContextManager[None]:
        """As for the explainer of the frames that are not stored."""
        return short_batches(self._explainer)

    def pop_explanations(self, indices: range) -> dict[str, NDArray[Any]]:
        """Return and forget the explanations of a finished segment; called in the thread that writes it."""
        return TableEncoder().encode([self._fresh.pop(index) for index in indices if index in self._fresh])

    def save(self) -> None:
        """Save explanations that are in no finished segment.

        Called in the explaining thread, or when it has ended.

        Raises:
            SinkError: if the disk refuses.
        """
        self._unsaved = [batch for batch in self._unsaved if batch.end > self._store.frames]
        if self._unsaved:
            known = TableEncoder().encode([one for batch in self._unsaved for one in batch.recorded])
            self._store.pending.add(self._unsaved[0].begin, self._unsaved[-1].end, known)
            self._unsaved = []
            self._store.pending.drop(self._store.frames)

    def _collect(self, batch: _Batch, size: int) -> None:
        """Collect a batch for the disk.

        A batch that is not full may have been cut off by an interruption, and other results than the full
        one. It was not cut off if another follows; the video's last one need not be saved.
        """
        self._end = batch.end
        self._unsaved += [] if self._short is None else [self._short]
        self._short = batch
        if size == self.batch_size:
            self._unsaved.append(batch)
            self._short = None
        self._unsaved = [one for one in self._unsaved if one.end > self._store.frames]
        if self._unsaved and self._clock() - self._unsaved[0].began_s >= SECONDS_AT_RISK:
            self.save()

    def _find_stored(self, index: int) -> Explanation | None:
        """Find a stored frame. Each is asked for once, in order, so few segments are in memory at a time."""
        while index not in self._repeated:
            arrays = next(self._stored, None)
            if arrays is None:
                return None
            self._repeated.update(
                (one.frame_index, one) for one in from_tables(arrays) if one.frame_index >= index
            )
        return self._repeated.pop(index)


def _with_ranking(frame: Frame, explanation: Explanation, tracker: Tracker | None) -> Explanation:
    if tracker is None:
        return explanation
    probabilities, shown = tracker.export_ranking(frame)
    return dataclasses.replace(explanation, smoothed_predictions=shown, probabilities=probabilities)
