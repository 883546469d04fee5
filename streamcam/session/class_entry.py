"""Typing the name of a class, with completion, or a prompt."""

from __future__ import annotations

import dataclasses

LISTED = 5
"""How many completions are listed."""


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    """One thing that can be done with what was typed."""

    text: str
    """Description for the list."""
    class_index: int | None = None
    """The class to explain; None to change the prompts."""
    prompts: tuple[str, ...] = ()
    """The prompts from now on, the last of which was typed."""


@dataclasses.dataclass(frozen=True, slots=True)
class ClassEntry:
    """The name of a class, or a prompt, while it is being typed; immutable."""

    labels: tuple[str, ...] = ()
    """Class names, by index; none while the network is loading."""
    text: str = ""
    chosen: int = 0
    """Which of `choices` is chosen."""
    takes_prompts: bool = False
    """Whether the classes are prompts, and a text that is none becomes one."""

    @property
    def choices(self) -> tuple[Choice, ...]:
        """The possibilities, the likeliest first: adding a new prompt, replacing all, explaining a class."""
        typed = self.text.strip()
        known = {label.casefold() for label in self.labels}
        classes = tuple(Choice(self.labels[index], index) for index in self.matches)
        if not self.takes_prompts or not typed or typed.casefold() in known:
            return classes
        added = Choice(f"add {typed!r}", prompts=(*self.labels, typed))
        return added, Choice(f"only {typed!r}", prompts=(typed,)), *classes

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
    def choice(self) -> Choice | None:
        """The possibility that is chosen; None where there is nothing to choose."""
        choices = self.choices
        return choices[min(self.chosen, len(choices) - 1)] if choices else None

    def append(self, character: str) -> ClassEntry:
        """Return the entry with one more character."""
        return self._with_text(self.text + character)

    def erase(self) -> ClassEntry:
        """Return the entry without its last character."""
        return self._with_text(self.text[:-1])

    def move(self, steps: int) -> ClassEntry:
        """Return the entry with another of the choices chosen."""
        count = max(len(self.choices), 1)
        return dataclasses.replace(self, chosen=(self.chosen + steps) % count)

    def complete(self) -> ClassEntry:
        """Return the entry with its text completed to the chosen class."""
        choice = self.choice
        is_class = choice is not None and choice.class_index is not None
        return self._with_text(choice.text) if choice is not None and is_class else self

    def _with_text(self, text: str) -> ClassEntry:
        return dataclasses.replace(self, text=text, chosen=0)


def _rank(label: str, typed: str) -> int | None:
    if label.startswith(typed):
        return 0
    if f" {typed}" in label:
        return 1
    return 2 if typed in label else None
