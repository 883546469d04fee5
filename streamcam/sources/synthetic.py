"""Synthetic frames: for tests, benchmarks and trying things out."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from fractions import Fraction

import av

from streamcam.frames import Frame, SourceInfo, SourceReport
from streamcam.media.images import planes_of
from streamcam.sources.base import Source


class SyntheticSource(Source):
    """A gray ramp that drifts to the right by one code value a frame."""

    def __init__(
        self, *, width: int = 320, height: int = 180, frame_count: int = 50, rate: Fraction = Fraction(25)
    ) -> None:
        """Describe the frames to make.

        Args:
            width: Width of each frame, in pixels.
            height: Height of each frame, in pixels.
            frame_count: Number of frames.
            rate: Frames per second.
        """
        self._info = SourceInfo(
            name="synthetic",
            path=None,
            width=width,
            height=height,
            time_base=1 / rate,
            rate=rate,
            frame_count=frame_count,
            duration_s=float(frame_count / rate),
        )
        self._report = SourceReport()

    @property
    def info(self) -> SourceInfo:
        """Description of the frames."""
        return self._info

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames."""
        for index in range(self._info.frame_count or 0):
            if self.stop_flag.is_set():
                return
            yield Frame(self._draw(index), index, index, self._info.time_base, time.monotonic())
            self._report = dataclasses.replace(self._report, frames_read=index + 1)

    def report(self) -> SourceReport:
        """Return how many frames were made."""
        return self._report

    def _draw(self, index: int) -> av.VideoFrame:
        image = av.VideoFrame(self._info.width, self._info.height, "yuv420p")
        luma, cb, cr = planes_of(image)
        luma[:] = [16 + (column - index) % 220 for column in range(self._info.width)]
        cb[:] = 128
        cr[:] = 128
        return image
