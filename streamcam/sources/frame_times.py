"""The times of all frames of a video file, read from its packets without decoding them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
from av.error import FFmpegError

from streamcam.media.demux import open_input, read_packets

_TOLERANCE_S = 1e-6


@dataclasses.dataclass(frozen=True, slots=True)
class FrameTimes:
    """The times of the frames of a part of a video."""

    pts: Sequence[int]
    """Of each frame, in ticks, in order."""
    time_base: Fraction
    """Seconds per tick."""
    origin_s: Fraction
    """Beginning of the video on its file's timeline."""

    def start_s(self, index: int) -> float:
        """Return where a part begins whose first frame is one of these, in seconds."""
        return float(self.pts[index] * self.time_base - self.origin_s)


def read_frame_times(
    path: Path, video_stream: int, start_s: float | None = None, end_s: float | None = None
) -> FrameTimes | None:
    """Read the times of the frames of a video file.

    What is damaged may make them differ from those of the frames that are decoded.

    Args:
        path: The file.
        video_stream: The index of the stream.
        start_s: The part's start, in seconds from the video's beginning.
        end_s: Its end.

    Returns:
        The times; None where the file does not tell them.
    """
    try:
        with open_input(path) as container:
            stream = container.streams[video_stream]
            time_base = stream.time_base or Fraction(1, 1000)
            origin_s = Fraction(container.start_time or 0, av.time_base)
            times = [
                packet.pts
                for packet in read_packets(container, lambda: None)
                if packet.stream.index == video_stream and not packet.is_discard
            ]
    except FFmpegError:
        return None
    known = sorted(pts for pts in times if pts is not None)
    if len(known) < len(times):
        return None
    first_s = float("-inf") if start_s is None else start_s - _TOLERANCE_S
    last_s = float("inf") if end_s is None else end_s - _TOLERANCE_S
    part = [pts for pts in known if first_s <= float(pts * time_base - origin_s) < last_s]
    return FrameTimes(part, time_base, origin_s)
