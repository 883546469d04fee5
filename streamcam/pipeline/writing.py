"""Writing rendered frames to the outputs, with counts of what was written."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence

from streamcam.explanations import RenderedFrame
from streamcam.frames import SourceInfo
from streamcam.milestones import reach
from streamcam.pipeline.channel import ChannelClosedError
from streamcam.pipeline.map_counts import MapCounts
from streamcam.pipeline.results import Progress
from streamcam.pipeline.stopwatch import Stopwatch
from streamcam.sinks import Sink


@dataclasses.dataclass(slots=True)
class Written:
    """Counts of what was written."""

    frames: int = 0
    is_cut: bool = False
    """Whether an output gave up, because the render is to end; it cannot be finished."""
    video_s: float = 0.0
    """How long the new frames last, in seconds."""
    writing: Stopwatch = dataclasses.field(default_factory=Stopwatch)
    """How long writing took."""
    maps: MapCounts = dataclasses.field(default_factory=MapCounts)


def write_all(
    info: SourceInfo,
    drawn: Iterable[RenderedFrame],
    sinks: Sequence[Sink],
    carried: int,
    on_progress: Callable[[Progress], None] | None,
) -> Written:
    """Write every frame to every output.

    Args:
        info: The source of the frames.
        drawn: The frames.
        sinks: The outputs.
        carried: How many of the first frames were explained in earlier runs.
        on_progress: Called after every frame.

    Raises:
        SinkError: if an output cannot be written.
    """
    written = Written()
    step_s = float(1 / info.rate) if info.rate else 0.0
    first_s = first_new_s = 0.0
    write = [written.writing.timed(sink.write) for sink in sinks]
    for frame in drawn:
        time_s = frame.time_s
        try:
            for write_to in write:
                write_to(frame)
        except ChannelClosedError:  # the render ends while an output waits for what is made elsewhere
            written.is_cut = True
            break
        if written.frames == 0:
            reach("a frame is written")
            first_s = time_s
        if written.frames <= carried:
            first_new_s = time_s
        written.frames += 1
        written.maps.add(None if frame.stabilized is None else frame.stabilized.explanation)
        if written.frames > carried:
            written.video_s = time_s - first_new_s + step_s
        if on_progress is not None:
            on_progress(Progress(info, written.frames, time_s - first_s + step_s, carried))
    return written
