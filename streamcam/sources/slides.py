"""Slide shows: the images of a folder, each shown for some seconds in a live session."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from streamcam.errors import SourceError
from streamcam.frames import Frame, SourceInfo, SourceReport
from streamcam.media.images import Image, tags_of
from streamcam.sources.base import Source
from streamcam.sources.capture import TIME_BASE, LiveClock

_log = logging.getLogger("streamcam.sources")

_SLIDE_S = 5.0
"""How long an image is shown where nobody says, in seconds."""

_SLIDE_RATE = Fraction(5)
"""Frames a second of an image that is shown."""


class SlideShow(Source):
    """Image files, each shown for some seconds. Belongs to live sessions.

    Each image is a run of equal frames, so that heat that comes late is shown, too.
    """

    is_live = True
    shows_stills = True

    def __init__(
        self,
        path: Path,
        find: Callable[[], Sequence[Path]],
        load: Callable[[Path], Image],
        *,
        slide_s: float | None = None,
        loop: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Find the images.

        Args:
            path: Folder or pattern that stands for the images.
            find: Lists them; called again for every round of a loop, so that new ones are shown.
            load: Decodes one.
            slide_s: How long each is shown, in seconds; 5 if None.
            loop: Whether to begin again after the last one.
            clock: Returns monotonic seconds.

        Raises:
            SourceNotFoundError: if there is none.
        """
        self._path, self._find, self._load, self._now = path, find, load, clock
        self._slide_s, self._loop = slide_s or _SLIDE_S, loop
        self._files = find()
        self._clock = LiveClock()
        self._count = self._damaged = 0
        self._info = SourceInfo(str(path), None, width=0, height=0, time_base=TIME_BASE, rate=_SLIDE_RATE)

    @property
    def info(self) -> SourceInfo:
        """Description of the slide show, with the size of the image that is shown."""
        return self._info

    def __iter__(self) -> Iterator[Frame]:
        """Yield each image again and again while it is shown."""
        while True:
            before = self._count
            for file in self._files:
                if self.stop_flag.is_set():
                    return
                yield from self._show(file)
            if self._count == before:
                raise SourceError(f"none of the images of {str(self._path)!r} can be decoded")
            if not self._loop or self.stop_flag.is_set():
                return
            self._files = self._find()

    def report(self) -> SourceReport:
        """Return how many frames were shown, and how many images could not be."""
        return SourceReport(self._count, packets_damaged=self._damaged)

    def _show(self, file: Path) -> Iterator[Frame]:
        """Yield one image as long as it is shown; one that cannot be decoded is left out."""
        try:
            image = self._load(file)
        except SourceError as error:
            _log.info("left out: %s", error)
            self._damaged += 1
            return
        self._info = dataclasses.replace(
            self._info, width=image.width, height=image.height, color=tags_of(image)
        )
        began_at = self._now()
        for number in range(max(1, round(self._slide_s * _SLIDE_RATE))):
            due_at = began_at + float(number / _SLIDE_RATE)
            if self.stop_flag.wait(max(0.0, due_at - self._now())):
                return
            pts = self._clock.place(due_at, None)
            yield Frame(image, self._count, pts, TIME_BASE, max(due_at, self._now()))
            self._count += 1
        self.stop_flag.wait(max(0.0, began_at + self._slide_s - self._now()))
