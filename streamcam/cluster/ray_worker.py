"""One worker of a Ray cluster, as the process that started it sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamcam
from streamcam.cluster.connection import Place, first_line
from streamcam.cluster.waiting import A_WORKER, ClusterWaits, wait_for_all
from streamcam.cluster.worker import RenderWorker, WorkerReport
from streamcam.errors import ClusterError, map_errors

if TYPE_CHECKING:
    from streamcam.pipeline.explainers import NetworkExplainer

MOST_ATTEMPTS = 3
"""A file or part whose workers are lost this many times is given up."""

_CALLS_AT_ONCE = 4
"""One render or part, a part that is explained again, and questions about both."""

FAREWELL_S = 5.0
"""How long workers may take to remove what they copied, all together."""

_OWN = ("device", "backend", "precision", "batch")
"""The only differences that machines may have: names of parts of an explainer's identity."""


class RayWorker:
    """A worker that loads its network when it begins.

    Attributes:
        actor: Its handle; None when it has not begun, or is closed.
        loading: What Ray gives the report on its network for.
        place: Where it is best started.
        memory: How much memory it asks for, in bytes, when it is started; 0 while that is not known.
    """

    def __init__(
        self, ray: Any, place: Place, make_explainer: Callable[[], NetworkExplainer], waits: ClusterWaits
    ) -> None:
        """Choose a machine; see `streamcam.cluster.RayCluster`.

        Args:
            ray: The library, connected.
            place: Where the worker is best started.
            make_explainer: Makes the worker's explainer.
            waits: The cluster's.
        """
        self.actor: Any = None
        self.loading: Any = None
        self._starting: Any = None
        self._waits = waits
        self._ray = ray
        self.place = place
        self.memory = 0
        self._make_explainer = make_explainer

    def begin(self) -> None:
        """Start the worker, and let it load its network; does not wait."""
        strategy = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            self.place.node, soft=True
        )
        actor = self._ray.remote(RenderWorker).options(
            num_cpus=1,
            num_gpus=self.place.gpu_share,
            memory=self.memory,
            max_concurrency=_CALLS_AT_ONCE,
            scheduling_strategy=strategy,
        )
        self.actor = actor.remote()
        self._starting = self.actor.count_frames.remote()
        self.loading = self.actor.load.remote(self._make_explainer, str(Path.cwd()))

    def wait_until_loaded(self, is_stopped: Callable[[], bool] = lambda: False) -> WorkerReport:
        """Wait for the network.

        Args:
            is_stopped: Whether nobody needs it any more.

        Raises:
            ClusterError: if the worker is lost, or has another version, no network, or other disks.
            CancelledError: if nobody needs it any more.
        """
        with map_errors(self._ray.exceptions.RayError, to=describe_loss):
            return self.take_report(is_stopped)

    def take_report(self, is_stopped: Callable[[], bool]) -> WorkerReport:
        """Wait for the network as `wait_until_loaded` does.

        Raises:
            RayError: of Ray, if the worker is lost.
            ClusterError: if it has another version, no network, or other disks.
            CancelledError: if nobody needs it any more.
        """
        report: WorkerReport = self._waits.get(self.loading, is_stopped, self.describe_wait)
        if report.version != streamcam.__version__:
            raise ClusterError(
                f"the worker on {report.host} has streamcam {report.version}, and {streamcam.__version__} "
                "runs here; install the same on all machines"
            )
        if report.error is not None:
            raise ClusterError(f"the worker on {report.host} cannot be used: {report.error}")
        return report

    def describe_wait(self) -> str:
        """Return what is waited for until the network is there, for `ClusterWaits`."""
        return "a worker to load its network" if self._has(self._starting) else A_WORKER

    def ask_to_end(self) -> Any:
        """Let it remove what it copied; return what Ray gives for that, None if there is nothing."""
        return self.actor.end_video.remote() if self.actor is not None and self._has(self.loading) else None

    def kill(self) -> None:
        """End the worker at once. May be called again."""
        if self.actor is not None:
            self._ray.kill(self.actor)
        self.actor = None

    def _has(self, answer: Any) -> bool:
        return bool(self._ray.wait([answer], timeout=0)[0])


def end_workers(ray: Any, workers: Sequence[RayWorker]) -> None:
    """End workers, each of which may be lost already, or never have begun. May be called again."""
    try:
        farewells = [worker.ask_to_end() for worker in workers]
        wait_for_all(ray, [farewell for farewell in farewells if farewell is not None], FAREWELL_S)
    finally:  # also where somebody has no patience
        for worker in workers:
            worker.kill()


def agreed_identity(reports: Sequence[WorkerReport]) -> dict[str, object]:
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


def describe_loss(error: Exception) -> ClusterError:
    """Return the error for a worker that is lost before it has its network."""
    return ClusterError(f"a worker cannot be started: {first_line(error)}")
