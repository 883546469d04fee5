"""The worker on each machine of a cluster: a network, and the renders of one file after the other."""

from __future__ import annotations

import dataclasses
import os
import socket
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import streamcam
from streamcam.errors import ClusterError, StreamcamError
from streamcam.pipeline.file_renderers import LocalRenderer
from streamcam.pipeline.jobs import RenderJob
from streamcam.pipeline.results import Progress, RenderResult
from streamcam.pipeline.resume import ResumeState
from streamcam.pipeline.settings import RenderSettings

if TYPE_CHECKING:
    from streamcam.explain import Explainer


def build_explainer(model: Mapping[str, Any], explainer: Mapping[str, Any]) -> Explainer:
    """Load a network, and make an explainer of it.

    Args:
        model: Arguments of `streamcam.load_model`.
        explainer: Those of `streamcam.Explainer` besides the model.

    Raises:
        StreamcamError: one of its children, if this cannot be done.
    """
    from streamcam.explain import Explainer
    from streamcam.models import load_model

    return Explainer(load_model(**model, any_shape=explainer.get("fit") == "full"), **explainer)


@dataclasses.dataclass(frozen=True, slots=True)
class WorkerReport:
    """A worker that has loaded its network, or has failed to."""

    host: str
    version: str
    """The version of streamcam there."""
    identity: Mapping[str, object] = dataclasses.field(default_factory=dict)
    """As `streamcam.Explainer.identity` returns it."""
    error: StreamcamError | None = None
    """Why there is no network."""


class RenderWorker:
    """Renders files in a process of its own; `progress` and `stop` are called while it does."""

    def __init__(self) -> None:
        self._renderer: LocalRenderer | None = None
        self._progress: Progress | None = None
        self._resumed: ResumeState | None = None

    def load(self, make_explainer: Callable[[], Explainer], directory: str) -> WorkerReport:
        """Load the network.

        Args:
            make_explainer: Loads it.
            directory: Relative names start there, on all machines.
        """
        host, version = socket.gethostname(), streamcam.__version__
        try:
            _enter(directory)
            explainer = make_explainer()
        except StreamcamError as error:
            return WorkerReport(host, version, error=error)
        self._renderer = LocalRenderer(explainer)
        return WorkerReport(host, version, explainer.identity())

    def render(
        self, job: RenderJob, settings: RenderSettings
    ) -> tuple[RenderResult | None, StreamcamError | None]:
        """Render a file; return the outcome, or why there is none."""
        assert self._renderer is not None
        self._progress = self._resumed = None
        try:
            result = self._renderer.render(
                job, settings, on_progress=self._note_progress, on_resume=self._note_resumption
            )
        except StreamcamError as error:
            return None, error
        return result, None

    def progress(self) -> tuple[Progress | None, ResumeState | None]:
        """Return how far the render is, and what was there before it; None where it is not known yet."""
        return self._progress, self._resumed

    def stop(self) -> None:
        """End the render early and in order."""
        if self._renderer is not None:
            self._renderer.stop()

    def _note_progress(self, progress: Progress) -> None:
        self._progress = progress

    def _note_resumption(self, kept: ResumeState) -> None:
        self._resumed = kept


def _enter(directory: str) -> None:
    """Make relative names start at a directory.

    Raises:
        ClusterError: if it is not there.
    """
    try:
        os.chdir(directory)
    except OSError as error:
        raise ClusterError(f"it does not see the disk {directory!r}: {error.strerror}") from error
