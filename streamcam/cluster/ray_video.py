"""One video on all workers of a Ray cluster, which explain parts of it, or draw and encode them, too."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from streamcam.cluster.connection import list_drawing_places
from streamcam.cluster.ray_drawing import RayDrawingPool
from streamcam.cluster.ray_parts import RayPartPool
from streamcam.cluster.ray_worker import RayWorker
from streamcam.cluster.waiting import ClusterWaits
from streamcam.errors import InvalidArgumentError, StreamcamError
from streamcam.pipeline.file_renderers import RunningRender
from streamcam.pipeline.jobs import RenderJob
from streamcam.pipeline.parts.drawing import PartDrawing
from streamcam.pipeline.parts.encoder import PartedEncoder
from streamcam.pipeline.parts.explainer import PartedExplainer
from streamcam.pipeline.parts.plan import PartedVideo, VideoPart, plan_parts
from streamcam.pipeline.render import RenderPlan, plan_render
from streamcam.pipeline.results import Progress, RenderResult
from streamcam.pipeline.resume import ResumeState
from streamcam.pipeline.settings import RenderSettings
from streamcam.sources import FrameTimes, open_source, read_frame_times
from streamcam.sources.fetched import is_standard_input

_FEWEST_PARTS = 2
"""A file among others is long if it has this many parts at least."""


@contextlib.contextmanager
def open_video(
    ray: Any,
    workers: Sequence[RayWorker],
    plan: RenderPlan,
    part_s: float,
    waits: ClusterWaits,
    is_stopped: Callable[[], bool],
    on_activity: Callable[[str], None],
) -> Iterator[tuple[RayPartPool, PartedExplainer]]:
    """Let workers begin with a video; see `streamcam.RayCluster.open_parts`.

    Args:
        ray: The library, connected.
        workers: They have their networks.
        plan: The render of the video.
        part_s: How long the parts are, in seconds.
        waits: The cluster's.
        is_stopped: Whether the render is to end before its last frame is written.
        on_activity: Called with what the workers do, in words.

    Yields:
        The workers that explain, and what to run the plan with.

    Raises:
        CancelledError: if the render is to end before the first batch is explained.
    """
    assert plan.location is not None
    video = PartedVideo(plan.location, plan.settings.source, plan.settings.temporal)
    with contextlib.ExitStack() as stack:
        # Nobody needs explanations either where the render has failed.
        has_ended = lambda: plan.stop_flag.is_set() or is_stopped()  # noqa: E731
        pool = RayPartPool(ray, workers, video, waits, has_ended, on_activity)
        network = pool.begin()
        times = _times_of(plan)
        count = len(times.pts) if times is not None else plan.info.frame_count or 1
        pool.frames = count
        parts, rate = [VideoPart(0, None, 0)], float(plan.info.rate or 1)
        if not network.clip_s:  # clips go over the edges of parts
            parts = plan_parts(
                count,
                times,
                rate=rate,
                part_s=part_s,
                batch_size=network.batch_size,
                temporal=video.temporal,
            )
        open_encoder = plan.encoder_opener
        if times is not None and open_encoder is not None:
            drawing = PartDrawing(plan.settings.overlay, open_encoder, plan.output.suffix)
            places = list_drawing_places(ray, [worker.place.node for worker in workers])
            drawers = RayDrawingPool(ray, places, video, drawing, is_stopped)
            stack.callback(drawers.close)
            plan.encode_with(PartedEncoder(drawers, times, part_s * rate))
        yield pool, PartedExplainer(pool, network, parts, times, video.temporal)


class RayPartRenderer:
    """Renders long files one after the other, each in parts by all workers; see `LongFileRenderer`."""

    def __init__(self, ray: Any, workers: Sequence[RayWorker], part_s: float, waits: ClusterWaits) -> None:
        """Take workers that nobody else uses meanwhile.

        Args:
            ray: The library, connected.
            workers: Closed by whoever started them.
            part_s: How long the parts are, in seconds.
            waits: The cluster's.
        """
        self._waits = waits
        self._ray = ray
        self._workers = workers
        self._part_s = part_s
        self._running = RunningRender()

    def takes(self, job: RenderJob) -> bool:
        """As in `LongFileRenderer`."""
        try:
            with open_source(job.source) as source:
                return (source.info.duration_s or 0.0) >= _FEWEST_PARTS * self._part_s
        except StreamcamError:  # reported when its turn comes
            return False

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
            CancelledError: if it is to end before the first batch is explained.
        """
        for worker in self._workers:
            worker.wait_until_loaded(self._is_stopped)
        with (
            self._running.starting() as start,
            plan_render(job.source, job.output, settings) as plan,
            open_video(
                self._ray, self._workers, plan, self._part_s, self._waits, self._is_stopped, lambda _: None
            ) as (pool, explainer),
        ):
            try:
                return plan.run(explainer, on_progress=on_progress, on_start=start, on_resume=on_resume)
            finally:
                pool.close()  # the next file needs the workers

    def _is_stopped(self) -> bool:
        return self._running.is_stopped

    def stop(self) -> None:
        """As in `streamcam.pipeline.file_renderers.FileRenderer`."""
        self._running.stop()


def check_location(plan: RenderPlan) -> None:
    """Check that workers can read a video.

    Raises:
        InvalidArgumentError: if it is standard input, or open already.
    """
    if plan.location is None or is_standard_input(plan.location):
        raise InvalidArgumentError("standard input is not sent to a cluster; name a file")


def _times_of(plan: RenderPlan) -> FrameTimes | None:
    """Return the times of the frames where workers can begin in the middle."""
    info, source = plan.info, plan.settings.source
    if info.path is None or info.video_stream is None or source.rate is not None:
        return None
    return read_frame_times(info.path, info.video_stream, source.start_s, source.end_s)
