"""Who renders the files of a render of many: this process, or workers elsewhere."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from streamcam.errors import InvalidArgumentError
from streamcam.pipeline.jobs import RenderJob
from streamcam.pipeline.render import plan_render
from streamcam.pipeline.results import Progress, RenderResult
from streamcam.pipeline.resume import ResumeState
from streamcam.pipeline.settings import RenderSettings

if TYPE_CHECKING:
    from streamcam.pipeline.explainers import NetworkExplainer
    from streamcam.pipeline.parts.explainer import PartedExplainer
    from streamcam.pipeline.render import RenderPlan
    from streamcam.pipeline.stream import ExplainedStream

AUTO_JOBS = 1
"""How many files are rendered beside each other by default: the stages of one keep the cores of a processor
busy."""


class FileRenderer(Protocol):
    """Renders one file after the other, in one thread."""

    def render(
        self,
        job: RenderJob,
        settings: RenderSettings,
        *,
        on_progress: Callable[[Progress], None],
        on_resume: Callable[[ResumeState], None],
    ) -> RenderResult:
        """Render a file.

        Args:
            job: The file.
            settings: How it is rendered; they name the files beside its output.
            on_progress: Called now and then, or after every frame.
            on_resume: Called once with the work of an earlier run, where there is some.

        Raises:
            StreamcamError: if it cannot be rendered.
        """

    def stop(self) -> None:
        """End the render that is running early and in order, as well as those that follow; never blocks."""


class LongFileRenderer(FileRenderer, Protocol):
    """Renders one long file after the other, each by all workers together."""

    def takes(self, job: RenderJob) -> bool:
        """Return whether a file is long enough."""


NumberedJob = tuple[int, RenderJob]
"""A file, and its place among all, from 0."""


@dataclasses.dataclass(frozen=True, slots=True)
class RendererPool:
    """The renderers of files beside each other."""

    renderers: Sequence[FileRenderer]
    identity: Mapping[str, object]
    """All that their explanations depend on besides the images, as plain values."""
    for_long: LongFileRenderer | None = None
    """Renders long files before the others; None where all take one renderer each."""

    def divide(self, jobs: Sequence[RenderJob]) -> tuple[list[NumberedJob], list[NumberedJob]]:
        """Divide files into the long ones, which are rendered one after the other, and all others.

        A file that is larger than each renderer's share of all would be the last one to be finished.
        """
        numbered = list(enumerate(jobs))
        if self.for_long is None:
            return [], numbered
        sizes = [_bytes_of(job) for job in jobs]
        share = sum(sizes) / len(self.renderers)
        long = [(place, job) for place, job in numbered if sizes[place] > share and self.for_long.takes(job)]
        places = {place for place, _ in long}
        return long, [one for one in numbered if one[0] not in places]


class Cluster(Protocol):
    """Machines that render files, or explain parts of one; `streamcam.cluster.RayCluster` is one."""

    def open(
        self, make_explainer: Callable[[], NetworkExplainer], jobs: int | Literal["auto"]
    ) -> AbstractContextManager[RendererPool]:
        """Start workers, each with an explainer of its own.

        Args:
            make_explainer: Called in each worker.
            jobs: How many workers there are.

        Raises:
            StreamcamError: if they cannot be started.
        """

    def open_parts(
        self, plan: RenderPlan, make_explainer: Callable[[], NetworkExplainer]
    ) -> AbstractContextManager[PartedExplainer]:
        """Start workers that explain the parts of one file.

        Args:
            plan: The render of the file.
            make_explainer: Called in each worker.

        Raises:
            StreamcamError: if they cannot be started.
        """


class RunningRender:
    """The render that a renderer works at, which another thread may stop; those that begin later end at once.

    Attributes:
        is_stopped: Whether `stop` was called.
    """

    def __init__(self) -> None:
        self.is_stopped = False
        self._stream: ExplainedStream | None = None

    @contextlib.contextmanager
    def starting(self) -> Iterator[Callable[[ExplainedStream], None]]:
        """Yield what `RenderPlan.run` calls as its frames begin to come."""
        try:
            yield self._start
        finally:
            self._stream = None

    def stop(self) -> None:
        """End the render early and in order."""
        self.is_stopped = True
        stream = self._stream  # it may end meanwhile
        if stream is not None:
            stream.stop()

    def _start(self, stream: ExplainedStream) -> None:
        self._stream = stream
        if self.is_stopped:  # a moment ago
            stream.stop()


class LocalRenderer:
    """Renders files in this process."""

    def __init__(self, explainer: NetworkExplainer) -> None:
        """Take an explainer that nobody else uses in another thread."""
        self._explainer = explainer
        self._running = RunningRender()

    def render(
        self,
        job: RenderJob,
        settings: RenderSettings,
        *,
        on_progress: Callable[[Progress], None],
        on_resume: Callable[[ResumeState], None],
    ) -> RenderResult:
        """As in `FileRenderer`."""
        with self._running.starting() as start, plan_render(job.source, job.output, settings) as plan:
            return plan.run(self._explainer, on_progress=on_progress, on_start=start, on_resume=on_resume)

    def stop(self) -> None:
        """As in `FileRenderer`."""
        self._running.stop()


def local_renderers(explainer: NetworkExplainer, jobs: int | Literal["auto"]) -> RendererPool:
    """Return renderers in this process, which take turns with one network.

    Args:
        explainer: Computes the maps.
        jobs: How many there are; ``"auto"`` for `AUTO_JOBS`.

    Raises:
        InvalidArgumentError: if that is less than 1.
    """
    check_jobs(jobs)
    count = AUTO_JOBS if jobs == "auto" else jobs
    explainers = [explainer, *(explainer.beside() for _ in range(1, count))]
    return RendererPool([LocalRenderer(each) for each in explainers], explainer.identity())


def _bytes_of(job: RenderJob) -> int:
    """Return the size of a file of this machine; 0 of anything else."""
    try:
        return 0 if isinstance(job.source, int) else Path(job.source).stat().st_size
    except (OSError, ValueError):
        return 0


def check_jobs(jobs: int | Literal["auto"]) -> None:
    """Check how many files are to be rendered beside each other.

    Raises:
        InvalidArgumentError: if it is less than 1.
    """
    if jobs != "auto" and jobs < 1:
        raise InvalidArgumentError(f"`jobs` is a whole number from 1 up, or 'auto', not {jobs}")
