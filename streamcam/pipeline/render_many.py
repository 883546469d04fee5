"""Renders of many files: the network is loaded once, a file that fails costs itself only."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import streamcam
from streamcam.errors import InvalidArgumentError, OutputExistsError, StreamcamError
from streamcam.localization import Localizer
from streamcam.overlay import Overlay
from streamcam.pipeline.identity import flatten, identify_file
from streamcam.pipeline.jobs import RenderJob, base_directory, list_jobs, make_directories
from streamcam.pipeline.manifest import Manifest, ManifestEntry, read_manifest
from streamcam.pipeline.render import plan_render
from streamcam.pipeline.results import Progress, RenderResult
from streamcam.pipeline.resume import ResumeState
from streamcam.pipeline.settings import RenderSettings
from streamcam.sinks import output_size
from streamcam.sources import Location
from streamcam.sources.files import is_file
from streamcam.temporal import Stabilizer

if TYPE_CHECKING:
    from streamcam.pipeline.explainers import NetworkExplainer
    from streamcam.pipeline.stream import ExplainedStream

_log = logging.getLogger("streamcam.pipeline")

DONE = "done"
"""Status of an input whose output is whole."""

INTERRUPTED = "interrupted"
"""Status of an input whose render was stopped."""

KEPT = "kept"
"""Status of an input whose output was made by an earlier run from the same file with the same settings."""


@dataclasses.dataclass(frozen=True, slots=True)
class JobResult:
    """The outcome for one input of a render of many."""

    job: RenderJob
    status: str
    """As in the manifest, or ``kept`` where nothing had to be done."""
    frames: int = 0
    """Number of frames in the output."""
    elapsed_s: float = 0.0
    result: RenderResult | None = None
    """The outcome of the render; None where there was none."""
    error: StreamcamError | None = None
    """Why there is no output; None where there is one."""


@dataclasses.dataclass(frozen=True, slots=True)
class RenderManyResult:
    """The outcome of a render of many files."""

    jobs: tuple[JobResult, ...]
    """The outcome for each input, in order; those that were not begun are missing."""
    manifest: Path
    """The file that holds the same."""
    elapsed_s: float
    interrupted: bool
    """Whether it was stopped before the last input."""

    @property
    def complete(self) -> bool:
        """Whether every input has an output that is whole."""
        return not self.interrupted and all(job.status in (DONE, KEPT) for job in self.jobs)


def render_many(
    sources: Sequence[Location],
    output: str | Path,
    explainer: NetworkExplainer,
    *,
    settings: RenderSettings | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_job: Callable[[int, RenderJob], None] | None = None,
    on_result: Callable[[JobResult], None] | None = None,
) -> RenderManyResult:
    """Render many files one after the other with one network.

    A file that fails is reported, and the others go on. A second run does only what is missing, failed or
    has changed.

    Args:
        sources: Files, URLs, numbered images, folders and patterns such as ``videos/*.mp4``.
        output: A folder, or a name with fields in braces, as in ``out/{stem}-heat.mp4``; see `list_jobs`.
        explainer: Computes the maps.
        settings: How the files are rendered; `sidecar` and `evidence` are folders or names with
            fields, too.
        on_progress: Called after every frame.
        on_job: Called before each render, with its place among the inputs, from 0.
        on_result: Called with what became of each input.

    Raises:
        StreamcamError: one of its children, if an input cannot be found, outputs would replace something, or
            the settings cannot be used; nothing was rendered then.
    """
    with plan_many(sources, output, settings) as plan:
        return plan.run(explainer, on_progress=on_progress, on_job=on_job, on_result=on_result)


def plan_many(
    sources: Sequence[Location], output: str | Path, settings: RenderSettings | None = None
) -> ManyPlan:
    """List inputs and outputs, and check them and the settings, before a network is loaded.

    Args:
        sources: As for `render_many`.
        output: As for `render_many`.
        settings: As for `render_many`.

    Raises:
        StreamcamError: as `render_many` does.
    """
    settings = settings or RenderSettings()
    # They look at their settings; a mistake there is none of a single file.
    Stabilizer(settings.temporal)
    Overlay(settings.overlay)
    Localizer(settings.localization)
    directory = base_directory(output)
    earlier = [directory / entry.output for entry in read_manifest(directory)]
    for name, location in settings.locations:
        if name not in ("sidecar", "evidence"):
            raise InvalidArgumentError(
                f"`{name}` {str(location)!r} is for one input; render several one by one for that"
            )
    jobs = list_jobs(sources, output, settings.sidecar, settings.evidence, left_out=earlier)
    _refuse_existing(jobs, earlier, overwrite=settings.overwrite)
    make_directories(jobs)
    return ManyPlan(jobs, settings, Manifest(directory))


def _refuse_existing(jobs: Sequence[RenderJob], earlier: Sequence[Path], *, overwrite: bool) -> None:
    """Refuse to replace what no earlier run has made."""
    if overwrite:
        return
    made = {os.path.normpath(path) for path in earlier}
    existing = [
        path
        for job in jobs
        if os.path.normpath(job.output) not in made
        for path in job.outputs
        if path.exists()
    ]
    if existing:
        others = f" and {len(existing) - 1} others" if len(existing) > 1 else ""
        verb = "exist" if len(existing) > 1 else "exists"
        raise OutputExistsError(
            f"{str(existing[0])!r}{others} {verb} already; give another name, or `overwrite=True`"
        )


class ManyPlan:
    """A render of many files that is ready to run.

    Use it as a context manager.

    Attributes:
        jobs: The inputs and their outputs.
        settings: How they are rendered.
    """

    def __init__(self, jobs: Sequence[RenderJob], settings: RenderSettings, manifest: Manifest) -> None:
        """Take over what `plan_many` opened."""
        self.jobs = tuple(jobs)
        self.settings = settings
        self._manifest = manifest
        self._running: ExplainedStream | None = None
        self._is_stopped = False

    def __repr__(self) -> str:
        return f"<ManyPlan of {len(self.jobs)} files, {str(self._manifest.path)!r}>"

    def stop(self) -> None:
        """End the render that is running early and in order, and begin no other; never blocks."""
        self._is_stopped = True
        running = self._running  # it may end meanwhile
        if running is not None:
            running.stop()

    def close(self) -> None:
        """Close the manifest. May be called again."""
        self._manifest.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._manifest.__exit__(kind, error, trace)

    def run(
        self,
        explainer: NetworkExplainer,
        *,
        on_progress: Callable[[Progress], None] | None = None,
        on_job: Callable[[int, RenderJob], None] | None = None,
        on_result: Callable[[JobResult], None] | None = None,
        on_resume: Callable[[RenderJob, ResumeState], None] | None = None,
    ) -> RenderManyResult:
        """Render what is missing, failed or has changed since an earlier run.

        Args:
            explainer: Computes the maps.
            on_progress: As for `render_many`.
            on_job: As for `render_many`.
            on_result: As for `render_many`.
            on_resume: Called with the work of an earlier run on an input, where there is some.

        Raises:
            SinkError: if the manifest cannot be written.
        """
        began_s = time.monotonic()
        results: list[JobResult] = []
        identity = {**explainer.identity(), "streamcam": streamcam.__version__}
        for index, job in enumerate(self.jobs):
            if self._is_stopped:
                break
            key = self._key(job, identity)
            result = self._kept(job, key)
            if result is None:
                if on_job is not None:
                    on_job(index, job)
                result = self._render(job, key, explainer, on_progress, on_resume)
            results.append(result)
            if on_result is not None:
                on_result(result)
        is_whole = len(results) == len(self.jobs) and results[-1].status != INTERRUPTED
        return RenderManyResult(
            tuple(results),
            self._manifest.path,
            time.monotonic() - began_s,
            interrupted=self._is_stopped and not is_whole,
        )

    def _render(
        self,
        job: RenderJob,
        key: str | None,
        explainer: NetworkExplainer,
        on_progress: Callable[[Progress], None] | None,
        on_resume: Callable[[RenderJob, ResumeState], None] | None,
    ) -> JobResult:
        entry = ManifestEntry(str(job.source), self._name(job), "started")
        is_ours = entry.output in self._manifest.entries
        settings = dataclasses.replace(
            self.settings,
            sidecar=job.sidecar,
            evidence=job.evidence,
            overwrite=self.settings.overwrite or is_ours,
        )
        self._manifest.record(entry)
        began_s = time.monotonic()
        result: RenderResult | None = None
        error: StreamcamError | None = None
        try:
            with plan_render(job.source, job.output, settings) as plan:
                result = plan.run(
                    explainer,
                    on_progress=on_progress,
                    on_start=self._begin,
                    on_resume=None if on_resume is None else lambda kept: on_resume(job, kept),
                )
        except StreamcamError as failure:
            error = failure
        finally:
            self._running = None
        finished = JobResult(
            job,
            _status_of(result),
            frames=0 if result is None else result.frames,
            elapsed_s=time.monotonic() - began_s,
            result=result,
            error=error,
        )
        _log.debug("%s: %s", job.source, finished.status)
        self._manifest.record(
            dataclasses.replace(
                entry,
                status=finished.status,
                frames=finished.frames,
                seconds=round(finished.elapsed_s, 3),
                messages=(str(error),) if result is None else result.notes,
                key=key,
                bytes=output_size(job.output) if finished.frames else 0,
            )
        )
        return finished

    def _begin(self, running: ExplainedStream) -> None:
        self._running = running
        if self._is_stopped:  # a moment ago
            running.stop()

    def _kept(self, job: RenderJob, key: str | None) -> JobResult | None:
        """Return the result for an input whose output is up to date; None for others."""
        entry = self._manifest.entries.get(self._name(job))
        if entry is None or entry.status != DONE or key is None or entry.key != key:
            return None
        try:
            is_whole = output_size(job.output) == entry.bytes
        except OSError:
            return None
        if not is_whole or not all(path.exists() for path in job.outputs[1:]):
            return None
        return JobResult(job, KEPT, frames=entry.frames)

    def _name(self, job: RenderJob) -> str:
        """Return the name of an output in the manifest: it holds in whichever directory one is."""
        return Path(os.path.relpath(job.output, self._manifest.path.parent)).as_posix()

    def _key(self, job: RenderJob, identity: Mapping[str, object]) -> str | None:
        """Hash all that an output depends on; None for inputs that are no files."""
        if isinstance(job.source, int) or not is_file(job.source):
            return None
        beside = {"sidecar": job.sidecar is not None, "evidence": job.evidence is not None}
        settings = {**self.settings.of_images(), **beside}
        try:
            described = {**identify_file(Path(job.source)), **identity, **flatten(settings)}
        except OSError:
            return None
        return hashlib.sha256(repr(sorted(described.items())).encode()).hexdigest()[:32]


def _status_of(result: RenderResult | None) -> str:
    if result is None:
        return "failed"
    if result.interrupted:
        return INTERRUPTED
    if result.shows_nothing:
        return "empty"
    return DONE if result.complete else "damaged"
