"""Explanations of a long video by several workers, which are those of one.

Each worker begins some frames before its part. What an explanation depends on besides its images, the classes
and objects that were chosen over time, is compared with what follows from all frames before; where that
differs, and where other images were read, the frames are explained again from the true state.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
from collections.abc import Mapping, Sequence
from typing import Protocol

from streamcam.errors import ClusterError
from streamcam.explanations import Explanation, renumber_objects
from streamcam.frames import Frame
from streamcam.pipeline.evidence_explainer import KeptModel
from streamcam.pipeline.parts.plan import VideoPart, part_at
from streamcam.pipeline.parts.worker import ExplainedBatch, ExplainedPart, FrameMark
from streamcam.sources import FrameTimes
from streamcam.temporal import Relevance, TemporalSettings, Tracker, replay

_log = logging.getLogger("streamcam.cluster")

PARTS_AHEAD = 2
"""How many parts for each worker are explained ahead: explanations that wait to be drawn stay in memory."""

_BATCHES_AGAIN = 4
"""How many batches of a part are explained again at first; twice as many each time that they are too few."""


@dataclasses.dataclass(frozen=True, slots=True)
class NetworkReport:
    """The network that workers hold, for a process that has none."""

    identity: Mapping[str, object]
    """As `streamcam.Explainer.identity` returns it."""
    batch_size: int
    clip_s: float
    model: KeptModel
    described: Mapping[str, object]
    """As `streamcam.Explainer.describe` returns it."""
    relevance: Relevance


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class PartTask:
    """A part to be explained."""

    part: VideoPart
    state: Tracker | None = None
    """As for `explain_part`; with one, others wait for the part."""


class PartPool(Protocol):
    """Workers that explain parts of one video."""

    @property
    def workers(self) -> int:
        """How many there are."""

    @property
    def first(self) -> ExplainedBatch:
        """The video's first batch."""

    def submit(self, task: PartTask) -> None:
        """Let a part be explained as soon as a worker is free; does not wait."""

    def take(self, task: PartTask) -> ExplainedPart:
        """Wait for a part that was submitted.

        Raises:
            StreamcamError: if it cannot be explained.
            ChannelClosedError: if nobody needs it any more.
        """


class PartedExplainer:
    """Explains the frames of one video, in order, by what workers have explained.

    Attributes:
        batch_size: How many frames are explained at once.
        clip_s: How far from a frame the others of its clip may be, in seconds.
        model: The workers' network.
        notes: Messages that the user should know of.
        repeated: How many frames were explained again.
    """

    def __init__(
        self,
        pool: PartPool,
        network: NetworkReport,
        parts: Sequence[VideoPart],
        times: FrameTimes | None,
        temporal: TemporalSettings,
    ) -> None:
        """Begin at the first frame.

        Args:
            pool: The workers.
            network: What they hold.
            parts: The video's parts.
            times: As for `plan_parts`.
            temporal: As in `PartedVideo`.
        """
        self.batch_size = network.batch_size
        self.clip_s = network.clip_s
        self.model = network.model
        self.repeated = 0
        self._pool = pool
        self._network = network
        self._parts = parts
        self._times = times
        self._temporal = temporal
        self._tasks: dict[int, PartTask] = {}
        self._known: dict[int, ExplainedBatch] = {}
        self._taken = -1
        self._notes: dict[str, None] = {}
        self._is_first = True
        self._again = _BATCHES_AGAIN
        self._seeks = times is not None

    @property
    def notes(self) -> Sequence[str]:
        """Messages that the user should know of."""
        repeated = []
        if self.repeated:
            what = "1 frame was" if self.repeated == 1 else f"{self.repeated} frames were"
            repeated = [f"{what} explained twice, where parts of the video meet"]
        return [*self._notes, *repeated]

    def describe(self) -> dict[str, object]:
        """Return the network and method, as plain values."""
        return dict(self._network.described)

    def identity(self) -> dict[str, object]:
        """Return all that the explanations depend on besides the images, as plain values."""
        return dict(self._network.identity)

    def explain_frames(
        self,
        frames: list[Frame],
        tracker: Tracker | None = None,
        context: Sequence[Frame] = (),  # noqa: ARG002
    ) -> list[Explanation]:
        """Return the explanation of each frame, in order.

        Raises:
            StreamcamError: if a part cannot be explained.
            ChannelClosedError: if the render ends meanwhile.
        """
        assert tracker is not None, "parts of a video are explained with their temporal state"
        if self._is_first:
            self._is_first = False
            batch: ExplainedBatch | None = self._pool.first
        else:
            self._take_part_of(frames[0].index)
            batch = self._known.pop(frames[0].index, None)
        marks = tuple(map(FrameMark.of, frames))
        explanations = self._check(batch, marks, frames, tracker)
        if explanations is None:
            return self._explain_again(batch, marks, frames, tracker)
        return explanations

    def skip_frames(
        self, frames: list[Frame], tracker: Tracker | None = None, context: Sequence[Frame] = ()
    ) -> None:
        """Do nothing: parts that nobody asks for are not explained."""

    def _take_part_of(self, index: int) -> None:
        """Wait until the part that a frame is in is explained, and let those behind it be explained."""
        place = max(self._taken, 0)
        while place + 1 < len(self._parts) and self._parts[place + 1].begin <= index:
            place += 1
        last = min(len(self._parts), place + 1 + PARTS_AHEAD * self._pool.workers)
        for number in range(place, last):
            if number > self._taken and number not in self._tasks:
                part = self._parts[number]
                self._tasks[number] = PartTask(part if self._seeks else part.reread())
                self._pool.submit(self._tasks[number])
        if place > self._taken:
            self._known = self._batches_of(self._pool.take(self._tasks.pop(place)))
            self._taken = place
            self._again = _BATCHES_AGAIN

    def _batches_of(self, explained: ExplainedPart) -> dict[int, ExplainedBatch]:
        self._notes |= dict.fromkeys(explained.notes)
        return {batch.marks[0].index: batch for batch in explained.batches}

    def _check(
        self,
        batch: ExplainedBatch | None,
        marks: tuple[FrameMark, ...],
        frames: Sequence[Frame],
        tracker: Tracker,
    ) -> list[Explanation] | None:
        """Return a batch's explanations if they are those of these frames; only then change the tracker."""
        if batch is None or batch.marks != marks:
            return None
        labels, relevance = self.model.labels, self._network.relevance
        trial = Tracker(self._temporal)
        trial.adopt(tracker)
        numbers = replay(batch.calls, trial, frames, labels, relevance)
        if numbers is None:
            return None
        replay(batch.calls, tracker, frames, labels, relevance)
        return [
            renumber_objects(explanation, numbers.get(explanation.frame_index, {}))
            for explanation in batch.explanations
        ]

    def _explain_again(
        self,
        batch: ExplainedBatch | None,
        marks: tuple[FrameMark, ...],
        frames: list[Frame],
        tracker: Tracker,
    ) -> list[Explanation]:
        """Explain these frames, and some behind them, from the tracker's state."""
        if batch is not None and _are_others(batch.marks, marks):
            self._seeks = False
        state = Tracker(self._temporal)
        state.adopt(tracker)
        first = state.first_pending
        assert first is not None, "frames are observed before they are explained"
        end = first + self._again * (marks[-1].index + 1 - first)
        limit = self._parts[max(self._taken, 0)].end
        end = max(marks[-1].index + 1, end if limit is None else min(end, limit))
        self._again *= 2
        part = part_at(first, end, self._times)
        for each in (part, part.reread()) if self._seeks else (part.reread(),):
            task = PartTask(each, state)
            self._pool.submit(task)
            known = self._batches_of(self._pool.take(task))
            explanations = self._check(known.pop(frames[0].index, None), marks, frames, tracker)
            if explanations is not None:
                _log.info("frames %d to %d are explained again", first, end - 1)
                self.repeated += len(frames) + sum(len(one.marks) for one in known.values())
                self._known |= known
                return explanations
        raise ClusterError(
            f"a worker reads frame {frames[0].index} as another image than this machine; install the same "
            "PyAV on all machines, and leave the video as it is"
        )


def _are_others(there: Sequence[FrameMark], here: Sequence[FrameMark]) -> bool:
    """Return whether any frame of a number is another one."""
    return any(one.index == other.index and one != other for one, other in itertools.product(there, here))
