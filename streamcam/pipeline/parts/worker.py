"""Explaining one part of a long video in a worker."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import zlib
from collections.abc import Callable, Generator, Sequence

import numpy as np

from streamcam.errors import CancelledError
from streamcam.explanations import Explanation
from streamcam.frames import Frame
from streamcam.media.images import planes_of
from streamcam.pipeline.batches import BatchExplainer, FrameExplainer, short_batches
from streamcam.pipeline.cancelling import cancelled_by
from streamcam.pipeline.parts.plan import PartedVideo, VideoPart
from streamcam.pipeline.workers import prefetch
from streamcam.sources import open_source
from streamcam.temporal import RecordingTracker, Tracker, TrackerCall

_FRAMES_AHEAD = 16
"""How many frames are decoded while others are explained."""


@dataclasses.dataclass(frozen=True, slots=True)
class FrameMark:
    """The number, time and image of a frame, to compare."""

    index: int
    pts: int
    digest: int
    """A checksum of its image."""

    @classmethod
    def of(cls, frame: Frame) -> FrameMark:
        """Return the mark of a frame."""
        image = frame.image
        digest = zlib.crc32(f"{image.width} {image.height} {image.format.name}".encode())
        for plane in planes_of(image):
            digest = zlib.crc32(np.ascontiguousarray(plane).data, digest)
        return cls(frame.index, frame.pts, digest)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class ExplainedBatch:
    """The explanations of a batch, and all that they depend on."""

    marks: tuple[FrameMark, ...]
    """Its frames, without those that were skipped."""
    calls: tuple[TrackerCall, ...]
    """Calls of a tracker, and its answers."""
    explanations: tuple[Explanation, ...]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class ExplainedPart:
    """The explanations of a part."""

    batches: tuple[ExplainedBatch, ...]
    """Those that begin in it, in order."""
    notes: tuple[str, ...] = ()
    """Messages of the explainer."""


def explain_first_batch(video: PartedVideo, explainer: FrameExplainer) -> ExplainedBatch:
    """Explain the first batch of a video: by its images backends choose how they compute.

    Raises:
        StreamcamError: if the video cannot be read or explained.
    """
    (batch,) = explain_part(video, VideoPart(0, 1, 0), explainer).batches
    return batch


def explain_part(
    video: PartedVideo,
    part: VideoPart,
    explainer: FrameExplainer,
    state: Tracker | None = None,
    on_frame: Callable[[int], None] = lambda _index: None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> ExplainedPart:
    """Explain a part of a video.

    Args:
        video: The video.
        part: The part.
        explainer: Computes the maps.
        state: A tracker that has seen all frames before the first one; one that has seen none if None.
        on_frame: Called with the number of each frame that is read.
        is_cancelled: Whether nobody waits for it any more.

    Raises:
        StreamcamError: if the video cannot be read or explained.
        CancelledError: if nobody waits for it any more.
    """
    tracker = RecordingTracker(video.temporal, part.skipped)
    if state is not None:
        tracker.adopt(state)
    recorder = _Recorder(explainer, tracker)
    batches = BatchExplainer(recorder, video.temporal, tracker=tracker)
    frames = read_part(video, part)
    with (
        contextlib.closing(frames),
        prefetch(frames, maxsize=_FRAMES_AHEAD, name="part-reader", interrupt=lambda: None) as ready,
        batches.running(is_cancelled),
    ):
        for frame in ready:
            if is_cancelled():
                raise CancelledError("nobody waits for this part any more")
            on_frame(frame.index)
            explained = batches.explain(frame)
            if explained and part.end is not None and explained[-1][0].index >= part.end - 1:
                break
        else:
            batches.flush()
    kept = tuple(batch for batch in recorder.batches if batch.marks[0].index >= part.begin)
    return ExplainedPart(kept, tuple(getattr(explainer, "notes", ())))


class _Recorder:
    """An explainer that keeps its batches."""

    def __init__(self, explainer: FrameExplainer, tracker: RecordingTracker) -> None:
        self.batch_size = explainer.batch_size
        self.clip_s = explainer.clip_s
        self.batches: list[ExplainedBatch] = []
        self._explainer = explainer
        self._tracker = tracker

    def cancelled_by(self, is_cancelled: Callable[[], bool]) -> contextlib.AbstractContextManager[None]:
        """As for the explainer itself."""
        return cancelled_by(self._explainer, is_cancelled)

    def short_batches(self) -> contextlib.AbstractContextManager[None]:
        """As for the explainer itself."""
        return short_batches(self._explainer)

    def explain_frames(
        self, frames: list[Frame], tracker: Tracker | None = None, context: Sequence[Frame] = ()
    ) -> list[Explanation]:
        """Explain, and keep what was explained."""
        others = (context,) if self.clip_s else ()
        explanations = self._explainer.explain_frames(frames, tracker, *others)
        calls, self._tracker.calls = tuple(self._tracker.calls), []
        marks = tuple(map(FrameMark.of, frames))
        self.batches.append(ExplainedBatch(marks, calls, tuple(explanations)))
        return explanations


def read_part(video: PartedVideo, part: VideoPart) -> Generator[Frame]:
    """Yield the frames of a video from where a worker begins on, with their numbers."""
    if part.start_s is not None:
        settings = dataclasses.replace(video.source, start_s=part.start_s)
        with open_source(video.location, settings) as source:
            frames = iter(source)
            first = next(frames, None)
            if first is not None and first.pts == part.first_pts:
                for frame in itertools.chain([first], frames):
                    yield dataclasses.replace(frame, index=frame.index + part.warm_up)
                return
    with open_source(video.location, video.source) as source:
        for frame in source:
            if frame.index >= part.warm_up:
                yield frame
