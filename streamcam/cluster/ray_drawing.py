"""Workers of a Ray cluster that draw and encode parts of one video; Ray itself starts lost ones again."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from streamcam.cluster.connection import first_line
from streamcam.cluster.drawing_worker import DrawingWorker
from streamcam.cluster.ray_worker import FAREWELL_S, MOST_ATTEMPTS
from streamcam.cluster.waiting import POLL_S, wait_for_all
from streamcam.errors import ClusterError
from streamcam.pipeline.channel import ChannelClosedError
from streamcam.pipeline.parts.drawing import DrawingTask, EncodedPart, PartDrawing
from streamcam.pipeline.parts.plan import PartedVideo

_CALLS_AT_ONCE = 4
"""A part, those that wait for its end, and the end of all."""


class RayDrawingPool:
    """Workers that draw and encode parts of one video; see `DrawingPool`. Belongs to one thread."""

    def __init__(
        self,
        ray: Any,
        nodes: Sequence[str],
        video: PartedVideo,
        drawing: PartDrawing,
        is_stopped: Callable[[], bool],
    ) -> None:
        """Start workers; does not wait.

        Args:
            ray: The library, connected.
            nodes: The machine of each worker.
            video: The video.
            drawing: How its frames are drawn and encoded.
            is_stopped: Whether nobody needs the parts any more.
        """
        self._is_stopped = is_stopped
        self._ray = ray
        self._name = str(video.location)
        self._actors = []
        self._pending: list[list[_Pending]] = [[] for _ in nodes]
        for node in nodes:
            strategy = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=True)
            actor = ray.remote(DrawingWorker).options(
                # They are beside workers that explain, whose processors wait for devices and files.
                num_cpus=0,
                max_concurrency=_CALLS_AT_ONCE,
                max_restarts=-1,
                max_task_retries=MOST_ATTEMPTS - 1,
                scheduling_strategy=strategy,
            )
            self._actors.append(actor.remote(video, drawing, str(Path.cwd())))

    @property
    def workers(self) -> int:
        """How many workers there are."""
        return len(self._actors)

    def submit(self, task: DrawingTask) -> _Pending:
        """As in `DrawingPool`: the worker that has least to do gets it."""
        self._pending = [[one for one in parts if not one.is_ready] for parts in self._pending]
        place = min(range(len(self._actors)), key=lambda place: len(self._pending[place]))
        answer = self._actors[place].draw.remote(task)
        loss = f"{self._name!r} was given up at frame {task.part.begin}"
        pending = _Pending(self._ray, answer, loss, self._is_stopped)
        self._pending[place].append(pending)
        return pending

    def close(self) -> None:
        """End the workers, in the middle of a part if they are."""
        wait_for_all(self._ray, [actor.end.remote() for actor in self._actors], FAREWELL_S)
        for actor in self._actors:
            self._ray.kill(actor)
        self._actors = []


@dataclasses.dataclass(slots=True, eq=False)
class _Pending:
    """A part that a worker draws and encodes."""

    ray: Any
    answer: Any
    """A reference to it; None when it is taken."""
    loss: str
    """The beginning of the error if its workers are lost."""
    is_stopped: Callable[[], bool]
    """Whether nobody needs it any more."""

    @property
    def is_ready(self) -> bool:
        """As in `PendingPart`."""
        return self.answer is None or bool(self.ray.wait([self.answer], timeout=0)[0])

    def take(self) -> EncodedPart:
        """As in `PendingPart`.

        Raises:
            ClusterError: also if the part's workers are lost again and again.
            ChannelClosedError: if nobody needs it any more.
        """
        while not self.ray.wait([self.answer], timeout=POLL_S)[0]:
            if self.is_stopped():
                raise ChannelClosedError("the render has ended")
        answer, self.answer = self.answer, None
        try:
            part, error = self.ray.get(answer)
        except self.ray.exceptions.RayError as loss:
            raise ClusterError(f"{self.loss}, after {MOST_ATTEMPTS} attempts: {first_line(loss)}") from loss
        if error is not None:
            raise error
        encoded: EncodedPart = part
        return encoded
