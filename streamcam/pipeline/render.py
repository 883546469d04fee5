"""Renders: every frame of a file explained, overlaid and written to another."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast

from streamcam.errors import InvalidArgumentError, SourceError
from streamcam.explanations import RenderedFrame, StabilizedFrame
from streamcam.frames import SourceReport
from streamcam.localization import Localizer
from streamcam.media.stores import is_stored
from streamcam.milestones import reach
from streamcam.overlay import Overlay, PaneOverlay
from streamcam.panes import Comparison
from streamcam.pipeline.channel import ChannelClosedError
from streamcam.pipeline.evidence_explainer import EvidenceExplainer
from streamcam.pipeline.identification import identify_evidence, models_of
from streamcam.pipeline.learning import let_learn
from streamcam.pipeline.outputs import check_boxes, check_comparison, check_moving, open_outputs
from streamcam.pipeline.results import Progress, RenderResult
from streamcam.pipeline.resume import ResumeState, Resumption
from streamcam.pipeline.settings import RenderSettings
from streamcam.pipeline.stopwatch import Stopwatch
from streamcam.pipeline.stream import ExplainedStream, stream
from streamcam.pipeline.uploads import Uploads
from streamcam.pipeline.workers import prefetch
from streamcam.pipeline.writing import Written, write_all
from streamcam.sinks import (
    EvidenceSink,
    PaneSink,
    SegmentEncoder,
    Sink,
    VideoSink,
    output_path,
    shows_images,
)
from streamcam.sources import Location, Source, SourceSettings, StopFlag, open_source
from streamcam.temporal import PaneStabilizer, Stabilizer, stabilize

if TYPE_CHECKING:
    from streamcam.pipeline.explainers import AnyExplainer, LoneExplainer, NetworkExplainer
    from streamcam.pipeline.file_renderers import Cluster

_WAITING_IMAGES = 4
"""Encoders take images in unequal times; drawing goes on meanwhile."""


def render(
    source: Location | Source,
    output: str | Path,
    explainer: NetworkExplainer | Callable[[], NetworkExplainer],
    *,
    settings: RenderSettings | None = None,
    cluster: Cluster | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_start: Callable[[ExplainedStream], None] | None = None,
    on_resume: Callable[[ResumeState], None] | None = None,
) -> RenderResult:
    """Explain every frame of a video or image, and write it with heat and labels on top.

    Args:
        source: The file to read.
        output: The file to make; its suffix chooses the kind. It appears when it is complete.
        explainer: Computes the maps; with a cluster a function that makes one, called on each worker.
        settings: How the file is rendered; the defaults if None.
        cluster: Explains parts of the video on other machines, from a disk that all share, as in
            ``streamcam.RayCluster("auto")``; with `resume=True` in the settings they draw and encode them,
            too. The output is the same.
        on_progress: Called after every frame.
        on_start: Called once with the running stream, whose ``stop`` ends the render early and in order.
        on_resume: Called once with the work of an earlier run, where there is some.

    Raises:
        StreamcamError: one of its children, if the input cannot be read or the output cannot be written;
            nothing unfinished is left behind then. InvalidArgumentError also if what is to be resumed was
            made with other settings.
    """
    with contextlib.ExitStack() as stack:
        plan = stack.enter_context(plan_render(source, output, settings))
        chosen: AnyExplainer
        if cluster is None:
            chosen = cast("NetworkExplainer", explainer)
        else:
            make_explainer = cast("Callable[[], NetworkExplainer]", explainer)
            chosen = stack.enter_context(cluster.open_parts(plan, make_explainer))
        return plan.run(chosen, on_progress=on_progress, on_start=on_start, on_resume=on_resume)


def plan_render(
    source: Location | Source,
    output: str | Path,
    settings: RenderSettings | None = None,
    comparison: Comparison | None = None,
) -> RenderPlan:
    """Open the input and the outputs of a render, and check every setting, before a network is loaded.

    Args:
        source: The file to read, or a source that nobody has read from yet.
        output: The file to make; its suffix chooses the kind.
        settings: How the file is rendered; the defaults if None.
        comparison: What is compared, if each image has several panes.

    Returns:
        A plan to be run once, or closed.

    Raises:
        StreamcamError: one of its children, if the input cannot be read, an output cannot be written, or a
            setting cannot be used; nothing is left behind then.
    """
    began_s = time.monotonic()
    settings = settings or RenderSettings()
    with contextlib.ExitStack() as undo:
        location = None if isinstance(source, Source) else source
        uploads = Uploads(output)
        undo.callback(uploads.close)
        if not isinstance(source, Source):
            source = open_source(source, settings.source)
        elif settings.source != SourceSettings():
            raise InvalidArgumentError("an open source takes no `settings`; pass them to open_source")
        undo.callback(source.close)
        info = source.info
        if source.is_live:
            raise InvalidArgumentError(
                f"{info.name!r} is live and has no end: use streamcam live, not render"
            )
        destination = output
        output, settings = uploads.place_all(output, settings)
        # All look at their settings before anything is made.
        stabilizer: Stabilizer | PaneStabilizer = Stabilizer(settings.temporal)
        overlay: Overlay | PaneOverlay = Overlay(settings.overlay)
        if comparison is not None:
            check_comparison(Path(output), settings)
            overlay = PaneOverlay(comparison.grid(), settings.overlay)
            stabilizer = PaneStabilizer.of_comparison(comparison, settings.temporal)
        localizer = Localizer(settings.localization, info)
        width, height = overlay.measure(info.width, info.height)
        drawn = dataclasses.replace(info, width=width, height=height)
        panes = [] if comparison is None else comparison.file_names()
        sinks = open_outputs(output, settings, info, drawn, undo, panes)
        reach("input and outputs are open")
        return RenderPlan(
            source,
            path := output_path(output),
            settings,
            stabilizer,
            localizer,
            overlay,
            sinks,
            undo.pop_all(),
            uploads=uploads,
            destination=destination if is_stored(destination) else path,
            location=location,
            began_s=began_s,
        )


class RenderPlan:
    """A render that is ready to run: input and outputs are open, every setting is checked.

    Use it as a context manager. One that is not run leaves nothing behind.

    Attributes:
        info: The description of the input.
        location: Where it is opened; None if it was open already.
        output: The file to make; for one in a store where it is made at first.
        settings: How it is rendered.
    """

    def __init__(
        self,
        source: Source,
        output: Path,
        settings: RenderSettings,
        stabilizer: Stabilizer | PaneStabilizer,
        localizer: Localizer,
        overlay: Overlay | PaneOverlay,
        sinks: Sequence[Sink],
        resources: contextlib.ExitStack,
        *,
        uploads: Uploads,
        destination: Path | str,
        location: Location | None,
        began_s: float,
    ) -> None:
        """Take over what `plan_render` opened."""
        self.info = source.info
        self.location = location
        self.settings = settings
        self._source = source
        self.output = output
        self._uploads = uploads
        self._destination = destination
        self._stabilizer = stabilizer
        self._localizer = localizer
        self._overlay = overlay
        self._sinks = list(sinks)
        self._resources = resources
        self._opening_s = time.monotonic() - began_s
        self._is_used = False
        self._encoder: SegmentEncoder | None = None
        self._explained: ExplainedStream | None = None

    def __repr__(self) -> str:
        return f"<RenderPlan of {self.info.name!r} to {str(self.output)!r}>"

    @property
    def stop_flag(self) -> StopFlag:
        """Raised when the render is to end: the explainer need not go on."""
        return self._source.stop_flag

    @property
    def is_stopping(self) -> bool:
        """Whether somebody asked for its end before the last frame; `stop_flag` is raised by the end, too."""
        return self._explained is not None and self._explained.stop_asked

    @property
    def encoder_opener(self) -> Callable[[Path], VideoSink] | None:
        """A function that opens an encoder for one segment of the video; None if it is made in one piece.

        Videos that can be resumed are made in segments.
        """
        video = self._sinks[0]
        return video.encoder_opener if self.settings.resume and isinstance(video, VideoSink) else None

    def encode_with(self, encoder: SegmentEncoder) -> None:
        """Let the segments of the video be drawn and encoded elsewhere."""
        self._encoder = encoder

    def close(self) -> None:
        """Close the input, and remove what is unfinished. May be called again."""
        self._is_used = True
        self._resources.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(
        self,
        explainer: AnyExplainer,
        *,
        on_progress: Callable[[Progress], None] | None = None,
        on_start: Callable[[ExplainedStream], None] | None = None,
        on_resume: Callable[[ResumeState], None] | None = None,
    ) -> RenderResult:
        """Render; a plan is run once.

        Args:
            explainer: Computes the maps; those of every pane where they are compared.
            on_progress: Called after every frame.
            on_start: Called once with the running stream, whose ``stop`` ends the render early and in order.
            on_resume: Called once with the work of an earlier run, where there is some.

        Raises:
            StreamcamError: as `render` does.
            RuntimeError: if the plan was run or closed before.
        """
        if self._is_used:
            raise RuntimeError("this plan was run or closed already; make another with plan_render")
        # Comparisons keep nothing that only one explainer can tell.
        alone = None if isinstance(self._overlay, PaneOverlay) else cast("LoneExplainer", explainer)
        for model in models_of(explainer):
            if not model.may_find_objects:
                check_boxes(self.output, self.settings, model.name)
            if model.clip_length > 1:
                check_moving(self.info, model.name)
        self._is_used = True
        began_s = time.monotonic() - self._opening_s
        sinks, resumption, carried = self._sinks, None, 0
        with contextlib.ExitStack() as stack:
            stack.callback(self.close)
            if alone is not None and self.settings.resume:
                resumption = stack.enter_context(self._resume(alone))
                carried = resumption.kept.frames
                if carried and on_resume is not None:
                    on_resume(resumption.kept)
                sinks = [resumption.wrap(sinks[0], self._encoder), *sinks[1:]]
                stack.callback(sinks[0].abort)
            shown = str(self._destination) if shows_images(self.output) else None
            identify_evidence(sinks, explainer, self.settings, shown)
            let_learn(explainer, self.info, self.settings.source)
            stages = explainer if resumption is None else resumption.explainer
            # Evidence has been through the tracker already.
            temporal = None if isinstance(explainer, EvidenceExplainer) else self.settings.temporal
            explained = stack.enter_context(stream(self._source, stages, temporal=temporal))
            self._explained = explained
            if on_start is not None:
                on_start(explained)
            for sink in sinks:
                sink.describe(explainer.describe())
            drawing = Stopwatch(), Stopwatch()
            drawn = stack.enter_context(self._draw(explained, *drawing, is_resumable=resumption is not None))
            written = write_all(self.info, drawn, sinks, carried, on_progress)
            # What is finished waits for the rest.
            is_cut = written.is_cut or (resumption is not None and explained.stopped)
            if written.frames and not is_cut:
                try:
                    for sink in sinks:  # evidence is the last
                        kept = sink.sink if isinstance(sink, PaneSink) else sink
                        if isinstance(kept, EvidenceSink):
                            notes = self._notes(explainer, explained.report(), sinks, written)
                            kept.conclude(
                                {
                                    "notes": notes,
                                    "elapsed_s": time.monotonic() - began_s,
                                    "stage_s": _stage_s(explained, drawing, written),
                                }
                            )
                        sink.finish(cut_short=explained.stopped)
                    self._uploads.send()
                except ChannelClosedError:  # it ends while an output waits for what is made elsewhere
                    is_cut = True
            elif not explained.stopped and not is_cut:
                raise SourceError(f"{self.info.name!r} gave no frames")
        report = explained.report()
        interrupted, frames = is_cut or explained.stopped, 0 if is_cut else written.frames
        return RenderResult(
            output=self._destination if frames else self.output,
            frames=frames,
            explained=written.maps.explained if frames else 0,
            elapsed_s=time.monotonic() - began_s,
            video_s=written.video_s,
            interrupted=interrupted,
            source=report,
            notes=self._notes(explainer, report, sinks, written),
            carried=carried if frames else 0,
            stage_s=_stage_s(explained, drawing, written),
            kept=resumption.kept if resumption is not None and interrupted else None,
            empty=written.maps.empty if frames else {},
        )

    def _notes(
        self,
        explainer: AnyExplainer,
        report: SourceReport,
        sinks: Sequence[Sink],
        written: Written,
    ) -> tuple[str, ...]:
        """Return what the user should know of so far."""
        return (
            *explainer.notes,
            *self.info.notes,
            *report.notes,
            *self._overlay.notes,
            *self._localizer.notes,
            *(note for sink in sinks for note in sink.notes),
            *written.maps.notes,
        )

    def _resume(self, explainer: LoneExplainer) -> Resumption:
        if self.info.path is None:
            raise InvalidArgumentError(f"{self.info.name!r} is no file; leave out `resume=True`")
        return Resumption(self.info.path, self.output, explainer, self.settings.of_images())

    def _draw(
        self, explained: ExplainedStream, total: Stopwatch, waiting: Stopwatch, *, is_resumable: bool
    ) -> contextlib.AbstractContextManager[Iterator[RenderedFrame]]:
        """Stabilize and draw in a background thread; note how long that and waiting for frames take."""
        stabilized: Iterable[StabilizedFrame] = stabilize(waiting.items(explained), self._stabilizer)
        if is_resumable:
            # What the stages still hold at a stop is not what it will be when the frames after it are known.
            stabilized = itertools.takewhile(lambda _: not explained.stopped, stabilized)
        located = map(self._localizer.locate, stabilized)
        overlay = self._overlay if shows_images(self.output) and self._encoder is None else None
        rendered = total.items(_render_frame(frame, overlay) for frame in located)
        return prefetch(rendered, maxsize=_WAITING_IMAGES, name="drawer", interrupt=explained.close)


def _render_frame(stabilized: StabilizedFrame, overlay: Overlay | PaneOverlay | None) -> RenderedFrame:
    """Draw a frame, unless no output shows images."""
    frame = stabilized.frame
    image = frame.image if overlay is None else overlay.draw(stabilized)
    return RenderedFrame(image, frame.pts, frame.time_base, stabilized, frame.duration)


def _stage_s(
    explained: ExplainedStream, drawing: tuple[Stopwatch, Stopwatch], written: Written
) -> dict[str, float]:
    """Return how long each stage worked; drawing is what the drawer did besides waiting for frames."""
    total, waiting = drawing
    draw_s = max(0.0, total.elapsed_s - waiting.elapsed_s)
    return {**explained.stage_s, "draw": draw_s, "write": written.writing.elapsed_s}
