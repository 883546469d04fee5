"""Frames of a second source at the moments of a first one's: depth or infrared beside a video."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Self

from streamcam.errors import SourceError
from streamcam.frames import Frame
from streamcam.sources.base import Source
from streamcam.sources.table import Location, open_source

_ON_TIME_S = 0.001
"""A frame this much later than a moment is on time: containers round timestamps."""


class FramesInStep:
    """Reads a file in step with another one: at each moment the last frame that began by then.

    Times are those of both files' timestamps. Before the first frame it is the first, after the last one the
    last; a moment that lies before the last one asked for begins at the front again. Use it in one thread.
    """

    def __init__(self, location: Location) -> None:
        """Remember the file; it is opened when a frame is asked for.

        Args:
            location: The file, as for `open_source`.
        """
        self._location = location
        self._source: Source | None = None
        self._frames: Iterator[Frame] = iter(())
        self._current: Frame | None = None
        self._next: Frame | None = None

    def frame_at(self, time_s: float) -> Frame:
        """Return the frame that is shown at a moment.

        Args:
            time_s: The moment, as `Frame.time_s` of the first source, in seconds.

        Raises:
            SourceError: if the file cannot be read.
        """
        latest_s = time_s + _ON_TIME_S
        if self._current is None or self._current.time_s > latest_s:
            self._begin()
        while self._next is not None and self._next.time_s <= latest_s:
            self._current, self._next = self._next, next(self._frames, None)
        assert self._current is not None
        return self._current

    def _begin(self) -> None:
        self.close()
        self._source = open_source(self._location)
        self._frames = iter(self._source)
        self._current = next(self._frames, None)
        if self._current is None:
            raise SourceError(f"{self._source.info.name!r} has no frame")
        self._next = next(self._frames, None)

    def close(self) -> None:
        """Close the file, if it is open."""
        if self._source is not None:
            self._source.close()
            self._source = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
