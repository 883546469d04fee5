"""Counts of a video's maps that show nothing: of whole frames, and of each pane or class among several."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from streamcam.empty_maps import EMPTY_MAPS, MOSTLY_HIDDEN, NOTHING_FOUND, WAY_TO_HIDDEN
from streamcam.explanations import Explanation, Prediction

_MOST_NAMED = 5
"""Number of panes or classes that a note names."""


@dataclasses.dataclass(slots=True)
class MapCounts:
    """Counts of explained frames, and of maps that show nothing."""

    explained: int = 0
    empty: Counter[str] = dataclasses.field(default_factory=Counter)
    """How many explained frames show nothing at all, by `Explanation.emptiness`."""
    _mostly_hidden: int = 0
    _best_left_out: Prediction | None = None
    """The most probable class of the frames in which a detector found no object at all."""
    _reasons: defaultdict[str, Counter[str]] = dataclasses.field(default_factory=lambda: defaultdict(Counter))
    """Pane or class → how many of its maps show nothing, by the reason."""

    def add(self, explanation: Explanation | None) -> None:
        """Count the maps of a frame; None and frames that were skipped have none."""
        if explanation is None or not explanation.is_explained:
            return
        self.explained += 1
        if explanation.emptiness is not None:
            self.empty[explanation.emptiness] += 1
        if any(one.hidden > MOSTLY_HIDDEN for one in (explanation, *explanation.others)):
            self._mostly_hidden += 1
        if explanation.emptiness == NOTHING_FOUND and not explanation.instances and explanation.predictions:
            best = explanation.predictions[0]
            if self._best_left_out is None or best.probability > self._best_left_out.probability:
                self._best_left_out = best
        for name, reason in _maps_of(explanation):
            if reason is not None:
                self._reasons[name][reason] += 1

    @property
    def notes(self) -> list[str]:
        """Sentences about frames that show nothing, and about panes and classes that do in every frame."""
        notes = note_empty_frames(self.empty, self.explained)
        if self._mostly_hidden:
            notes.append(f"in {self._mostly_hidden} of {self.explained} explained frames {WAY_TO_HIDDEN}")
        if (best := self._best_left_out) is not None:
            notes.append(
                "no object reached `confidence` where nothing was found; the best one had "
                f"{best.probability:.2f} ({best.label})"
            )
        if self.empty.total() == self.explained:
            return notes
        usual = {
            name: reasons.most_common(1)[0][0]
            for name, reasons in self._reasons.items()
            if reasons.total() == self.explained
        }
        for reason, why in EMPTY_MAPS.items():
            names = [name for name in usual if usual[name] == reason]
            if names:
                more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
                notes.append(f"no map shows anything for {', '.join(names[:_MOST_NAMED])}{more}: {why}")
        return notes


def _maps_of(explanation: Explanation) -> Iterator[tuple[str, str | None]]:
    """Yield each pane of a frame, or each of its classes, with the reason why its map shows nothing."""
    if explanation.others:
        for pane in explanation.panes:
            if pane.is_explained:
                yield pane.pane, pane.emptiness
    elif len(explanation.targets) > 1:
        for target in explanation.targets:
            yield target.label, explanation.flags.get(target.index)


def note_empty_frames(empty: Mapping[str, int], explained: int) -> list[str]:
    """Describe in how many frames the maps show nothing, and why, a sentence for each reason.

    Args:
        empty: As in `RenderResult`.
        explained: Number of explained frames.
    """
    return [
        f"the map of {count} of {explained} explained frames shows nothing: {EMPTY_MAPS[reason]}"
        for reason, count in empty.items()
    ]
