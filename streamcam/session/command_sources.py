"""Where commands of a live session come from: keys that are pressed, and calls by name."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

Argument = str | float | None


@dataclasses.dataclass(frozen=True, slots=True)
class KeyPress:
    """A key was pressed."""

    key: str
    """A character, or ``"escape"``, ``"enter"``, ``"backspace"``, ``"tab"``, ``"up"``, ``"down"``."""


@dataclasses.dataclass(frozen=True, slots=True)
class CommandCall:
    """A command was asked for by its name."""

    name: str
    argument: Argument = None


@runtime_checkable
class CommandSource(Protocol):
    """Where commands come from: a window, a page, a program."""

    def poll(self) -> Sequence[KeyPress | CommandCall]:
        """Return what was asked for since the last call, without waiting."""


class CommandQueue:
    """Commands from Python, sent by any thread."""

    def __init__(self) -> None:
        self._waiting: deque[KeyPress | CommandCall] = deque()

    def send(self, name: str, argument: Argument = None) -> None:
        """Ask for a command of `COMMANDS`; what is wrong with it is shown in the session."""
        self._waiting.append(CommandCall(name, argument))

    def press(self, *keys: str) -> None:
        """Press keys, one after another."""
        self._waiting.extend(map(KeyPress, keys))

    def poll(self) -> Sequence[KeyPress | CommandCall]:
        """Return what was sent since the last call."""
        return [self._waiting.popleft() for _ in range(len(self._waiting))]
