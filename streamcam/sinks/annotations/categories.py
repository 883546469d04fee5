"""Categories: the classes of annotations, numbered in order of appearance."""

from __future__ import annotations


class Categories:
    """Names of classes, numbered from 0 in the order in which they are met.

    Files of annotations list the classes that they use: of a network's thousand classes most never appear.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The names so far, in order of their numbers."""
        return tuple(self._numbers)

    def number(self, name: str) -> int:
        """Return the number of a class; a new one gets the next."""
        return self._numbers.setdefault(name, len(self._numbers))
