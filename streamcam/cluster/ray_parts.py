"""Parts of a video on the workers of a Ray cluster: who explains which, and what becomes of lost workers."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from streamcam.cluster.connection import first_line
from streamcam.cluster.ray_worker import MOST_ATTEMPTS, RayWorker, describe_loss, end_workers
from streamcam.cluster.waiting import POLL_S, ClusterWaits, wait_for_all
from streamcam.cluster.worker import PartReport
from streamcam.errors import CancelledError, ClusterError, StreamcamError
from streamcam.pipeline.channel import ChannelClosedError
from streamcam.pipeline.parts.explainer import NetworkReport, PartTask
from streamcam.pipeline.parts.plan import PartedVideo
from streamcam.pipeline.parts.worker import ExplainedBatch, ExplainedPart

_log = logging.getLogger("streamcam.cluster")

_SHOWN_EVERY_S = 1.0


@dataclasses.dataclass(slots=True, eq=False)
class _Call:
    """Something that a worker does."""

    answer: Any
    """A reference to its answer."""
    worker: RayWorker
    task: PartTask | None
    """The part that it explains; None while it begins with the video."""
    is_loading: bool = False
    """Whether it loads its network."""


class RayPartPool:
    """Workers of a Ray cluster that explain parts of one video; see `PartPool`.

    Belongs to one thread.

    Attributes:
        frames: How many frames the video has, for messages.
        first: The video's first batch.
    """

    first: ExplainedBatch

    def __init__(
        self,
        ray: Any,
        workers: Sequence[RayWorker],
        video: PartedVideo,
        waits: ClusterWaits,
        is_stopped: Callable[[], bool],
        on_activity: Callable[[str], None],
    ) -> None:
        """Take workers that have their network.

        Args:
            ray: The library, connected.
            workers: Closed by whoever started them.
            video: The video.
            waits: The cluster's.
            is_stopped: Whether nobody needs the parts any more.
            on_activity: Called with what the workers do, in words, while somebody waits for them.
        """
        self.frames = 0
        self._ray = ray
        self._workers = list(workers)
        self._idle: list[RayWorker] = []
        self._video = video
        self._waits = waits
        self._network: NetworkReport | None = None
        self._is_stopped = is_stopped
        self._on_activity = on_activity
        self._waiting: collections.deque[PartTask] = collections.deque()
        self._calls: list[_Call] = []
        self._attempts: collections.Counter[PartTask] = collections.Counter()
        self._failed_starts = 0
        self._done: dict[PartTask, ExplainedPart | StreamcamError] = {}
        self._shown_s = self._answered_s = time.monotonic()
        self._frames_of: dict[int, int] = {}

    @property
    def workers(self) -> int:
        """How many workers there are."""
        return len(self._workers)

    def begin(self) -> NetworkReport:
        """Let every worker begin with the video; return what they hold when the first one has.

        Raises:
            StreamcamError: if they cannot.
            CancelledError: if nobody needs the parts any more.
        """
        for worker in self._workers:
            self._begin_video(worker)
        while self._network is None:
            if self._is_stopped():
                raise CancelledError("the render has ended")
            self._advance()
        return self._network

    def submit(self, task: PartTask) -> None:
        """As in `PartPool`."""
        if task.state is None:
            self._waiting.append(task)
        else:
            self._waiting.appendleft(task)
        self._hand_out()

    def take(self, task: PartTask) -> ExplainedPart:
        """As in `PartPool`.

        Raises:
            ClusterError: also if the part's workers are lost again and again.
        """
        while task not in self._done:
            if self._is_stopped():
                raise ChannelClosedError("the render has ended")
            self._advance()
            self._hand_out()
            self._show()
        outcome = self._done.pop(task)
        if isinstance(outcome, StreamcamError):
            raise outcome
        return outcome

    def close(self) -> None:
        """Wait until the workers are free, and let them remove what they copied of the video."""
        self._waiting.clear()
        farewells = [worker.ask_to_end() for worker in self._workers]
        answers = [farewell for farewell in farewells if farewell is not None]
        answers += [call.answer for call in self._calls if not call.is_loading]
        while not self._is_stopped() and answers:
            _, answers = self._ray.wait(answers, num_returns=len(answers), timeout=POLL_S)
        self._calls = []

    def _begin_video(self, worker: RayWorker) -> None:
        self._calls.append(_Call(worker.actor.begin_video.remote(self._video), worker, None))

    def _advance(self) -> None:
        """Wait for a short time, and take what workers have done."""
        ready, _ = self._ray.wait([call.answer for call in self._calls], timeout=POLL_S)
        for call in [call for call in self._calls if call.answer in ready]:
            if call in self._calls:  # its worker may be lost since
                self._collect(call)
        if ready:
            self._answered_s = time.monotonic()
        elif all(call.task is None for call in self._calls):
            self._waits.note(self._answered_s, self._describe_wait)

    def _describe_wait(self) -> str:
        loading = next((call.worker for call in self._calls if call.is_loading), None)
        return "a worker to explain the first frames" if loading is None else loading.describe_wait()

    def _hand_out(self) -> None:
        """Give the parts that wait to workers: one that somebody waits for to a busy one, too."""
        while self._waiting and (worker := self._worker_for(self._waiting[0])) is not None:
            task = self._waiting.popleft()
            if worker in self._idle:
                self._idle.remove(worker)
            self._calls.append(_Call(worker.actor.explain_part.remote(task), worker, task))

    def _worker_for(self, task: PartTask) -> RayWorker | None:
        if self._idle:
            return self._idle[0]
        if task.state is None:
            return None
        return next((call.worker for call in self._calls if call.task is not None), None)

    def _collect(self, call: _Call) -> None:
        """Take what a worker has done."""
        try:
            answer = self._ray.get(call.answer)
        except self._ray.exceptions.RayError as loss:
            self._lose(call.worker, loss)
            return
        self._calls.remove(call)
        if call.is_loading:
            call.worker.wait_until_loaded()
            self._begin_video(call.worker)
            return
        if all(other.worker is not call.worker for other in self._calls):
            self._idle.append(call.worker)
        if call.task is None:
            self._learn_network(answer)
            return
        part, error = answer
        self._done[call.task] = part if error is None else error

    def _learn_network(self, report: PartReport) -> None:
        """Take the report of a worker that has begun with the video."""
        if report.error is not None:
            raise report.error
        assert report.network is not None
        assert report.first is not None
        self._failed_starts = 0
        if self._network is None:
            self._network, self.first = report.network, report.first
        elif report.network.batch_size != self._network.batch_size:
            raise ClusterError(
                "the workers explain different numbers of frames at once, as their devices suggest; give the "
                "same `batch_size` to all"
            )

    def _lose(self, worker: RayWorker, loss: Exception) -> None:
        """Start another worker, and let the parts of the lost one be explained again."""
        lost = [call for call in self._calls if call.worker is worker]
        self._calls = [call for call in self._calls if call.worker is not worker]
        end_workers(self._ray, [worker])
        for task in (call.task for call in reversed(lost) if call.task is not None):
            self._attempts[task] += 1
            _log.info("frame %d: attempt %d: %s", task.part.begin, self._attempts[task], first_line(loss))
            if self._attempts[task] < MOST_ATTEMPTS:
                self._waiting.appendleft(task)
                continue
            self._done[task] = ClusterError(
                f"{str(self._video.location)!r} was given up at frame {task.part.begin}, after "
                f"{MOST_ATTEMPTS} attempts: {first_line(loss)}"
            )
        if all(call.task is None for call in lost):
            self._failed_starts += 1
            if self._failed_starts >= MOST_ATTEMPTS:
                raise describe_loss(loss)
        worker.begin()
        self._calls.append(_Call(worker.loading, worker, None, is_loading=True))

    def _show(self) -> None:
        """Say now and then how many frames are explained."""
        if time.monotonic() - self._shown_s < _SHOWN_EVERY_S:
            return
        self._shown_s = time.monotonic()
        count = self._count_frames()
        self._on_activity(f"explaining on {len(self._workers)} workers: {count} of {self.frames} frames")

    def _count_frames(self) -> int:
        """Return how many frames the workers have explained, as far as they answer soon."""
        busy = {id(call.worker): call.worker for call in self._calls if call.task is not None}
        workers = [*busy.values(), *(worker for worker in self._idle if id(worker) not in busy)]
        asked = {worker.actor.count_frames.remote(): id(worker) for worker in workers}
        wait_for_all(self._ray, list(asked), POLL_S)
        for answer, worker in asked.items():
            # A lost worker is found out about where its part is awaited.
            with contextlib.suppress(self._ray.exceptions.RayError):
                if self._ray.wait([answer], timeout=0)[0]:
                    self._frames_of[worker] = self._ray.get(answer)
        return sum(self._frames_of.values())
