"""A video played at its own pace, as if it happened now."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from streamcam.errors import InvalidArgumentError, SourceError
from streamcam.frames import Frame
from streamcam.sources.live import TIME_BASE, LiveClock, LiveSource, Notify
from streamcam.sources.settings import ReadingSettings
from streamcam.sources.still import is_image
from streamcam.sources.video import open_video

_LATE_S = 1.0
"""Played this late, the video is not hurried to catch up: the machine slept, or cannot decode so fast."""


class PacedSource(LiveSource):
    """The frames of a video file, each at its time."""

    def __init__(
        self, path: Path, *, loop: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Assign.

        Args:
            path: A video file.
            loop: Whether to begin again after the end, for ever.
            clock: Tells the time in seconds.

        Raises:
            InvalidArgumentError: if it is an image.
        """
        if is_image(path):
            raise InvalidArgumentError(
                f"{str(path)!r} is an image, which does not move; use streamcam render"
            )
        self.name = str(path)
        self._path = path
        self._loop = loop
        self._count = 0
        self._now = clock
        self._clock = LiveClock()

    def frames(self, stop: threading.Event, notify: Notify) -> Iterator[Frame]:  # noqa: ARG002 - files do not recover
        """Yield the frames, each when it is due; see `LiveSource.frames`."""
        while True:
            before = self._count
            yield from self._play(stop)
            if stop.is_set() or not self._loop:
                return
            if self._count == before:
                raise SourceError(f"{self.name!r} gave no frames")

    def _play(self, stop: threading.Event) -> Iterator[Frame]:
        """Play the video once."""
        with open_video(self._path, None, None, ReadingSettings(depth=8, chroma="420")) as video:
            self.rate = video.info.rate
            began_at: float | None = None
            for frame in video:
                now = self._now()
                if began_at is None or now > began_at + frame.time_s + _LATE_S:
                    began_at = now - frame.time_s
                due_at = began_at + frame.time_s
                if stop.wait(max(0.0, due_at - now)):
                    return
                # What was decoded ahead of its time happens only now.
                pts = self._clock.place(due_at, None)
                yield Frame(frame.image, self._count, pts, TIME_BASE, max(due_at, self._now()))
                self._count += 1
            step_s = float(1 / self.rate) if self.rate else 0.0
            if began_at is not None and self._loop:
                stop.wait(max(0.0, due_at + step_s - self._now()))
