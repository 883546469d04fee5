"""Label ranking with hysteresis: a class is replaced only by one that has led for a while, or clearly."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streamcam.errors import InvalidArgumentError
from streamcam.frames import FloatArray

CLEAR_LEAD = 0.2
"""A class that leads by this much smoothed probability takes over at once."""

_UNREST_DECAY = 0.85
"""Share of the largest change of a probability that still counts one explained frame later."""
_UNREST_WEIGHT = 2.0
"""How many times its largest recent change a probability may change before the next explained frame."""
_LONGEST_GUESS_S = 0.12
"""Where the leading class changes, probabilities are guessed from those around them no longer than this."""
_MOST_OFF = 0.1
"""By how much of the leading probability others may be wrong, smoothed, because some were guessed."""
_CONTENDER = 0.3
"""Those of classes with at least this much of it: that error stays, and may decide when the two are tied."""


class NumberSmoothing:
    """Smooths numbers over time, with a time constant."""

    def __init__(self, time_constant_s: float) -> None:
        """Start a video.

        Args:
            time_constant_s: In seconds; 0 leaves numbers as they are.
        """
        self._time_constant_s = time_constant_s
        self._smoothed: FloatArray | None = None
        self._time_s = 0.0

    @property
    def smoothed(self) -> FloatArray | None:
        """The last numbers, smoothed; None before the first of a shot."""
        return self._smoothed

    def restart(self) -> None:
        """Start a new shot: the next numbers stay as they are."""
        self._smoothed = None

    def restore(self, smoothed: FloatArray, time_s: float) -> None:
        """Go on from numbers that `update` returned, NaN where they are not known."""
        self._smoothed, self._time_s = smoothed, time_s

    def continues(self, numbers: FloatArray) -> bool:
        """Return whether the next numbers are smoothed with earlier ones."""
        is_first = self._smoothed is None or self._smoothed.shape != numbers.shape
        return not is_first and self._time_constant_s > 0

    def update(self, numbers: FloatArray, time_s: float) -> FloatArray:
        """Return the next numbers smoothed; those that are not finite change nothing.

        Args:
            numbers: float32 (count,).
            time_s: Presentation time in seconds.
        """
        finite = bool(np.isfinite(numbers).all())
        elapsed_s = max(0.0, time_s - self._time_s)
        if not self.continues(numbers):
            self._smoothed = numbers if finite else None
        elif finite:
            assert self._smoothed is not None
            before = np.where(np.isnan(self._smoothed), numbers, self._smoothed)
            weight = np.float32(-math.expm1(-elapsed_s / self._time_constant_s))
            self._smoothed = before + weight * (numbers - before)
        if finite:
            self._time_s = time_s
        return numbers if self._smoothed is None else self._smoothed


class _RecentAnswers:
    """How probabilities went lately: how fast they change, and how well those in between can be guessed."""

    def __init__(self) -> None:
        self._last: list[tuple[float, FloatArray]] = []  # three at most
        self._changed: FloatArray | None = None
        self._bent: FloatArray | None = None

    @property
    def last(self) -> FloatArray | None:
        """The last probabilities, float32 (classes,); None before the first of a shot."""
        return self._last[-1][1] if self._last else None

    @property
    def last_s(self) -> float:
        """Their presentation time in seconds."""
        return self._last[-1][0] if self._last else 0.0

    @property
    def changes(self) -> FloatArray:
        """The largest recent change of each probability from one answer to the next, float32 (classes,)."""
        if self._changed is not None:
            return self._changed
        assert self.last is not None
        return np.zeros_like(self.last)

    @property
    def bends(self) -> FloatArray:
        """How far each lay at most from the straight line between its neighbors, float32 (classes,).

        Before three answers are known, it is as much as it changes.
        """
        return self.changes if self._bent is None else self._bent

    def add(self, probabilities: FloatArray, time_s: float) -> None:
        """Take the next answer, float32 (classes,), at its presentation time in seconds."""
        last = self.last
        if last is None or last.shape != probabilities.shape:
            self._last, self._changed, self._bent = [(time_s, probabilities)], None, None
            return
        self._last = [*self._last[-2:], (time_s, probabilities)]
        if time_s > self._last[-2][0]:
            self._changed = _decay_to(np.abs(probabilities - last), self._changed)
        if len(self._last) == 3:
            (before_s, before), (middle_s, middle), _ = self._last
            if time_s > before_s:
                line = _interpolate(before, probabilities, (middle_s - before_s) / (time_s - before_s))
                self._bent = _decay_to(np.abs(middle - line), self._bent)


def _interpolate(first: FloatArray, second: FloatArray, share: float) -> FloatArray:
    """Return what lies on the straight line between two arrays: at 0 the first, at 1 the second."""
    return first + np.float32(share) * (second - first)


def _decay_to(values: FloatArray, earlier: FloatArray | None) -> FloatArray:
    """Return the largest recent values, where earlier ones count less and less."""
    return values if earlier is None else np.maximum(values, _UNREST_DECAY * earlier)


class LabelHold:
    """Ranks classes frame by frame, with hysteresis at every rank.

    Probabilities are smoothed with the hold time as time constant. A class loses its rank to another that was
    more probable throughout the hold time, or is more probable by `CLEAR_LEAD`.
    """

    def __init__(self, hold_s: float) -> None:
        """Start a video.

        Args:
            hold_s: Hold time in seconds; 0 ranks every frame by itself.

        Raises:
            InvalidArgumentError: if the hold time is negative or not finite.
        """
        if not (math.isfinite(hold_s) and hold_s >= 0):
            raise InvalidArgumentError(f"`label_hold_s` takes seconds from 0 up, not {hold_s:g}")
        self._hold_s = hold_s
        self._smoothing = NumberSmoothing(hold_s)
        self._recent = _RecentAnswers()
        self._held: list[int] = []
        self._challenged_since_s: list[float | None] = []

    def restart(self) -> None:
        """Start a new shot: the next frame is ranked by itself."""
        self._smoothing.restart()
        self._recent = _RecentAnswers()

    def update(
        self, probabilities: FloatArray, time_s: float, count: int, between_s: Sequence[float] = ()
    ) -> tuple[NDArray[np.int64], FloatArray]:
        """Rank the classes of the next explained frame.

        Args:
            probabilities: Probability of every class, float32 (classes,). If they are not finite, ranks stay
                as they were.
            time_s: Presentation time in seconds.
            count: Number of ranks.
            between_s: Times of the frames since the last one that were not explained. They count as if the
                probabilities had changed evenly.

        Returns:
            The class at each rank, int64 (count,), best first, and the smoothed probabilities, float32
            (classes,).
        """
        if np.isfinite(probabilities).all():
            last, last_s = self._recent.last, self._recent.last_s
            if last is not None and last.shape == probabilities.shape and time_s > last_s:
                for each_s in between_s:
                    share = (each_s - last_s) / (time_s - last_s)
                    self._update(_interpolate(last, probabilities, share), each_s, count)
            self._recent.add(probabilities, time_s)
        return self._update(probabilities, time_s, count)

    def _update(
        self, probabilities: FloatArray, time_s: float, count: int
    ) -> tuple[NDArray[np.int64], FloatArray]:
        if len(self._held) != count:
            self._smoothing.restart()
        continues = self._smoothing.continues(probabilities)
        smoothed = self._smoothing.update(probabilities, time_s)
        if not continues:
            self._held = _rank(probabilities)[:count]
            self._challenged_since_s = [None] * len(self._held)
        elif np.isfinite(probabilities).all():
            self._challenge_ranks(smoothed, time_s)
        return np.array(self._held, np.int64), smoothed

    def find_due_s(self, ranks: int) -> float:
        """Find when the next frame has to be explained, so that ranks are those of every frame.

        Frames in between count as if probabilities had changed evenly. That goes wrong where it makes another
        class lead, or one too late; where a class that leads clearly takes over in between; and where it
        changes smoothed probabilities by so much that classes which fall together change places later.

        Args:
            ranks: How many ranks to look at.

        Returns:
            The presentation time in seconds; that of the last frame if it is the next one; infinity if
            nothing comes closer.
        """
        smoothed, last = self._smoothing.smoothed, self._recent.last
        if last is None or smoothed is None or self._hold_s == 0:
            return math.inf
        soonest_s = math.inf
        for rank, holder in enumerate(self._held[:ranks]):
            others = np.ones(len(smoothed), bool)
            others[self._held[: rank + 1]] = False
            if others.any():
                lead, plain, change, bend = (
                    each[others].astype(np.float64)
                    for each in (
                        smoothed[holder] - smoothed,
                        last[holder] - last,
                        self._recent.changes[holder] + self._recent.changes,
                        self._recent.bends[holder] + self._recent.bends,
                    )
                )
                leading = float(smoothed[holder])
                soonest_s = min(soonest_s, self._find_rank_due_s(rank, leading, lead, plain, change, bend))
        return self._recent.last_s + soonest_s

    def _find_rank_due_s(
        self,
        rank: int,
        leading: float,
        lead: NDArray[np.float64],
        plain: NDArray[np.float64],
        change: NDArray[np.float64],
        bend: NDArray[np.float64],
    ) -> float:
        """Find in how many seconds the next frame has to be explained for one rank.

        Args:
            rank: The rank.
            leading: Smoothed probability of its holder.
            lead: By how much it leads that of each other class, float64 (others,).
            plain: The same of the last answer, not smoothed.
            change: How much that changed lately.
            bend: How far it lay from the straight line lately.
        """
        worst = plain - _UNREST_WEIGHT * change
        crosses_s = self._approach(lead, worst, 0.0)
        due_s = float(self._approach(lead, worst, -CLEAR_LEAD).min())
        since_s = self._challenged_since_s[rank]
        if since_s is not None:
            due_s = min(due_s, max(0.0, since_s + self._hold_s - self._recent.last_s))
            crosses_s[lead.argmin()] = 0.0
        # Guessed in between, the lead is wrong by up to `bend`; who leads is sure until that outweighs it.
        size = np.abs(lead)
        unsure_s = np.minimum(self._approach(size, size - bend, 0.0), _LONGEST_GUESS_S)
        due_s = min(due_s, float(np.maximum(crosses_s, unsure_s).min()))
        off = bend[leading - lead >= _CONTENDER * leading]
        most = np.full(len(off), _MOST_OFF * leading)
        return min(due_s, float(self._approach(most, most - off, 0.0).min(initial=math.inf)))

    def _approach(
        self, leads: NDArray[np.float64], unsmoothed: NDArray[np.float64], level: float
    ) -> NDArray[np.float64]:
        """Return in how many seconds smoothed leads fall to a level, float64 (others,); infinity for never.

        They go toward the unsmoothed ones exponentially.
        """
        seconds = np.full(len(leads), math.inf)
        falls = unsmoothed < level
        ratio = (leads[falls] - unsmoothed[falls]) / (level - unsmoothed[falls])
        seconds[falls] = self._hold_s * np.log(np.maximum(1.0, ratio))
        return seconds

    def _challenge_ranks(self, smoothed: FloatArray, time_s: float) -> None:
        """Compare each rank's holder with the best class that holds no higher rank."""
        ranked = _rank(smoothed)
        for rank, holder in enumerate(self._held):
            challenger = next(index for index in ranked if index not in self._held[:rank])
            lead = smoothed[challenger] - smoothed[holder]
            since_s = self._challenged_since_s[rank]
            if lead <= 0:
                self._challenged_since_s[rank] = None
            elif since_s is None and lead < CLEAR_LEAD:
                self._challenged_since_s[rank] = time_s
            elif lead >= CLEAR_LEAD or (since_s is not None and time_s - since_s >= self._hold_s):
                self._swap(rank, challenger)

    def _swap(self, rank: int, challenger: int) -> None:
        """Put a class at a rank; the previous holder moves down to where that class was."""
        places = [*self._held, challenger]
        previous_rank = places.index(challenger)
        places[rank], places[previous_rank] = challenger, places[rank]
        self._held = places[: len(self._held)]
        self._challenged_since_s[rank] = None


def _rank(probabilities: FloatArray) -> list[int]:
    order: list[int] = np.argsort(-probabilities, kind="stable").tolist()
    return order
