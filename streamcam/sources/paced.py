"""A file that is played at its own pace, as if it happened now."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from streamcam.errors import SourceError
from streamcam.frames import AudioBlock, Frame, SourceInfo, SourceReport
from streamcam.sources.base import Source
from streamcam.sources.capture import TIME_BASE, LiveClock
from streamcam.sources.file_audio import FileAudio, holds_audio

_AHEAD_S = 0.2
"""How far audio is handed over before the image of its time, so that it is there when that is sent."""

_LATE_S = 1.0
"""Played this late, a file is not hurried to catch up: the machine slept, or cannot decode so fast."""


def play(opener: Callable[[], Source], *, loop: bool = False, audio: Path | None = None) -> PacedSource:
    """Open a file to be played at its own pace.

    Args:
        opener: Opens the file; called again for every further round of a loop.
        loop: Whether to begin again after the end, for ever.
        audio: The file, where it may hold audio.
    """
    return PacedSource(opener(), opener if loop else None, audio=audio)


class PacedSource(Source):
    """The frames of a file, each when it is due."""

    is_live = True

    def __init__(
        self,
        source: Source,
        reopen: Callable[[], Source] | None = None,
        *,
        audio: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take over an open source.

        Args:
            source: File to play.
            reopen: Opens it again after its end; None to end there.
            audio: The file, where it may hold audio.
            clock: Returns the time in seconds.
        """
        self._source = source
        self._reopen = reopen
        self._now = clock
        self._begin_s = source.info.begin_s
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
            has_audio=audio is not None and holds_audio(audio),
        )
        self._audio = audio if self._info.has_audio else None

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
        with contextlib.ExitStack() as ends:
            audio: FileAudio | None = None
            if self.on_audio is not None and self._audio is not None:
                audio = ends.enter_context(contextlib.closing(FileAudio(self._audio, self._begin_s)))
            yield from self._play_with(audio)

    def _play_with(self, audio: FileAudio | None) -> Iterator[Frame]:
        """Play the file once, and its audio where somebody listens."""
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
            if audio is not None:
                self._hand_over(audio, frame.time_s + _AHEAD_S, began_at)
            yield Frame(frame.image, self._count, pts, TIME_BASE, max(due_at, self._now()))
            self._count += 1
        if began_at is not None and self._reopen is not None:
            step_s = float(1 / self._info.rate) if self._info.rate else 0.0
            self.stop_flag.wait(max(0.0, due_at + step_s - self._now()))

    def _hand_over(self, audio: FileAudio, until_s: float, began_at: float) -> None:
        """Hand audio to who listens, each block for when it is due."""
        for time_s, block in audio.until(until_s):
            at_s = self._clock.since_first(began_at + time_s)
            if self.on_audio is not None and at_s >= 0:
                self.on_audio(AudioBlock(block, at_s))
