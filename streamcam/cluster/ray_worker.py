"""One worker of a Ray cluster, as the process that started it sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamcam
from streamcam.cluster.connection import Place, first_line
from streamcam.cluster.worker import RenderWorker, WorkerReport
from streamcam.errors import ClusterError, map_errors

if TYPE_CHECKING:
    from streamcam.pipeline.explainers import NetworkExplainer

MOST_ATTEMPTS = 3
"""A file or part whose workers are lost this many times is given up."""

POLL_S = 0.2
"""How often those who wait for a worker look after it."""

_CALLS_AT_ONCE = 4
"""One render or part, a part that is explained again, and questions about both."""

FAREWELL_S = 5.0
"""How long a worker may take to remove what it copied."""

_OWN = ("device", "backend", "precision", "batch")
"""The only differences that machines may have: names of parts of an explainer's identity."""


class RayWorker:
    """A worker that loads its network when it begins.

    Attributes:
        actor: Its handle; None when it has not begun, or is closed.
        loading: What Ray gives the report on its network for.
        node: The machine where it is best started.
    """

    def __init__(self, ray: Any, place: Place, make_explainer: Callable[[], NetworkExplainer]) -> None:
        """Choose a machine; see `streamcam.cluster.RayCluster`.

        Args:
            ray: The library, connected.
            place: Where the worker is best started.
            make_explainer: Makes the worker's explainer.
        """
        self.actor: Any = None
        self.loading: Any = None
        self._ray = ray
        self.node = place.node
        self._gpu_share = place.gpu_share
        self._make_explainer = make_explainer

    def begin(self) -> None:
        """Start the worker, and let it load its network; does not wait."""
        strategy = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(self.node, soft=True)
        actor = self._ray.remote(RenderWorker).options(
            num_cpus=1,
            num_gpus=self._gpu_share,
            max_concurrency=_CALLS_AT_ONCE,
            scheduling_strategy=strategy,
        )
        self.actor = actor.remote()
        self.loading = self.actor.load.remote(self._make_explainer, str(Path.cwd()))

    def wait_until_loaded(self) -> WorkerReport:
        """Wait for the network.

        Raises:
            ClusterError: if the worker has another version, no network, or other disks.
        """
        with map_errors(self._ray.exceptions.RayError, to=_describe_loss):
            report: WorkerReport = self._ray.get(self.loading)
        if report.version != streamcam.__version__:
            raise ClusterError(
                f"the worker on {report.host} has streamcam {report.version}, and {streamcam.__version__} "
                "runs here; install the same on all machines"
            )
        if report.error is not None:
            raise ClusterError(f"the worker on {report.host} cannot be used: {report.error}")
        return report

    def close(self) -> None:
        """End the worker. May be called again."""
        if self.actor is not None:
            # It may be lost already, or never have begun.
            self._ray.wait([self.actor.end_video.remote()], timeout=FAREWELL_S)
            self._ray.kill(self.actor)
        self.actor = None


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


def _describe_loss(error: Exception) -> ClusterError:
    return ClusterError(f"a worker cannot be started: {first_line(error)}")
