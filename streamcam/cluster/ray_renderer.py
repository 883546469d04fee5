"""Renders of whole files by one worker of a Ray cluster."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from typing import Any, cast

from streamcam.cluster.connection import first_line
from streamcam.cluster.ray_worker import MOST_ATTEMPTS, RayWorker, end_workers
from streamcam.cluster.waiting import POLL_S
from streamcam.errors import CancelledError, ClusterError, InvalidArgumentError
from streamcam.pipeline.jobs import RenderJob
from streamcam.pipeline.results import Progress, RenderResult
from streamcam.pipeline.resume import ResumeState
from streamcam.pipeline.settings import RenderSettings
from streamcam.sources.fetched import is_standard_input

_log = logging.getLogger("streamcam.cluster")


class RayRenderer:
    """Renders files in one worker, and in another one where that is lost."""

    def __init__(self, ray: Any, worker: RayWorker) -> None:
        """Take a worker that is closed by whoever started it.

        Args:
            ray: The library, connected.
            worker: The worker.
        """
        self._ray = ray
        self._worker = worker
        self._is_stopped = False

    def render(
        self,
        job: RenderJob,
        settings: RenderSettings,
        *,
        on_progress: Callable[[Progress], None],
        on_resume: Callable[[ResumeState], None],
    ) -> RenderResult:
        """As in `streamcam.pipeline.file_renderers.FileRenderer`.

        Raises:
            StreamcamError: if the file cannot be rendered.
            ClusterError: if its workers are lost again and again.
            CancelledError: if it is to end before a worker has begun.
        """
        if is_standard_input(job.source):
            raise InvalidArgumentError("standard input is not sent to a cluster; name a file")
        for attempt in range(MOST_ATTEMPTS):
            try:
                if self._worker.actor is None:
                    self._worker.begin()
                self._worker.take_report(lambda: self._is_stopped)
                result, error = self._attempt(job, settings, on_progress, on_resume)
            except self._ray.exceptions.RayError as loss:
                _log.info("%s: attempt %d: %s", job.source, attempt + 1, first_line(loss))
                end_workers(self._ray, [self._worker])
                if self._is_stopped:
                    raise CancelledError("the render has ended") from loss
                last = loss
                # What the lost worker has finished is ours.
                settings = dataclasses.replace(settings, overwrite=True)
            else:
                if error is not None:
                    raise error
                assert result is not None
                return cast("RenderResult", result)
        raise ClusterError(
            f"{str(job.source)!r} was given up after {MOST_ATTEMPTS} attempts: {first_line(last)}"
        )

    def stop(self) -> None:
        """As in `streamcam.pipeline.file_renderers.FileRenderer`: `render` passes it on."""
        self._is_stopped = True

    def _attempt(
        self,
        job: RenderJob,
        settings: RenderSettings,
        on_progress: Callable[[Progress], None],
        on_resume: Callable[[ResumeState], None],
    ) -> Any:
        outcome = self._worker.actor.render.remote(job, settings)
        has_resumed = has_stopped = False
        asked: Any = None
        while not self._ray.wait([outcome], timeout=POLL_S)[0]:
            if self._is_stopped and not has_stopped:
                self._worker.actor.stop.remote()
                has_stopped = True
            if asked is None:
                asked = self._worker.actor.progress.remote()
            if not self._ray.wait([asked], timeout=0)[0]:
                continue
            known: tuple[Progress | None, ResumeState | None] = self._ray.get(asked)
            asked = None
            progress, resumed = known
            if resumed is not None and not has_resumed:
                on_resume(resumed)
                has_resumed = True
            if progress is not None:
                on_progress(progress)
        return self._ray.get(outcome)
