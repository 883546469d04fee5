"""Segments of a long video that workers draw and encode while later frames are explained."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Protocol

from streamcam.explanations import RenderedFrame
from streamcam.pipeline.parts.drawing import DrawingTask, EncodedPart, UndrawnFrame
from streamcam.pipeline.parts.plan import part_at
from streamcam.sinks import FRAMES_PER_SEGMENT, EncodedSegment, Segment
from streamcam.sources import FrameTimes

_PARTS_AHEAD = 2
"""How many parts each worker may be behind: their maps stay in memory."""


class PendingPart(Protocol):
    """A part that a worker draws and encodes."""

    @property
    def is_ready(self) -> bool:
        """Whether nobody has to wait for it."""

    def take(self) -> EncodedPart:
        """Wait for it; called once.

        Raises:
            StreamcamError: if it cannot be drawn or encoded.
        """


class DrawingPool(Protocol):
    """Workers that draw and encode parts of one video."""

    @property
    def workers(self) -> int:
        """How many there are."""

    def submit(self, task: DrawingTask) -> PendingPart:
        """Let a part be drawn and encoded as soon as a worker is free; does not wait."""


class PartedEncoder:
    """Lets workers draw and encode the segments of a video; see `SegmentEncoder`.

    Only maps and what else is drawn goes to them; they read the images themselves.
    """

    def __init__(self, pool: DrawingPool, times: FrameTimes, part_frames: float) -> None:
        """Prepare.

        Args:
            pool: The workers.
            times: The times of all frames of the video.
            part_frames: About how many frames one worker makes at a time, in whole segments.
        """
        self._segments_each = max(1, round(part_frames / FRAMES_PER_SEGMENT))
        self.most_waiting = self._segments_each * _PARTS_AHEAD * pool.workers
        self._pool = pool
        self._times = times
        self._notes: dict[str, None] = {}
        self._frames: list[UndrawnFrame] = []
        self._part = _Part()
        self._warning = ""
        self._newest_warning = ""

    @property
    def notes(self) -> Sequence[str]:
        """Messages that the user should know of."""
        return tuple(self._notes)

    def encode(self, frame: RenderedFrame) -> None:
        """As in `SegmentEncoder`."""
        assert frame.stabilized is not None
        self._frames.append(UndrawnFrame.of(frame.stabilized))
        explanation = frame.stabilized.explanation
        if explanation.method:  # a skipped frame has none
            self._newest_warning = explanation.warning

    def end(self, frames: int) -> EncodedSegment:
        """As in `SegmentEncoder`."""
        assert frames == len(self._frames)
        part = self._part
        segment = _PartSegment(self, part, len(part.segments))
        part.segments.append(tuple(self._frames))
        self._frames = []
        if len(part.segments) == self._segments_each:
            self._submit()
        return segment

    def abort(self) -> None:
        """As in `SegmentEncoder`; workers end with whoever started them."""

    def complete(self, part: _Part) -> EncodedPart:
        """Wait for a part."""
        if part.pending is None:
            self._submit()
        if part.encoded is None:
            assert part.pending is not None
            part.encoded = part.pending.take()
            self._notes |= dict.fromkeys(part.encoded.notes)
        return part.encoded

    def _submit(self) -> None:
        """Hand out the part that was gathered, and begin the next one."""
        part, self._part = self._part, _Part()
        first, last = part.segments[0][0].mark.index, part.segments[-1][-1].mark.index
        where = part_at(first, last + 1, self._times)
        part.pending = self._pool.submit(DrawingTask(where, tuple(part.segments), self._warning))
        part.segments = []
        self._warning = self._newest_warning


@dataclasses.dataclass(slots=True, eq=False)
class _Part:
    """A part that is gathered, then encoded by a worker."""

    segments: list[tuple[UndrawnFrame, ...]] = dataclasses.field(default_factory=list)
    """Empty when it is handed out."""
    pending: PendingPart | None = None
    encoded: EncodedPart | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class _PartSegment:
    """A segment of a part."""

    encoder: PartedEncoder
    part: _Part
    place: int

    @property
    def is_ready(self) -> bool:
        """As in `EncodedSegment`."""
        part = self.part
        return part.encoded is not None or (part.pending is not None and part.pending.is_ready)

    def take(self) -> Segment:
        """As in `EncodedSegment`."""
        return self.encoder.complete(self.part).segments[self.place]
