"""Renders of many files: the network is loaded once, a file that fails costs itself only."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, cast

import streamcam
from streamcam.errors import CancelledError, SinkError, StreamcamError
from streamcam.localization import Localizer
from streamcam.media.stores import local_path
from streamcam.overlay import Overlay
from streamcam.pipeline.file_renderers import (
    Cluster,
    FileRenderer,
    NumberedJob,
    RendererPool,
    local_renderers,
)
from streamcam.pipeline.identity import flatten, identify_location
from streamcam.pipeline.jobs import (
    OutputsBeside,
    RenderJob,
    base_directory,
    list_jobs,
    make_directories,
    refuse_existing,
)
from streamcam.pipeline.manifest import Manifest, ManifestEntry, read_manifest
from streamcam.pipeline.many_results import DONE, INTERRUPTED, KEPT, JobResult, RenderManyResult, status_of
from streamcam.pipeline.output_locations import OutputLocation, inside, is_there, relative_name, suffix_of
from streamcam.pipeline.results import Progress, RenderResult
from streamcam.pipeline.resume import ResumeState
from streamcam.pipeline.settings import RenderSettings
from streamcam.pipeline.workers import Worker
from streamcam.sinks import output_size
from streamcam.sources import Location
from streamcam.temporal import Stabilizer

if TYPE_CHECKING:
    from streamcam.pipeline.explainers import NetworkExplainer

_log = logging.getLogger("streamcam.pipeline")

Report = TypeVar("Report")


def render_many(
    sources: Sequence[Location],
    output: str | Path,
    explainer: NetworkExplainer | Callable[[], NetworkExplainer],
    *,
    settings: RenderSettings | None = None,
    cluster: Cluster | None = None,
    jobs: int | Literal["auto"] = "auto",
    on_progress: Callable[[RenderJob, Progress], None] | None = None,
    on_job: Callable[[int, RenderJob], None] | None = None,
    on_result: Callable[[JobResult], None] | None = None,
) -> RenderManyResult:
    """Render many files with one network.

    A file that fails is reported, and the others go on. A second run does only what is missing, failed or
    has changed.

    Args:
        sources: Files, URLs, numbered images, folders and patterns such as ``videos/*.mp4``.
        output: A folder, or a name with fields in braces, as in ``out/{stem}-heat.mp4``; also the URL of
            either in a store, as ``s3://bucket/out/``; see `list_jobs`.
        explainer: Computes the maps; with a cluster a function that makes one, called on each worker.
        settings: How the files are rendered; `sidecar`, `evidence` and `masks` are folders or names with
            fields, too, and `annotations` names with fields, as ``labels/{stem}.json``.
        cluster: Renders the files on other machines, from and to disks that all of them share; as in
            ``streamcam.RayCluster("auto")``.
        jobs: How many files are rendered beside each other; their outputs are the same in any case. They
            take turns with the network. ``"auto"`` is one here, and one for each machine or GPU of a
            cluster.
        on_progress: Called after every frame with the file that it is of.
        on_job: Called before each render, with its place among the inputs, from 0.
        on_result: Called with what became of each input, as they are finished. No two of these functions are
            called at once.

    Raises:
        StreamcamError: one of its children, if an input cannot be found, outputs would replace something, or
            the settings cannot be used; nothing was rendered then.
    """
    with plan_many(sources, output, settings) as plan:
        reports: dict[str, Any] = {"on_progress": on_progress, "on_job": on_job, "on_result": on_result}
        if cluster is None:
            return plan.run(cast("NetworkExplainer", explainer), jobs=jobs, **reports)
        with cluster.open(cast("Callable[[], NetworkExplainer]", explainer), jobs) as pool:
            return plan.run_with(pool, **reports)


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
    output = local_path(output)
    beside = OutputsBeside(
        local_path(settings.sidecar),
        local_path(settings.evidence),
        local_path(settings.masks),
        tuple(map(local_path, settings.annotations)),
    )
    # They look at their settings; a mistake there is none of a single file.
    Stabilizer(settings.temporal)
    Overlay(settings.overlay)
    Localizer(settings.localization)
    directory = base_directory(output)
    earlier = [inside(directory, entry.output) for entry in read_manifest(directory)]
    jobs = list_jobs(sources, output, beside, left_out=earlier)
    refuse_existing(jobs, earlier, overwrite=settings.overwrite)
    make_directories(jobs)
    return ManyPlan(jobs, settings, Manifest(directory))


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
        self._renderers: Sequence[FileRenderer] = ()
        self._lock = threading.RLock()
        self._is_stopped = False

    def __repr__(self) -> str:
        return f"<ManyPlan of {len(self.jobs)} files, {str(self._manifest.location)!r}>"

    def stop(self) -> None:
        """End the render that is running early and in order, and begin no other; never blocks."""
        self._is_stopped = True
        for renderer in self._renderers:
            renderer.stop()

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
        jobs: int | Literal["auto"] = "auto",
        on_progress: Callable[[RenderJob, Progress], None] | None = None,
        on_job: Callable[[int, RenderJob], None] | None = None,
        on_result: Callable[[JobResult], None] | None = None,
        on_resume: Callable[[RenderJob, ResumeState], None] | None = None,
    ) -> RenderManyResult:
        """Render what is missing, failed or has changed since an earlier run.

        Args:
            explainer: Computes the maps.
            jobs: As for `render_many`.
            on_progress: As for `render_many`.
            on_job: As for `render_many`.
            on_result: As for `render_many`.
            on_resume: Called with the work of an earlier run on an input, where there is some.

        Raises:
            SinkError: if the manifest cannot be written.
        """
        return self.run_with(
            local_renderers(explainer, jobs),
            on_progress=on_progress,
            on_job=on_job,
            on_result=on_result,
            on_resume=on_resume,
        )

    def run_with(
        self,
        pool: RendererPool,
        *,
        on_progress: Callable[[RenderJob, Progress], None] | None = None,
        on_job: Callable[[int, RenderJob], None] | None = None,
        on_result: Callable[[JobResult], None] | None = None,
        on_resume: Callable[[RenderJob, ResumeState], None] | None = None,
    ) -> RenderManyResult:
        """Render as `run` does, wherever the renderers are.

        Args:
            pool: The renderers.
            on_progress: As for `run`, like the others.
            on_job: As there.
            on_result: As there.
            on_resume: As there.

        Raises:
            SinkError: if the manifest cannot be written.
        """
        began_s = time.monotonic()
        results: dict[int, JobResult] = {}
        long, others = pool.divide(self.jobs)
        identity = {**pool.identity, "streamcam": streamcam.__version__}
        failures: list[BaseException] = []
        self._renderers = [*pool.renderers, *([] if pool.for_long is None else [pool.for_long])]
        if self._is_stopped:
            self.stop()

        def work(own: FileRenderer, waiting: Iterator[NumberedJob]) -> None:
            """Render one file after the other."""
            while True:
                with self._lock:
                    index, job = next(waiting, (-1, None))
                    if job is None or self._is_stopped:
                        return
                    key = self._key(job, identity)
                    result = self._kept(job, key)
                    if result is None and on_job is not None:
                        on_job(index, job)
                if result is None:
                    result = self._render(job, key, own, on_progress, on_resume)
                with self._lock:
                    results[index] = result
                    if on_result is not None:
                        on_result(result)

        def fail(error: BaseException) -> None:
            failures.append(error)
            self.stop()

        waiting = iter(others)
        first, *more = pool.renderers[: len(self.jobs)]
        workers = [
            Worker(f"job-{number}", functools.partial(work, renderer, waiting), on_error=fail)
            for number, renderer in enumerate(more, 1)
        ]
        try:
            if pool.for_long is not None:
                work(pool.for_long, iter(long))
            for worker in workers:
                worker.start()
            work(first, waiting)
        except BaseException:
            self.stop()
            raise
        finally:
            for worker in workers:
                worker.join()
        if failures:
            raise failures[0]
        ordered = tuple(results[index] for index in sorted(results))
        is_whole = len(ordered) == len(self.jobs) and all(one.status != INTERRUPTED for one in ordered)
        return RenderManyResult(
            ordered,
            self._manifest.location,
            time.monotonic() - began_s,
            interrupted=self._is_stopped and not is_whole,
        )

    def _render(
        self,
        job: RenderJob,
        key: str | None,
        renderer: FileRenderer,
        on_progress: Callable[[RenderJob, Progress], None] | None,
        on_resume: Callable[[RenderJob, ResumeState], None] | None,
    ) -> JobResult:
        entry = ManifestEntry(str(job.source), self._name(job), "started")
        with self._lock:
            is_ours = entry.output in self._manifest.entries
            self._manifest.record(entry)
        settings = dataclasses.replace(
            self.settings,
            sidecar=job.sidecar,
            evidence=job.evidence,
            masks=job.masks,
            annotations=job.annotations,
            overwrite=self.settings.overwrite or is_ours,
        )
        began_s = time.monotonic()
        result: RenderResult | None = None
        error: StreamcamError | None = None
        try:
            result = renderer.render(
                job,
                settings,
                on_progress=self._in_turn(on_progress, job),
                on_resume=self._in_turn(on_resume, job),
            )
        except CancelledError:
            pass  # stopped before its first frame
        except StreamcamError as failure:
            error = failure
        finished = JobResult(
            job,
            status_of(result, error),
            frames=0 if result is None else result.frames,
            elapsed_s=time.monotonic() - began_s,
            result=result,
            error=error,
        )
        _log.debug("%s: %s", job.source, finished.status)
        with self._lock:
            self._manifest.record(
                dataclasses.replace(
                    entry,
                    status=finished.status,
                    frames=finished.frames,
                    seconds=round(finished.elapsed_s, 3),
                    messages=finished.messages,
                    key=key,
                    bytes=_size_of(job.output) if finished.frames else 0,
                )
            )
        return finished

    def _in_turn(
        self, report: Callable[[RenderJob, Report], None] | None, job: RenderJob
    ) -> Callable[[Report], None]:
        """Return a function that reports on one file while no other is reported on."""

        def call(what: Report) -> None:
            if report is not None:
                with self._lock:
                    report(job, what)

        return call

    def _kept(self, job: RenderJob, key: str | None) -> JobResult | None:
        """Return the result for an input whose output is up to date; None for others."""
        entry = self._manifest.entries.get(self._name(job))
        if entry is None or entry.status != DONE or key is None or entry.key != key:
            return None
        try:
            is_whole = output_size(job.output) == entry.bytes and all(map(is_there, job.outputs[1:]))
        except (OSError, SinkError):
            return None
        if not is_whole:
            return None
        return JobResult(job, KEPT, frames=entry.frames)

    def _name(self, job: RenderJob) -> str:
        """Return the name of an output in the manifest: it holds in whichever directory one is."""
        return relative_name(job.output, self._manifest.directory)

    def _key(self, job: RenderJob, identity: Mapping[str, object]) -> str | None:
        """Hash all that an output depends on; None for inputs that cannot be recognized."""
        beside = {
            "sidecar": job.sidecar is not None,
            "evidence": job.evidence is not None,
            "masks": None if job.masks is None else suffix_of(job.masks),
            "annotations": sorted(map(suffix_of, job.annotations)),
        }
        settings = {**self.settings.of_images(), **beside}
        source = identify_location(job.source)
        if source is None:
            return None
        described = {**source, **identity, **flatten(settings)}
        return hashlib.sha256(repr(sorted(described.items())).encode()).hexdigest()[:32]


def _size_of(output: OutputLocation) -> int:
    """Return the size of an output; 0, so that it is made again, where its store does not tell."""
    try:
        return output_size(output)
    except SinkError:
        return 0
