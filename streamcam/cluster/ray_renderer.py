"""Renders of whole files by one worker of a Ray cluster."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from typing import Any, cast

from streamcam.cluster.connection import first_line
from streamcam.cluster.ray_worker import MOST_ATTEMPTS, POLL_S, RayWorker
from streamcam.errors import ClusterError, InvalidArgumentError
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
        """
        if is_standard_input(job.source):
            raise InvalidArgumentError("standard input is not sent to a cluster; name a file")
        for attempt in range(MOST_ATTEMPTS):
            try:
                if self._worker.actor is None:
                    self._worker.begin()
                self._worker.wait_until_loaded()
                result, error = self._attempt(job, settings, on_progress, on_resume)
            except self._ray.exceptions.RayError as loss:
                _log.info("%s: attempt %d: %s", job.source, attempt + 1, first_line(loss))
                self._worker.close()
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
        known: tuple[Progress | None, ResumeState | None] = (None, None)
        has_stopped = False
        while not self._ray.wait([outcome], timeout=POLL_S)[0]:
            if self._is_stopped and not has_stopped:
                self._worker.actor.stop.remote()
                has_stopped = True
            before, known = known, self._ray.get(self._worker.actor.progress.remote())
            progress, resumed = known
            if resumed is not None and before[1] is None:
                on_resume(resumed)
            if progress is not None:
                on_progress(progress)
        return self._ray.get(outcome)
