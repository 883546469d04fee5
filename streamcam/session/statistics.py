"""How a live preview is doing, in numbers: for the window, and for a file."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
from collections import Counter, deque
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from streamcam.errors import SinkError

_WINDOW_S = 2.0
"""Rates are those of the last seconds, so many."""

_COUNTED = ("captured", "shown", "explained")

_BIN_MS = 0.1
_MOST_MS = 60_000.0


class Rate:
    """How many of something there were in a second, lately. A count that is read now and then will do."""

    def __init__(self) -> None:
        self._counts: deque[tuple[float, int]] = deque()

    def note(self, now_s: float, count: int) -> None:
        """Note how many there were until now."""
        self._counts.append((now_s, count))
        while len(self._counts) > 2 and self._counts[1][0] < now_s - _WINDOW_S:
            self._counts.popleft()

    @property
    def per_s(self) -> float:
        """The rate; 0 while it is not known."""
        if len(self._counts) < 2:
            return 0.0
        (first_s, first), (last_s, last) = self._counts[0], self._counts[-1]
        return (last - first) / (last_s - first_s) if last_s > first_s else 0.0


class Ages:
    """How old something was each time: as a histogram, so that days of it take no more room than a minute."""

    def __init__(self) -> None:
        self._bins: Counter[int] = Counter()
        self.latest_ms = math.nan

    def note(self, age_s: float) -> None:
        """Note one age."""
        self.latest_ms = age_s * 1000
        self._bins[round(min(self.latest_ms, _MOST_MS) / _BIN_MS)] += 1

    def quantile_ms(self, share: float) -> float | None:
        """The age that this share of all did not exceed, to 0.1 ms; None if there were none."""
        wanted = math.ceil(share * self._bins.total())
        reached = 0
        for number, count in sorted(self._bins.items()):
            reached += count
            if reached >= wanted:
                return round(number * _BIN_MS, 1)
        return None

    def summary(self) -> dict[str, float | None]:
        """Median, 99th percentile and maximum, in ms."""
        return {
            "median": self.quantile_ms(0.5),
            "p99": self.quantile_ms(0.99),
            "max": self.quantile_ms(1.0),
        }


@dataclasses.dataclass
class Figures:
    """The counts and ages of a preview since some moment."""

    captured: int = 0
    """Frames that the source gave."""
    shown: int = 0
    """Different frames that were shown."""
    explained: int = 0
    """Explanations that were finished."""
    dropped: int = 0
    """Frames that were captured and never shown, because newer ones were there."""
    frame_age: Ages = dataclasses.field(default_factory=Ages)
    """From a frame's arrival until it was shown."""
    heat_age: Ages = dataclasses.field(default_factory=Ages)
    """From the arrival of the frame that was explained until its heat was shown."""

    def record(self) -> dict[str, Any]:
        """The numbers by name."""
        return {
            "captured": self.captured,
            "shown": self.shown,
            "explained": self.explained,
            "dropped": self.dropped,
            "frame_age_ms": self.frame_age.summary(),
            "heat_age_ms": self.heat_age.summary(),
        }


class StatsFile:
    """JSON lines: one for each second, and a last one for the whole run, with ``"whole_run": true``."""

    def __init__(self, path: Path) -> None:
        """Begin the file anew.

        Raises:
            SinkError: if it cannot be written.
        """
        self._path = path
        try:
            self._file: IO[str] = path.open("w", encoding="utf-8")
        except OSError as error:
            raise SinkError(f"cannot write {str(path)!r}: {error.strerror}") from error

    def write(self, record: dict[str, Any]) -> None:
        """Add one line, which others can read at once.

        Raises:
            SinkError: if the disk is full.
        """
        try:
            self._file.write(json.dumps(record) + "\n")
            self._file.flush()
        except OSError as error:
            raise SinkError(f"cannot write {str(self._path)!r}: {error.strerror}") from error

    def close(self) -> None:
        """Close the file; may be called again. What a full disk refused has been told by `write`."""
        with contextlib.suppress(OSError):
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Meter:
    """Counts what a preview does, for the whole run and for each second. Belongs to one thread.

    Attributes:
        whole: The figures of the whole run.
        second: Those since the last `next_second`.
    """

    def __init__(self) -> None:
        self.whole, self.second = Figures(), Figures()
        self._rates = {name: Rate() for name in _COUNTED}

    def note_source(self, captured: int, dropped: int) -> None:
        """Note how many frames the source has given until now, and how many of them were dropped."""
        self.second.captured += captured - self.whole.captured
        self.second.dropped += dropped - self.whole.dropped
        self.whole.captured, self.whole.dropped = captured, dropped

    def note_explained(self) -> None:
        """Count an explanation."""
        for figures in (self.whole, self.second):
            figures.explained += 1

    def note_shown(self, frame_age_s: float, heat_age_s: float | None) -> None:
        """Count a frame that was shown, so long after it arrived."""
        for figures in (self.whole, self.second):
            figures.shown += 1
            figures.frame_age.note(frame_age_s)
            if heat_age_s is not None:
                figures.heat_age.note(heat_age_s)

    def rates(self, now_s: float) -> dict[str, float]:
        """How many were captured, shown and explained in a second, lately."""
        for name, rate in self._rates.items():
            rate.note(now_s, getattr(self.whole, name))
        return {name: rate.per_s for name, rate in self._rates.items()}

    def next_second(self) -> Figures:
        """Return the figures since the last call, and begin anew."""
        done, self.second = self.second, Figures()
        return done
