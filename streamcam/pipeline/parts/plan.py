"""A long video in parts, for several workers that explain it at the same time."""

from __future__ import annotations

import bisect
import dataclasses
import itertools
from collections.abc import Iterator

from streamcam.pipeline.batches import count_complete
from streamcam.sources import FrameTimes, Location, SourceSettings
from streamcam.temporal import TemporalSettings

PART_S = 30.0
"""How long a part is by default, in seconds."""

WARM_UP_S = 2.0
"""How long before its part a worker begins at least, in seconds: labels and cuts depend on earlier frames."""

_LABEL_HOLDS = 4
"""And at least as many times as long as labels are held."""


@dataclasses.dataclass(frozen=True, slots=True)
class PartedVideo:
    """A video that is explained in parts."""

    location: Location
    source: SourceSettings
    temporal: TemporalSettings


@dataclasses.dataclass(frozen=True, slots=True)
class VideoPart:
    """Some consecutive frames of a video, and where a worker begins to explain them."""

    begin: int
    """The number of its first frame, with which a batch begins."""
    end: int | None
    """The number of its last frame plus one; None at the end of the video."""
    warm_up: int
    """The number of the first frame that the worker explains; with it a batch begins too."""
    skipped: int | None = None
    """How many frames before that one were skipped, if shots begin where they are expected; None at 0."""
    start_s: float | None = None
    """Where the worker begins to read; None for the beginning."""
    first_pts: int | None = None
    """The pts of the frame that is there."""

    def reread(self) -> VideoPart:
        """Return the same part, read from the beginning of the video on."""
        return dataclasses.replace(self, start_s=None, first_pts=None)


def plan_parts(
    count: int,
    times: FrameTimes | None,
    *,
    rate: float,
    part_s: float,
    batch_size: int,
    temporal: TemporalSettings,
) -> list[VideoPart]:
    """Divide a video.

    Parts begin where batches begin in a render by one worker, if no shot begins that changes which frames are
    explained.

    Args:
        count: How many frames there are.
        times: Their times; None if nobody can begin in the middle.
        rate: Frames per second.
        part_s: How long a part is, in seconds.
        batch_size: How many frames are explained at once.
        temporal: Which frames are explained, and how long labels are held.

    Returns:
        The parts, in order; the last one may be up to half as long again.
    """
    starts = list(_batch_starts(count, batch_size, temporal.every))
    length = max(1, round(part_s * rate))
    before = round(max(WARM_UP_S, _LABEL_HOLDS * temporal.label_hold_s) * rate)
    begins = [0]
    while (place := bisect.bisect_left(starts, begins[-1] + length)) < len(starts):
        if count - starts[place] < length / 2:
            break
        begins.append(starts[place])
    parts = []
    for begin, end in itertools.zip_longest(begins, begins[1:]):
        warm_up = starts[max(0, bisect.bisect_right(starts, begin - before) - 1)] if begin else 0
        parts.append(part_at(begin, end, times, warm_up=warm_up, every=temporal.every))
    return parts


def part_at(
    begin: int, end: int | None, times: FrameTimes | None, *, warm_up: int | None = None, every: int = 1
) -> VideoPart:
    """Return a part, and where its worker begins to read.

    Args:
        begin: The number of its first frame.
        end: As in `VideoPart`.
        times: As for `plan_parts`.
        warm_up: The number of the first frame that is explained; that of the part if None.
        every: Every how many frames one is explained.
    """
    first = begin if warm_up is None else warm_up
    skipped = (first - 1) % every if first else None
    if times is None or not 0 < first < len(times.pts):
        return VideoPart(begin, end, first, skipped)
    return VideoPart(begin, end, first, skipped, times.start_s(first), times.pts[first])


def _batch_starts(count: int, size: int, every: int) -> Iterator[int]:
    """Yield the number of the first frame of each batch."""
    start = 0
    while start < count:
        yield start
        length = count_complete((index % every == 0 for index in range(start, count)), size)
        if not length:
            return
        start += length
