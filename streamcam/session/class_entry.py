"""Typing the name of a class, with completion."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

LISTED = 5
"""How many completions are offered at once."""


@dataclasses.dataclass(frozen=True, slots=True)
class ClassEntry:
    """A class's name while it is being typed. Each change makes a new one."""

    labels: Sequence[str]
    """Every class's name, by index."""
    text: str = ""
    chosen: int = 0
    """Which of `matches` is meant."""

    @property
    def matches(self) -> tuple[int, ...]:
        """The classes whose names fit what was typed, best first, at most `LISTED`.

        Names that begin with it come before those with a word that does, and before those that contain it.
        """
        typed = self.text.casefold().strip()
        ranked = []
        for index, label in enumerate(self.labels):
            place = _place(label.casefold(), typed)
            if place is not None:
                ranked.append((place, len(label) if typed else 0, index))
        return tuple(index for *_, index in sorted(ranked)[:LISTED])

    @property
    def choice(self) -> int | None:
        """The class meant; None where no name fits."""
        matches = self.matches
        return matches[min(self.chosen, len(matches) - 1)] if matches else None

    def typed(self, character: str) -> ClassEntry:
        """Add one character."""
        return ClassEntry(self.labels, self.text + character)

    def erased(self) -> ClassEntry:
        """Take the last character away."""
        return ClassEntry(self.labels, self.text[:-1])

    def moved(self, by: int) -> ClassEntry:
        """Choose another of the matches."""
        count = max(len(self.matches), 1)
        return dataclasses.replace(self, chosen=(self.chosen + by) % count)

    def completed(self) -> ClassEntry:
        """Complete the text to the class meant."""
        choice = self.choice
        return self if choice is None else ClassEntry(self.labels, self.labels[choice])


def _place(label: str, typed: str) -> int | None:
    if label.startswith(typed):
        return 0
    if f" {typed}" in label:
        return 1
    return 2 if typed in label else None
