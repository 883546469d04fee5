"""How a live session is doing, in numbers: for the window, and for a file."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter, deque
from collections.abc import Iterable
from typing import Any

_WINDOW_S = 2.0
"""Rates are measured over this many seconds."""

_COUNTED = ("captured", "shown", "explained")

_BIN_MS = 0.1
_MOST_MS = 60_000.0


class Rate:
    """How often something happens per second, from a count that is read now and then."""

    def __init__(self) -> None:
        self._counts: deque[tuple[float, int]] = deque()

    def note(self, now_s: float, count: int) -> None:
        """Add a reading of the count."""
        self._counts.append((now_s, count))
        while len(self._counts) > 2 and self._counts[1][0] < now_s - _WINDOW_S:
            self._counts.popleft()

    @property
    def per_s(self) -> float:
        """Rate over the last seconds; 0 while there is only one reading."""
        if len(self._counts) < 2:
            return 0.0
        (first_s, first), (last_s, last) = self._counts[0], self._counts[-1]
        return (last - first) / (last_s - first_s) if last_s > first_s else 0.0


class Ages:
    """Ages of frames, kept as a histogram: days of them take no more memory than a minute."""

    def __init__(self) -> None:
        self._bins: Counter[int] = Counter()
        self.latest_ms = math.nan

    def note(self, age_s: float) -> None:
        """Add one age."""
        self.latest_ms = age_s * 1000
        self._bins[round(min(self.latest_ms, _MOST_MS) / _BIN_MS)] += 1

    def quantile_ms(self, share: float) -> float | None:
        """Return the age that this share of all does not exceed, to 0.1 ms; None if there are none."""
        due = math.ceil(share * self._bins.total())
        reached = 0
        for number, count in sorted(self._bins.items()):
            reached += count
            if reached >= due:
                return round(number * _BIN_MS, 1)
        return None

    def add(self, other: Ages) -> None:
        """Add all of another's ages."""
        self._bins += other._bins

    def summary(self) -> dict[str, float | None]:
        """Return median, 99th percentile and maximum, in ms."""
        return {
            "median": self.quantile_ms(0.5),
            "p99": self.quantile_ms(0.99),
            "max": self.quantile_ms(1.0),
        }


@dataclasses.dataclass
class Counts:
    """The counts and ages of a stretch of time."""

    captured: int = 0
    """Frames that the source sent."""
    shown: int = 0
    """Different frames that were shown."""
    explained: int = 0
    """Explanations that were finished."""
    empty: int = 0
    """How many of them have no heat, see `streamcam.empty_maps.BLANK_MAPS`."""
    dropped: int = 0
    """Frames that were captured and never shown, because newer ones had arrived."""
    frame_age: Ages = dataclasses.field(default_factory=Ages)
    """From a frame's arrival until it was shown."""
    heat_age: Ages = dataclasses.field(default_factory=Ages)
    """From the arrival of the frame that was explained until its heat was shown."""

    @classmethod
    def sum(cls, several: Iterable[Counts]) -> Counts:
        """Return the counts of several streams together."""
        total = cls()
        for counts in several:
            total.captured += counts.captured
            total.shown += counts.shown
            total.explained += counts.explained
            total.empty += counts.empty
            total.dropped += counts.dropped
            total.frame_age.add(counts.frame_age)
            total.heat_age.add(counts.heat_age)
        return total

    def record(self) -> dict[str, Any]:
        """Return the numbers by name, as in the statistics file."""
        return {
            "captured": self.captured,
            "shown": self.shown,
            "explained": self.explained,
            "empty": self.empty,
            "dropped": self.dropped,
            "frame_age_ms": self.frame_age.summary(),
            "heat_age_ms": self.heat_age.summary(),
        }


@dataclasses.dataclass(frozen=True, slots=True)
class Statistics:
    """How a session is doing at one moment."""

    captured_per_s: float = 0.0
    shown_per_s: float = 0.0
    explained_per_s: float = 0.0
    frame_age_ms: float = math.nan
    """From the arrival of the last frame until it was shown; NaN before the first."""
    heat_age_ms: float = math.nan
    dropped: int = 0
    """Frames that were captured and never shown."""
    captured: int = 0
    """Since the beginning, as the two that follow."""
    shown: int = 0
    explained: int = 0


class Meter:
    """Counts what a session does, for the whole run and for each second. Belongs to one thread.

    Attributes:
        whole: Counts of the whole run.
        second: Counts since the last `next_second`.
    """

    def __init__(self) -> None:
        self.whole, self.second = Counts(), Counts()
        self._rates = {name: Rate() for name in _COUNTED}

    def note_source(self, captured: int, dropped: int) -> None:
        """Set how many frames the source has sent so far, and how many of them were dropped."""
        self.second.captured += captured - self.whole.captured
        self.second.dropped += dropped - self.whole.dropped
        self.whole.captured, self.whole.dropped = captured, dropped

    def note_explained(self, *, is_empty: bool) -> None:
        """Count an explanation.

        Args:
            is_empty: Whether no map of it has heat.
        """
        for counts in (self.whole, self.second):
            counts.explained += 1
            counts.empty += is_empty

    def note_shown(self, frame_age_s: float, heat_age_s: float | None) -> None:
        """Count a frame that was shown.

        Args:
            frame_age_s: Seconds since it arrived.
            heat_age_s: Seconds since the frame arrived whose explanation it shows; None without heat.
        """
        for counts in (self.whole, self.second):
            counts.shown += 1
            counts.frame_age.note(frame_age_s)
            if heat_age_s is not None:
                counts.heat_age.note(heat_age_s)

    def measure(self, now_s: float) -> Statistics:
        """Return the rates of the last seconds and the latest ages."""
        for name, rate in self._rates.items():
            rate.note(now_s, getattr(self.whole, name))
        return Statistics(
            **{f"{name}_per_s": rate.per_s for name, rate in self._rates.items()},
            frame_age_ms=self.whole.frame_age.latest_ms,
            heat_age_ms=self.whole.heat_age.latest_ms,
            dropped=self.whole.dropped,
            captured=self.whole.captured,
            shown=self.whole.shown,
            explained=self.whole.explained,
        )

    def next_second(self) -> Counts:
        """Return the counts since the last call, and start again from zero."""
        done, self.second = self.second, Counts()
        return done
