"""Workers on the machines of a Ray cluster, for many files and for the parts of one.

Each worker holds a network, and reads from disks that all machines share, so that neither images nor videos
pass through Ray.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from streamcam.cluster.connection import LOCAL, connected, list_places, load_ray
from streamcam.cluster.memory import check_memory, estimate_bytes
from streamcam.cluster.ray_renderer import RayRenderer
from streamcam.cluster.ray_video import RayPartRenderer, check_location, open_video
from streamcam.cluster.ray_worker import RayWorker, agreed_identity, end_workers
from streamcam.cluster.waiting import ClusterWaits
from streamcam.errors import ClusterError, InvalidArgumentError
from streamcam.pipeline.file_renderers import RendererPool, check_jobs
from streamcam.pipeline.parts.explainer import PartedExplainer
from streamcam.pipeline.parts.plan import PART_S

if TYPE_CHECKING:
    from streamcam.frames import SourceInfo
    from streamcam.pipeline.explainers import NetworkExplainer
    from streamcam.pipeline.render import RenderPlan


@dataclasses.dataclass(frozen=True, slots=True)
class RayCluster:
    """A Ray cluster.

    Raises:
        InvalidArgumentError: if parts are not longer than 0.
    """

    address: str = LOCAL
    """``"local"`` starts one on this machine, which ends with the render; ``"auto"`` is the one that this
    machine belongs to; else ``"host:6379"`` or ``"ray://host:10001"``."""
    part_s: float = PART_S
    """How long the parts of a single video are, in seconds, each of which one worker explains; one draws and
    encodes it where the render can be resumed."""

    def __post_init__(self) -> None:
        if not 0 < self.part_s < math.inf:
            raise InvalidArgumentError(f"`part_s` {self.part_s:g} is not a length above 0 seconds")

    @contextlib.contextmanager
    def open(
        self,
        make_explainer: Callable[[], NetworkExplainer],
        jobs: int | Literal["auto"] = "auto",
        on_wait: Callable[[str], None] = lambda _what: None,
    ) -> Iterator[RendererPool]:
        """Start workers that render files: one for each GPU, and one on each machine without any.

        Args:
            make_explainer: Called in each worker.
            jobs: How many workers there are; "auto" for the above.
            on_wait: Called with what is waited for, in words, where that takes long.

        Yields:
            A renderer for each worker.

        Raises:
            ClusterError: if the cluster cannot be reached, or a worker cannot be used.
            InvalidArgumentError: if the address is none, or Ray is not installed.
        """
        with self._workers(make_explainer, jobs, on_wait) as (ray, workers, waits):
            reports = [worker.wait_until_loaded() for worker in workers]
            renderers = [RayRenderer(ray, worker) for worker in workers]
            for_long = RayPartRenderer(ray, workers, self.part_s, waits)
            yield RendererPool(renderers, agreed_identity(reports), for_long)

    @contextlib.contextmanager
    def open_parts(
        self,
        plan: RenderPlan,
        make_explainer: Callable[[], NetworkExplainer],
        jobs: int | Literal["auto"] = "auto",
        on_activity: Callable[[str], None] = lambda _activity: None,
        on_wait: Callable[[str], None] = lambda _what: None,
    ) -> Iterator[PartedExplainer]:
        """Start workers that explain the parts of one video, as `open` does.

        Args:
            plan: The render of the video.
            make_explainer: Called in each worker.
            jobs: How many workers there are; "auto" for the above.
            on_activity: Called with what the workers do, in words, while the render waits for them.
            on_wait: As for `open`.

        Yields:
            What to run the plan with; its explanations are those of one explainer.

        Raises:
            ClusterError: as `open` does.
            InvalidArgumentError: also if the video is none that the workers can read.
        """
        check_location(plan)
        with self._workers(make_explainer, jobs, on_wait, plan.info) as (ray, workers, waits):
            agreed_identity([worker.wait_until_loaded() for worker in workers])
            video = open_video(ray, workers, plan, self.part_s, waits, lambda: plan.is_stopping, on_activity)
            with video as (_, explainer):
                yield explainer

    @contextlib.contextmanager
    def _workers(
        self,
        make_explainer: Callable[[], NetworkExplainer],
        jobs: int | Literal["auto"],
        on_wait: Callable[[str], None],
        info: SourceInfo | None = None,
    ) -> Iterator[tuple[Any, list[RayWorker], ClusterWaits]]:
        """Start workers; yield the library, them, and what they are waited for with."""
        check_jobs(jobs)
        ray = load_ray()
        with connected(ray, self.address):
            places = list_places(ray, jobs)
            if not places:
                raise ClusterError(f"the cluster {self.address!r} has no machine with a processor to spare")
            waits = ClusterWaits(ray, self.address, on_wait)
            workers = [RayWorker(ray, place, make_explainer, waits) for place in places]
            try:
                _begin_all(ray, workers, info)
                yield ray, workers, waits
            finally:
                end_workers(ray, workers)


def _begin_all(ray: Any, workers: Sequence[RayWorker], info: SourceInfo | None) -> None:
    """Start workers, which ask for the memory that the first one of their kind was seen to need.

    Args:
        ray: The library, connected.
        workers: Those with a GPU and those without are of a kind.
        info: The video that they will read; None if it is not open yet.

    Raises:
        ClusterError: if one of the first cannot be used, or memory is short.
    """
    first: dict[bool, RayWorker] = {}
    for worker in workers:
        first.setdefault(worker.place.gpu_share > 0, worker)
    for worker in first.values():
        worker.begin()
    needs = {kind: estimate_bytes(one.wait_until_loaded().memory, info) for kind, one in first.items()}
    check_memory(ray, [worker.place for worker in workers], needs)
    for worker in workers:
        worker.memory = needs[worker.place.gpu_share > 0]
        if worker not in first.values():
            worker.begin()
