"""When the statistics of a live session's streams are measured and written, and the lines of the file."""

from __future__ import annotations

import math
from collections.abc import Sequence

from streamcam.session.events import StatisticsMeasured, WriteStatistics
from streamcam.session.outputs import Output
from streamcam.session.state import LiveState
from streamcam.session.statistics import Counts
from streamcam.session.streams import RunningStream
from streamcam.session.threads import LiveThreads

_MEASURED_EVERY_S = 0.5
_WRITTEN_EVERY_S = 1.0


class Measurements:
    """Brings the statistics of all streams up to date. Belongs to the session's thread."""

    def __init__(
        self, streams: Sequence[RunningStream], threads: LiveThreads, outputs: Sequence[Output]
    ) -> None:
        """Begin at zero.

        Args:
            streams: The streams, each with a meter.
            threads: Their readers, and the frames that these have dropped.
            outputs: The outputs that streams share, which count, too.
        """
        self._streams, self._threads, self._outputs = streams, threads, outputs
        self._began_s: float | None = None
        self._measured_s = self._written_s = -math.inf

    def begin(self, now_s: float) -> None:
        """Take note of a frame: the first one is where time is counted from."""
        if self._began_s is None:
            self._began_s = self._written_s = now_s

    def elapsed_s(self, now_s: float) -> float:
        """Return the seconds since the first frame."""
        return 0.0 if self._began_s is None else now_s - self._began_s

    def note_sources(self) -> None:
        """Take note of how many frames were read and dropped."""
        for stream, reader in zip(self._streams, self._threads.readers, strict=True):
            stream.meter.note_source(reader.captured, self._threads.frames.dropped[stream.index])

    def measure(self, now_s: float) -> list[StatisticsMeasured]:
        """Return the statistics of each stream, if it is time."""
        if now_s - self._measured_s < _MEASURED_EVERY_S:
            return []
        self._measured_s = now_s
        self.note_sources()
        return [StatisticsMeasured(stream.meter.measure(now_s)) for stream in self._streams]

    def lines(self, state: LiveState, now_s: float) -> list[WriteStatistics]:
        """Return a line about the last second of each stream, if it is time."""
        if self._began_s is None or now_s - self._written_s < _WRITTEN_EVERY_S:
            return []
        self._written_s = now_s
        self.note_sources()
        return [self._line(state, stream, stream.meter.next_second(), now_s) for stream in self._streams]

    def last_lines(self, state: LiveState, now_s: float) -> list[WriteStatistics]:
        """Return a line about the whole session for each stream; none where there was no frame."""
        if self._began_s is None:
            return []
        lines = [self._line(state, stream, stream.meter.whole, now_s) for stream in self._streams]
        return [WriteStatistics(line.record | {"whole_run": True}) for line in lines]

    def _line(self, state: LiveState, stream: RunningStream, counts: Counts, now_s: float) -> WriteStatistics:
        numbers: dict[str, int] = {}
        for output in self._outputs:
            numbers |= output.counts()
        return WriteStatistics(stream.line(state, counts, self.elapsed_s(now_s)) | numbers)
