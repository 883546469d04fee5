"""Sending videos through a source and a sink, as the pipeline does."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import resource
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from media_factory import RATE, Painter, make_image, paint_gray

from streamcam.explanations import RenderedFrame
from streamcam.frames import ColorTags, Frame, SourceInfo, SourceReport
from streamcam.media.encoders import EncoderSettings
from streamcam.media.images import bits_of, blank_like, planes_of, set_tags
from streamcam.pipeline.render import render
from streamcam.pipeline.results import Progress, RenderResult
from streamcam.pipeline.resume import ResumeState
from streamcam.pipeline.settings import RenderSettings
from streamcam.pipeline.stream import ExplainedStream
from streamcam.sinks import open_sink
from streamcam.sources import SourceSettings, open_source

FAST = EncoderSettings(preset="ultrafast")
"""libx264 as fast as it goes."""


def read_video(path: Path, **reading: Any) -> tuple[list[Frame], SourceInfo, SourceReport]:
    """Read a video to its end; the keywords are those of `SourceSettings`."""
    with open_source(path, SourceSettings(**reading)) as source:
        frames = list(source)
        return frames, source.info, source.report()


def mean_lumas(frames: list[Frame]) -> list[float]:
    """Tell how bright each frame is, on the scale of 8 bits."""
    return [
        float(planes_of(frame.image)[0].mean()) / 2 ** (bits_of(frame.image.format.name) - 8)
        for frame in frames
    ]


def copy_of(image: av.VideoFrame) -> av.VideoFrame:
    """Copy an image into fresh memory, as the overlay does."""
    fresh = blank_like(image)
    for target, source in zip(planes_of(fresh), planes_of(image), strict=True):
        target[:] = source
    return fresh


def rendered(image: av.VideoFrame, time_base: Fraction = 1 / RATE) -> RenderedFrame:
    """Wrap an image for a sink, with nothing drawn on it: shown at its own pts, in units of `time_base`."""
    return RenderedFrame(image, image.pts or 0, image.time_base or time_base)


@dataclasses.dataclass(frozen=True)
class Passed:
    """What came of sending a video from a source to a sink."""

    info: SourceInfo
    report: SourceReport
    sink_notes: tuple[str, ...]
    pts: list[int]


def pass_through(
    source: Path,
    target: Path,
    *,
    settings: EncoderSettings | None = FAST,
    stop_after: int | None = None,
    **reading: Any,
) -> Passed:
    """Read a video and write it again, with nothing drawn; the keywords are those of `SourceSettings`."""
    with open_source(source, SourceSettings(**reading)) as opened:
        sink = open_sink(target, opened.info, settings=settings)
        pts = []
        with sink:
            for frame in itertools.islice(opened, stop_after):
                copy = copy_of(frame.image)
                sink.write(RenderedFrame(copy, frame.pts, frame.time_base, duration=frame.duration))
                pts.append(frame.pts)
            sink.finish(cut_short=stop_after is not None)
        return Passed(opened.info, opened.report(), sink.notes, pts)


def render_with(
    source: Path,
    output: Path,
    explainer: Any,
    /,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    on_start: Callable[[ExplainedStream], None] | None = None,
    on_resume: Callable[[ResumeState], None] | None = None,
    **settings: Any,
) -> RenderResult:
    """Render with the fields of `RenderSettings` as keywords."""
    return render(
        source,
        output,
        explainer,
        settings=RenderSettings(**settings),
        on_progress=on_progress,
        on_start=on_start,
        on_resume=on_resume,
    )


@contextlib.contextmanager
def limited_file_size(size: int) -> Iterator[None]:
    """Let no file grow beyond `size` bytes, as on a full disk; Python ignores the signal that comes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def write_video(
    path: Path,
    info: SourceInfo,
    pts: Iterable[int] = range(5),
    settings: EncoderSettings = FAST,
    tags: ColorTags | None = None,
    paint: Painter = paint_gray,
) -> None:
    """Write a video of made images, shown at the times given in units of `info.time_base`."""
    with open_sink(path, info, settings=settings) as sink:
        for index, time in enumerate(pts):
            image = make_image(info.width, info.height, index, paint=paint)
            if tags is not None:
                set_tags(image, tags)
            image.pts = time
            sink.write(rendered(image, info.time_base))
