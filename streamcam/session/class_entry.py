"""Typing the name of a class, with completion."""

from __future__ import annotations

import dataclasses

LISTED = 5
"""How many completions are listed."""


@dataclasses.dataclass(frozen=True, slots=True)
class ClassEntry:
    """The name of a class while it is being typed; immutable."""

    labels: tuple[str, ...]
    """Class names, by index."""
    text: str = ""
    chosen: int = 0
    """Which of `matches` is chosen."""

    @property
    def matches(self) -> tuple[int, ...]:
        """Indices of the classes whose names fit the text, best first, at most `LISTED`.

        Names that begin with the text come first, then names with a word that does, then those that
        contain it.
        """
        typed = self.text.casefold().strip()
        ranked = []
        for index, label in enumerate(self.labels):
            rank = _rank(label.casefold(), typed)
            if rank is not None:
                ranked.append((rank, len(label) if typed else 0, index))
        return tuple(index for *_, index in sorted(ranked)[:LISTED])

    @property
    def choice(self) -> int | None:
        """Index of the chosen class; None where no name fits."""
        matches = self.matches
        return matches[min(self.chosen, len(matches) - 1)] if matches else None

    def append(self, character: str) -> ClassEntry:
        """Return the entry with one more character."""
        return ClassEntry(self.labels, self.text + character)

    def erase(self) -> ClassEntry:
        """Return the entry without its last character."""
        return ClassEntry(self.labels, self.text[:-1])

    def move(self, steps: int) -> ClassEntry:
        """Return the entry with another of the matches chosen."""
        count = max(len(self.matches), 1)
        return dataclasses.replace(self, chosen=(self.chosen + steps) % count)

    def complete(self) -> ClassEntry:
        """Return the entry with its text completed to the chosen class."""
        choice = self.choice
        return self if choice is None else ClassEntry(self.labels, self.labels[choice])


def _rank(label: str, typed: str) -> int | None:
    if label.startswith(typed):
        return 0
    if f" {typed}" in label:
        return 1
    return 2 if typed in label else None
