"""Drawing and encoding one part of a long video in a worker: it reads the part again, maps come to it."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from streamcam.errors import CancelledError, ClusterError
from streamcam.explanations import RenderedFrame, StabilizedFrame
from streamcam.frames import Frame
from streamcam.overlay import Overlay, OverlaySettings
from streamcam.pipeline.parts.plan import PartedVideo, VideoPart
from streamcam.pipeline.parts.worker import FrameMark, read_part
from streamcam.pipeline.workers import prefetch
from streamcam.sinks import LocalSegmentEncoder, Segment, VideoSink

_FRAMES_AHEAD = 8
"""How many frames are decoded while others are drawn, and drawn while others are encoded."""


@dataclasses.dataclass(frozen=True, slots=True)
class PartDrawing:
    """How frames are drawn and encoded."""

    overlay: OverlaySettings
    open_encoder: Callable[[Path], VideoSink]
    """Opens a video with one segment, which is never completed."""
    suffix: str
    """The suffix of that."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class UndrawnFrame:
    """Heatmaps, labels and objects to draw on a frame, without its image."""

    mark: FrameMark
    duration: int
    """As in `Frame`."""
    stabilized: StabilizedFrame
    """Its `frame` is None."""

    @classmethod
    def of(cls, stabilized: StabilizedFrame) -> UndrawnFrame:
        """Leave out the image."""
        frame = stabilized.frame
        bare = dataclasses.replace(stabilized, frame=cast("Frame", None))
        return cls(FrameMark.of(frame), frame.duration, bare)

    def on(self, frame: Frame) -> StabilizedFrame:
        """Return it with the frame as it was read elsewhere."""
        return dataclasses.replace(self.stabilized, frame=frame)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class DrawingTask:
    """Consecutive segments of a video to be drawn and encoded."""

    part: VideoPart
    """Where they are read."""
    segments: tuple[tuple[UndrawnFrame, ...], ...]
    warning: str
    """The warning of the last explained frame before them."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class EncodedPart:
    """Segments that are drawn and encoded."""

    segments: tuple[Segment, ...]
    notes: tuple[str, ...] = ()
    """Messages of the overlay."""


def draw_part(
    video: PartedVideo,
    drawing: PartDrawing,
    task: DrawingTask,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> EncodedPart:
    """Read, draw and encode a part of a video.

    Args:
        video: The video.
        drawing: How its frames are drawn and encoded.
        task: The part.
        is_cancelled: Whether nobody waits for it any more.

    Raises:
        StreamcamError: if it cannot be read, drawn or encoded, or is read as other images than elsewhere.
        CancelledError: if nobody waits for it any more.
    """
    # Where a decoder needs more than a keyframe, seeking gives other images.
    for part in (task.part, task.part.reread()):
        encoded = _draw(video, drawing, task, part, is_cancelled)
        if encoded is not None:
            return encoded
    raise ClusterError(
        f"a worker reads frames behind {task.part.begin} as other images than this machine; install the same "
        "PyAV on all machines, and leave the video as it is"
    )


def _draw(
    video: PartedVideo,
    drawing: PartDrawing,
    task: DrawingTask,
    part: VideoPart,
    is_cancelled: Callable[[], bool],
) -> EncodedPart | None:
    """Return the part; None if its images are others."""
    overlay = Overlay(drawing.overlay)
    overlay.warn(task.warning)
    undrawn = [frame for segment in task.segments for frame in segment]
    segments = []
    ahead: dict[str, Any] = {"maxsize": _FRAMES_AHEAD, "interrupt": lambda: None}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="streamcam-part-")))
        frames = stack.enter_context(contextlib.closing(read_part(video, part)))
        read = stack.enter_context(prefetch(frames, name="part-reader", **ahead))
        drawn = stack.enter_context(prefetch(_draw_each(undrawn, read, overlay), name="part-drawer", **ahead))
        encoder = LocalSegmentEncoder(lambda: drawing.open_encoder(folder / f"segment{drawing.suffix}"))
        stack.callback(encoder.abort)
        for segment in task.segments:
            for _ in segment:
                if is_cancelled():
                    raise CancelledError("nobody waits for this part any more")
                rendered = next(drawn, None)
                if rendered is None:
                    return None
                encoder.encode(rendered)
            segments.append(encoder.end(len(segment)).take())
    return EncodedPart(tuple(segments), overlay.notes)


def _draw_each(
    undrawn: Sequence[UndrawnFrame], frames: Iterable[Frame], overlay: Overlay
) -> Iterator[RenderedFrame]:
    """Draw the frames up to the first that is another image."""
    for one, frame in zip(undrawn, frames, strict=False):
        if FrameMark.of(frame) != one.mark:
            return
        stabilized = one.on(dataclasses.replace(frame, duration=one.duration))
        yield RenderedFrame(overlay.draw(stabilized), frame.pts, frame.time_base, stabilized, one.duration)
