"""What is wanted of a video, apart from when."""

from __future__ import annotations

import dataclasses
from fractions import Fraction


@dataclasses.dataclass(frozen=True, slots=True)
class ReadingSettings:
    """How a video is read."""

    video_stream: int | None = None
    """Which of the file's streams to decode, by its index; the best one if None."""
    keep_interlaced: bool = False
    """Whether interlaced images stay as they are, rows of two instants between each other."""
    size: tuple[int, int] | None = None
    """(width, height) in pixels that the video is scaled to, with bars where its shape differs."""
    rate: Fraction | None = None
    """Frames per second to repeat or leave out images for; None keeps every one at its own time."""
    depth: int | None = None
    """Bits of a sample to work with, 8 or 10; if None 10 where the video has more than 8."""
    chroma: str | None = None
    """Chroma subsampling to work with, one of `streamcam.media.images.CHROMAS`; the video's own if None."""
    hwaccel: str = "none"
    """What decodes: one of FFmpeg's devices (``"cuda"``), ``"auto"`` for any that works, or ``"none"``."""
