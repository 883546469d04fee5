"""The worker on each machine of a cluster: a network, which renders files or explains parts of one."""

from __future__ import annotations

import dataclasses
import os
import socket
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import streamcam
from streamcam.cluster.memory import peak_bytes
from streamcam.errors import ClusterError, StreamcamError
from streamcam.media.stores import is_stored
from streamcam.pipeline.evidence_explainer import KeptModel
from streamcam.pipeline.file_renderers import LocalRenderer
from streamcam.pipeline.jobs import RenderJob
from streamcam.pipeline.parts.explainer import NetworkReport, PartTask
from streamcam.pipeline.parts.plan import PartedVideo
from streamcam.pipeline.parts.worker import ExplainedBatch, ExplainedPart, explain_first_batch, explain_part
from streamcam.pipeline.results import Progress, RenderResult
from streamcam.pipeline.resume import ResumeState
from streamcam.pipeline.settings import RenderSettings
from streamcam.sources import Source, open_source
from streamcam.temporal import Relevance

if TYPE_CHECKING:
    from streamcam.pipeline.explainers import NetworkExplainer


def build_explainer(model: Mapping[str, Any], explainer: Mapping[str, Any]) -> NetworkExplainer:
    """Load what explains frames on one machine: a network, or what was compiled of it.

    Args:
        model: Arguments of `streamcam.load_model`.
        explainer: Those of `streamcam.Explainer` besides the model.

    Raises:
        StreamcamError: one of its children, if this cannot be done.
    """
    from streamcam.explain.compiled.loading import load_explainer

    return load_explainer(model, explainer)


@dataclasses.dataclass(frozen=True, slots=True)
class WorkerReport:
    """A worker that has loaded its network, or has failed to."""

    host: str
    version: str
    """The version of streamcam there."""
    identity: Mapping[str, object] = dataclasses.field(default_factory=dict)
    """As `streamcam.Explainer.identity` returns it."""
    memory: int = 0
    """How much memory its process took to load it, in bytes; 0 where that is not known."""
    error: StreamcamError | None = None
    """Why there is no network."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class PartReport:
    """A worker that is ready to explain parts of a video, or cannot."""

    network: NetworkReport | None = None
    first: ExplainedBatch | None = None
    """The video's first batch."""
    error: StreamcamError | None = None


class RenderWorker:
    """Renders files, or explains parts of one, in a process of its own.

    `progress`, `count_frames`, `stop` and `end_video` are called meanwhile, and `explain_part` for a second
    part.
    """

    def __init__(self) -> None:
        self._renderer: LocalRenderer | None = None
        self._progress: Progress | None = None
        self._resumed: ResumeState | None = None
        self._explainer: NetworkExplainer | None = None
        self._beside: NetworkExplainer | None = None
        self._video: PartedVideo | None = None
        self._copied: Source | None = None
        self._frames = 0
        self._is_ended = False

    def load(self, make_explainer: Callable[[], NetworkExplainer], directory: str) -> WorkerReport:
        """Load the network.

        Args:
            make_explainer: Loads it.
            directory: Relative names start there, on all machines.
        """
        host, version = socket.gethostname(), streamcam.__version__
        try:
            enter(directory)
            explainer = make_explainer()
        except StreamcamError as error:
            return WorkerReport(host, version, error=error)
        self._explainer, self._renderer = explainer, LocalRenderer(explainer)
        return WorkerReport(host, version, explainer.identity(), peak_bytes())

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

    def begin_video(self, video: PartedVideo) -> PartReport:
        """Explain the first batch of a video whose parts are to be explained."""
        assert self._explainer is not None
        self._is_ended = False
        try:
            self._video, self._copied = copy_here(video)
            first = explain_first_batch(self._video, self._explainer)
        except StreamcamError as error:
            return PartReport(error=error)
        self._beside = self._explainer.beside()
        return PartReport(_describe(self._explainer), first)

    def explain_part(self, task: PartTask) -> tuple[ExplainedPart | None, StreamcamError | None]:
        """Explain a part of the video; one that others wait for is explained beside one that they do not."""
        assert self._video is not None
        assert self._explainer is not None
        explainer = self._explainer if task.state is None else self._beside
        assert explainer is not None
        try:
            part = explain_part(
                self._video, task.part, explainer, task.state, self._note_frame, lambda: self._is_ended
            )
        except StreamcamError as error:
            return None, error
        return part, None

    def end_video(self) -> None:
        """End the parts of the video in their middle, and remove what was copied of it."""
        self._is_ended = True
        if self._copied is not None:
            self._copied.close()

    def count_frames(self) -> int:
        """Return how many frames were explained so far."""
        return self._frames

    def progress(self) -> tuple[Progress | None, ResumeState | None]:
        """Return how far the render is, and what was there before it; None where it is not known yet."""
        return self._progress, self._resumed

    def stop(self) -> None:
        """End the render early and in order."""
        if self._renderer is not None:
            self._renderer.stop()

    def _note_frame(self, _index: int) -> None:
        self._frames += 1

    def _note_progress(self, progress: Progress) -> None:
        self._progress = progress

    def _note_resumption(self, kept: ResumeState) -> None:
        self._resumed = kept


def _describe(explainer: NetworkExplainer) -> NetworkReport:
    model, targets = explainer.model, getattr(explainer, "targets", None)
    relevance = Relevance()
    if targets is not None:
        ranks = frozenset(target.rank for target in targets if target.rank is not None)
        relevance = Relevance(ranks, any(target.number is not None for target in targets))
    return NetworkReport(
        explainer.identity(),
        explainer.batch_size,
        explainer.clip_s,
        KeptModel(model.name, model.weights, tuple(model.labels), model.may_find_objects, model.clip_length),
        explainer.describe(),
        relevance,
    )


def copy_here(video: PartedVideo) -> tuple[PartedVideo, Source | None]:
    """Copy a video out of a store; return where it is, and the source that keeps the copy until it is closed.

    Raises:
        StreamcamError: if it cannot be copied.
    """
    if not is_stored(video.location):
        return video, None
    copied = open_source(video.location, video.source)
    return dataclasses.replace(video, location=copied.info.path or video.location), copied


def enter(directory: str) -> None:
    """Make relative names start at a directory.

    Raises:
        ClusterError: if it is not there.
    """
    try:
        os.chdir(directory)
    except OSError as error:
        raise ClusterError(f"it does not see the disk {directory!r}: {error.strerror}") from error
