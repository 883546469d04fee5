"""A file in, a file out: every frame explained, overlaid and written."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamcam.errors import InvalidArgumentError, SourceError
from streamcam.explanations import RenderedFrame, StabilizedFrame
from streamcam.frames import SourceInfo, SourceReport
from streamcam.media.encoders import EncoderSettings
from streamcam.overlay import Overlay, OverlaySettings
from streamcam.pipeline.resume import ResumeState, Resumption
from streamcam.pipeline.stream import ExplainedStream, stream
from streamcam.pipeline.workers import prefetch
from streamcam.sinks import Sink, check_output, open_sidecar_sink, open_sink, same_file
from streamcam.sources import SourceSettings, check_input_file
from streamcam.temporal import Stabilizer, TemporalSettings, stabilize

if TYPE_CHECKING:
    from streamcam.explain import Explainer

_WAITING_IMAGES = 4
"""Encoders take images in unequal times; drawing goes on meanwhile."""


@dataclasses.dataclass(frozen=True, slots=True)
class RenderResult:
    """What was rendered."""

    output: Path
    frames: int
    """How many are in the output; 0 where it was stopped before the first, and then no file was made."""
    explained: int
    """How many of them were explained rather than left out."""
    elapsed_s: float
    """Wall-clock seconds from opening the input to the finished file."""
    video_s: float
    """How much of the video was rendered in this run, in its own seconds."""
    interrupted: bool
    """Whether it was stopped before the end; the output holds what was rendered until then, or, where it
    can be resumed, nothing."""
    source: SourceReport
    """What was found while the input was read."""
    notes: tuple[str, ...]
    """What the user should know about the result, a sentence each."""
    carried: int = 0
    """How many frames in the output were explained before, in runs that were interrupted."""
    kept: ResumeState | None = None
    """What lies beside the output for a stopped render to be resumed from."""

    @property
    def fps(self) -> float:
        """Frames that were new in this run, in a second of wall-clock time."""
        return (self.frames - self.carried) / self.elapsed_s if self.elapsed_s else 0.0

    @property
    def complete(self) -> bool:
        """Whether every frame that the input promises is in the output."""
        return not self.interrupted and self.source.whole and not self.frames_lost

    @property
    def frames_lost(self) -> int:
        """How many frames were read to the end and are not in the output; none, unless a stage is wrong."""
        return 0 if self.interrupted else self.source.frames_due - self.frames


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """How far a render has come."""

    info: SourceInfo
    """What the input says of itself."""
    frames: int
    """Frames written so far."""
    video_s: float
    """How much of the video that is, in its own seconds."""
    carried: int = 0
    """How many frames, at the beginning, were explained before."""


def render(
    source: str | Path,
    output: str | Path,
    explainer: Explainer,
    *,
    temporal: TemporalSettings | None = None,
    overlay: OverlaySettings | None = None,
    encoder: EncoderSettings | None = None,
    sidecar: str | Path | None = None,
    reading: SourceSettings | None = None,
    overwrite: bool = False,
    resume: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    on_start: Callable[[ExplainedStream], None] | None = None,
    on_resume: Callable[[ResumeState], None] | None = None,
) -> RenderResult:
    """Turn a video or image into labelled heatmap footage.

    Args:
        source: The file to read.
        output: The file to make; its suffix chooses the kind. It appears when it is complete.
        explainer: Computes the maps.
        temporal: How explanations are made to hold together in time; the defaults if None.
        overlay: How the heat looks.
        encoder: How a video is encoded.
        sidecar: A file for the raw maps, JSON lines.
        reading: How the input is read; the defaults if None.
        overwrite: Whether existing files may be replaced.
        resume: Whether to keep what is finished in a folder beside the output, and to go on from what is
            there. A render that is stopped or fails then leaves the folder and no output.
        on_progress: Called after every frame.
        on_start: Called once with the running stream, whose ``stop`` ends the render early and in order.
        on_resume: Called once with what is there, where there is something to go on from.

    Raises:
        StreamcamError: one of its children, if the input cannot be read or the output cannot be written;
            nothing unfinished is left behind then. InvalidArgumentError also if what is to be resumed was
            begun with other settings.
    """
    began = time.monotonic()
    check_outputs(check_input_file(source), output, sidecar, overwrite=overwrite)
    temporal = temporal or TemporalSettings()
    stabilizer, painter = Stabilizer(temporal), Overlay(overlay)
    encoder, resumption, carried = encoder or EncoderSettings(), None, 0
    with contextlib.ExitStack() as stack:
        if resume:
            look = {"overlay": overlay or OverlaySettings(), "temporal": temporal}
            settings = {**look, "reading": reading or SourceSettings(), "encoder": encoder}
            resumption = stack.enter_context(Resumption(Path(source), Path(output), explainer, settings))
            carried = resumption.kept.frames
            if carried and on_resume is not None:
                on_resume(resumption.kept)
        stages = explainer if resumption is None else resumption.explainer
        explained = stack.enter_context(stream(source, stages, settings=reading, temporal=temporal))
        if on_start is not None:
            on_start(explained)
        sink: Sink
        if resumption is None:
            sink = open_sink(output, explained.info, settings=encoder, overwrite=overwrite)
        else:
            sink = resumption.open_sink(explained.info, encoder)
        stack.callback(sink.abort)
        sinks = [sink]
        if sidecar is not None:
            sinks.append(open_sidecar_sink(Path(sidecar), explained.info))
            stack.callback(sinks[-1].abort)
        for each in sinks:
            each.describe(run_description(explainer))
        stabilized: Iterable[StabilizedFrame] = stabilize(explained, stabilizer)
        if resumption is not None:
            # What the stages still hold at a stop is not what it will be when the frames after it are known.
            stabilized = itertools.takewhile(lambda _: not explained.stopped, stabilized)
        rendered = (_rendered(ready, painter) for ready in stabilized)
        drawn = stack.enter_context(
            prefetch(rendered, maxsize=_WAITING_IMAGES, name="drawer", interrupt=explained.close)
        )
        written = _write_all(explained.info, drawn, sinks, carried, on_progress)
        frames = written.frames
        if resumption is not None and explained.stopped:
            frames = 0  # what is finished waits for the rest
        elif frames:
            for each in sinks:
                each.finish(cut_short=explained.stopped)
        elif not explained.stopped:
            raise SourceError(f"{explained.info.name!r} gave no frames")
    report = explained.report()
    return RenderResult(
        output=Path(output),
        frames=frames,
        explained=written.explained if frames else 0,
        elapsed_s=time.monotonic() - began,
        video_s=written.video_s,
        interrupted=explained.stopped,
        source=report,
        notes=(*explainer.notes, *explained.info.notes, *report.notes, *painter.notes, *sink.notes),
        carried=carried if frames else 0,
        kept=resumption.kept if resumption is not None and explained.stopped else None,
    )


def check_outputs(source: Path, output: str | Path, sidecar: str | Path | None, *, overwrite: bool) -> None:
    """Make sure, before any work, that the files of a render can be made and are different ones.

    Raises:
        OutputExistsError: if one exists, or is the input.
        SinkError: if one cannot be written where it is to lie.
        InvalidArgumentError: if output and sidecar are one file.
    """
    check_output(output, overwrite=overwrite, inputs=(source,))
    if sidecar is None:
        return
    if same_file(Path(sidecar), Path(output)):
        raise InvalidArgumentError(f"the sidecar {str(sidecar)!r} is the output itself; give it another name")
    check_output(sidecar, overwrite=overwrite, inputs=(source,))


@dataclasses.dataclass(slots=True)
class _Written:
    """What has been written so far."""

    frames: int = 0
    explained: int = 0
    video_s: float = 0.0
    """How long the new frames last, in seconds."""


def _rendered(stabilized: StabilizedFrame, painter: Overlay) -> RenderedFrame:
    frame = stabilized.frame
    return RenderedFrame(painter.draw(stabilized), frame.pts, frame.time_base, stabilized)


def _write_all(
    info: SourceInfo,
    drawn: Iterable[RenderedFrame],
    sinks: Sequence[Sink],
    carried: int,
    on_progress: Callable[[Progress], None] | None,
) -> _Written:
    """Write every frame."""
    written = _Written()
    step_s = float(1 / info.rate) if info.rate else 0.0
    first_s = first_new_s = 0.0
    for frame in drawn:
        time_s = frame.time_s
        for sink in sinks:
            sink.write(frame)
        if written.frames == 0:
            first_s = time_s
        if written.frames <= carried:
            first_new_s = time_s
        written.frames += 1
        written.explained += frame.stabilized is not None and frame.stabilized.explanation.is_explained
        if written.frames > carried:
            written.video_s = time_s - first_new_s + step_s
        if on_progress is not None:
            on_progress(Progress(info, written.frames, time_s - first_s + step_s, carried))
    return written


def run_description(explainer: Explainer) -> dict[str, Any]:
    """Describe what computes the frames, for sinks that write it down; the same for the same run."""
    return {
        "model": explainer.model.name,
        "weights": explainer.model.weights,
        "method": explainer.method,
        "target_layer": explainer.target_layer,
        "fit": explainer.fit,
    }
