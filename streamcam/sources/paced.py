"""A file that is played at its own pace, as if it happened now."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator

from streamcam.errors import SourceError
from streamcam.frames import Frame, SourceInfo, SourceReport
from streamcam.sources.base import Source
from streamcam.sources.capture import TIME_BASE, LiveClock

_LATE_S = 1.0
"""Played this late, a file is not hurried to catch up: the machine slept, or cannot decode so fast."""


def play(opener: Callable[[], Source], *, loop: bool = False) -> PacedSource:
    """Open a file to be played at its own pace.

    Args:
        opener: Opens the file; called again for every further round of a loop.
        loop: Whether to begin again after the end, for ever.
    """
    return PacedSource(opener(), opener if loop else None)


class PacedSource(Source):
    """The frames of a file, each when it is due."""

    is_live = True

    def __init__(
        self,
        source: Source,
        reopen: Callable[[], Source] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take over an open source.

        Args:
            source: File to play.
            reopen: Opens it again after its end; None to end there.
            clock: Returns the time in seconds.
        """
        self._source = source
        self._reopen = reopen
        self._now = clock
        self._clock = LiveClock()
        self._count = 0
        # Times count from the first frame that is shown, not along the file.
        self._info = dataclasses.replace(
            source.info,
            time_base=TIME_BASE,
            origin_s=0.0,
            start_s=None,
            end_s=None,
            frame_count=None if reopen else source.info.frame_count,
            duration_s=None if reopen else source.info.duration_s,
        )

    @property
    def info(self) -> SourceInfo:
        """Description of the file."""
        return self._info

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames, each when it is due."""
        while True:
            before = self._count
            yield from self._play()
            if self._reopen is None or self.stop_flag.is_set():
                return
            if self._count == before:
                raise SourceError(f"{self._info.name!r} holds no frames")
            self._source.close()
            self._source = self._reopen()

    def report(self) -> SourceReport:
        """Return how many frames were played, and what was found in the file."""
        return dataclasses.replace(self._source.report(), frames_read=self._count, frames_given=None)

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    def _play(self) -> Iterator[Frame]:
        """Play the file once."""
        began_at: float | None = None
        for frame in self._source:
            now = self._now()
            if began_at is None or now > began_at + frame.time_s + _LATE_S:
                began_at = now - frame.time_s
            due_at = began_at + frame.time_s
            if self.stop_flag.wait(max(0.0, due_at - now)):
                return
            # What was decoded ahead of its time happens only now.
            pts = self._clock.place(due_at, None)
            yield Frame(frame.image, self._count, pts, TIME_BASE, max(due_at, self._now()))
            self._count += 1
        if began_at is not None and self._reopen is not None:
            step_s = float(1 / self._info.rate) if self._info.rate else 0.0
            self.stop_flag.wait(max(0.0, due_at + step_s - self._now()))
