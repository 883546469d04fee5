"""Workers on the machines of a Ray cluster.

Each worker holds a network and renders whole files from and to disks that all machines share, so that neither
images nor videos pass through Ray.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import streamcam
from streamcam.cluster.worker import RenderWorker, WorkerReport
from streamcam.errors import ClusterError, InvalidArgumentError, map_errors
from streamcam.pipeline.file_renderers import RendererPool, check_jobs
from streamcam.pipeline.jobs import RenderJob
from streamcam.pipeline.results import Progress, RenderResult
from streamcam.pipeline.resume import ResumeState
from streamcam.pipeline.settings import RenderSettings
from streamcam.sources.fetched import is_standard_input

if TYPE_CHECKING:
    from streamcam.explain import Explainer

_log = logging.getLogger("streamcam.cluster")

LOCAL, AUTO = "local", "auto"
"""The addresses of a cluster that is started on this machine, and of the one that this machine belongs to."""

MOST_ATTEMPTS = 3
"""A file whose workers are lost this many times is given up."""

_REACHED_WITHIN_S = 5.0
_POLL_S = 0.2
_OWN = ("device", "backend", "precision", "batch")
"""The only differences that machines may have: names of parts of an explainer's identity."""


@dataclasses.dataclass(frozen=True, slots=True)
class RayCluster:
    """A Ray cluster."""

    address: str = LOCAL
    """``"local"`` starts one on this machine, which ends with the render; ``"auto"`` is the one that this
    machine belongs to; else ``"host:6379"`` or ``"ray://host:10001"``."""

    @contextlib.contextmanager
    def open(
        self, make_explainer: Callable[[], Explainer], jobs: int | Literal["auto"] = "auto"
    ) -> Iterator[RendererPool]:
        """Start workers: one for each GPU, and one on each machine without any.

        Args:
            make_explainer: Called in each worker.
            jobs: How many workers there are at most.

        Yields:
            A renderer for each worker.

        Raises:
            ClusterError: if the cluster cannot be reached, or a worker cannot be used.
            InvalidArgumentError: if the address is none, or Ray is not installed.
        """
        check_jobs(jobs)
        ray = _load_ray()
        with _connected(ray, self.address):
            nodes = _places(ray)
            if not nodes:
                raise ClusterError(f"the cluster {self.address!r} has no machine with a processor to spare")
            chosen = nodes if jobs == "auto" else [nodes[number % len(nodes)] for number in range(jobs)]
            renderers = [RayRenderer(ray, node, has_gpu, make_explainer) for node, has_gpu in chosen]
            try:
                for renderer in renderers:
                    renderer.begin()
                reports = [renderer.wait_until_loaded() for renderer in renderers]
                yield RendererPool(renderers, _agreed_identity(reports))
            finally:
                for renderer in renderers:
                    renderer.close()


class RayRenderer:
    """Renders files in one worker, and in another one where that is lost."""

    def __init__(self, ray: Any, node: str, has_gpu: bool, make_explainer: Callable[[], Explainer]) -> None:
        """Choose a machine; see `RayCluster.open`.

        Args:
            ray: The library, connected.
            node: The machine where the worker is best started.
            has_gpu: Whether the worker gets one of its GPUs.
            make_explainer: Makes the worker's explainer.
        """
        self._ray = ray
        self._node = node
        self._has_gpu = has_gpu
        self._make_explainer = make_explainer
        self._worker: Any = None
        self._loading: Any = None
        self._is_stopped = False

    def begin(self) -> None:
        """Start the worker, and let it load its network; does not wait."""
        strategy = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(self._node, soft=True)
        actor = self._ray.remote(RenderWorker).options(
            num_cpus=1, num_gpus=int(self._has_gpu), max_concurrency=2, scheduling_strategy=strategy
        )
        self._worker = actor.remote()
        self._loading = self._worker.load.remote(self._make_explainer, str(Path.cwd()))

    def wait_until_loaded(self) -> WorkerReport:
        """Wait for the network.

        Raises:
            ClusterError: if the worker has another version, no network, or other disks.
        """
        with map_errors(self._ray.exceptions.RayError, to=_describe_loss):
            report: WorkerReport = self._ray.get(self._loading)
        if report.version != streamcam.__version__:
            raise ClusterError(
                f"the worker on {report.host} has streamcam {report.version}, and {streamcam.__version__} "
                "runs here; install the same on all machines"
            )
        if report.error is not None:
            raise ClusterError(f"the worker on {report.host} cannot be used: {report.error}")
        return report

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
                if self._worker is None:
                    self.begin()
                    self.wait_until_loaded()
                result, error = self._attempt(job, settings, on_progress, on_resume)
            except self._ray.exceptions.RayError as loss:
                _log.info("%s: attempt %d: %s", job.source, attempt + 1, _first_line(loss))
                self.close()
                last = loss
                # What the lost worker has finished is ours.
                settings = dataclasses.replace(settings, overwrite=True)
            else:
                if error is not None:
                    raise error
                assert result is not None
                return cast("RenderResult", result)
        raise ClusterError(
            f"{str(job.source)!r} was given up after {MOST_ATTEMPTS} attempts: {_first_line(last)}"
        )

    def stop(self) -> None:
        """As in `streamcam.pipeline.file_renderers.FileRenderer`: `render` passes it on."""
        self._is_stopped = True

    def close(self) -> None:
        """End the worker. May be called again."""
        if self._worker is not None:
            self._ray.kill(self._worker)
        self._worker = None

    def _attempt(
        self,
        job: RenderJob,
        settings: RenderSettings,
        on_progress: Callable[[Progress], None],
        on_resume: Callable[[ResumeState], None],
    ) -> Any:
        outcome = self._worker.render.remote(job, settings)
        known: tuple[Progress | None, ResumeState | None] = (None, None)
        has_stopped = False
        while not self._ray.wait([outcome], timeout=_POLL_S)[0]:
            if self._is_stopped and not has_stopped:
                self._worker.stop.remote()
                has_stopped = True
            before, known = known, self._ray.get(self._worker.progress.remote())
            progress, resumed = known
            if resumed is not None and before[1] is None:
                on_resume(resumed)
            if progress is not None:
                on_progress(progress)
        return self._ray.get(outcome)


def _load_ray() -> Any:
    # Nothing is sent to Ray's makers, and a machine without GPU needs no word on it.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
        import ray.util.scheduling_strategies
    except ImportError as error:
        raise InvalidArgumentError(
            f"a cluster needs {error.name}: install it with pip install 'streamcam[ray]'"
        ) from error
    return ray


@contextlib.contextmanager
def _connected(ray: Any, address: str) -> Iterator[None]:
    """Connect to a cluster, unless this process is connected already, and leave it at the end."""
    if ray.is_initialized():
        yield
        return
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == LOCAL:
        settings["include_dashboard"] = False
    else:
        _check_reachable(address)
        settings["address"] = address
    with map_errors(
        Exception,
        to=lambda error: ClusterError(f"the cluster {address!r} cannot be used: {_first_line(error)}"),
    ):
        ray.init(**settings)
    try:
        yield
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Check an address before Ray, which tries for minutes.

    Raises:
        InvalidArgumentError: if it is none.
        ClusterError: if nobody answers.
    """
    if address == AUTO:
        return
    parts = re.fullmatch(r"(?:ray://)?([^\s:/]+):(\d{1,5})", address)
    if parts is None:
        raise InvalidArgumentError(
            f"{address!r} is no address of a cluster; use host:6379, ray://host:10001, auto or local"
        )
    with map_errors(
        OSError,
        OverflowError,
        to=lambda error: ClusterError(
            f"the cluster {address!r} cannot be reached: {getattr(error, 'strerror', None) or error}"
        ),
    ):
        socket.create_connection((parts[1], int(parts[2])), timeout=_REACHED_WITHIN_S).close()


def _places(ray: Any) -> list[tuple[str, bool]]:
    """List where workers run: the machine of each, and whether it gets a GPU."""
    places: list[tuple[str, bool]] = []
    for node in ray.nodes():
        resources = node["Resources"]
        if node["Alive"] and resources.get("CPU", 0) >= 1:
            gpus = int(resources.get("GPU", 0))
            places += [(node["NodeID"], gpus > 0)] * max(1, gpus)
    return places


def _agreed_identity(reports: Sequence[WorkerReport]) -> dict[str, object]:
    """Return what explanations depend on, the same for all workers but for their devices.

    Raises:
        ClusterError: if workers have different networks.
    """
    first, *others = reports
    for other in others:
        for name, value in first.identity.items():
            if name not in _OWN and other.identity.get(name) != value:
                raise ClusterError(
                    f"the workers on {first.host} and {other.host} differ in {name}: {value} and "
                    f"{other.identity.get(name)}"
                )
    return dict(first.identity)


def _describe_loss(error: Exception) -> ClusterError:
    return ClusterError(f"a worker cannot be started: {_first_line(error)}")


def _first_line(error: BaseException) -> str:
    """Return the line of a Ray error that says most: the last of a traceback, the first of other texts."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return lines[-1] if any(line.startswith("Traceback") or "ray::" in line for line in lines) else lines[0]
