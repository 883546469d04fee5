"""From keys and names to the commands of a live session."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from streamcam.errors import InvalidArgumentError, unknown_name
from streamcam.session import commands
from streamcam.session.class_entry import ClassEntry
from streamcam.session.command_sources import Argument
from streamcam.session.commands import change_prompts, lock_class, show_wall, toggle_help
from streamcam.session.events import Update
from streamcam.session.state import LiveState

_LARGEST = 1e9


def run_command(state: LiveState, name: str, argument: Argument = None) -> Update:
    """Run a command of `COMMANDS`.

    Args:
        state: The state before.
        name: The command's name.
        argument: What it takes; None for what its first key stands for.

    Raises:
        InvalidArgumentError: if there is no such command, or the argument is not for it.
    """
    for command in commands.COMMANDS:
        if command.name == name:
            if argument is not None and not command.argument:
                raise InvalidArgumentError(f"command {name!r} takes no argument, not {argument!r}")
            if isinstance(argument, int | float) and not -_LARGEST <= argument <= _LARGEST:  # nor NaN
                raise InvalidArgumentError(f"command {name!r} takes a number, and not one out of all bounds")
            if argument is None:
                argument = next(iter(command.keys.values()), None)
            return command.change(state, argument)
    raise unknown_name("command", name, [command.name for command in commands.COMMANDS])


def press_key(state: LiveState, key: str) -> Update:
    """Do what a key stands for.

    Args:
        state: The state before.
        key: A character, or ``"escape"``, ``"enter"``, ``"backspace"``, ``"tab"``, ``"up"``, ``"down"``.
    """
    if state.entry is not None:
        return _type(state, state.entry, key)
    if state.view.help_shown and key == "escape":  # whoever looks for the way out of the help finds it
        return toggle_help(state, None)
    if state.large is not None and key == "escape":
        return show_wall(state, None)
    for candidate in (key, key.lower()):  # Caps Lock must not turn keys off
        for command in commands.COMMANDS:
            if candidate in command.keys:
                return command.change(state, command.keys[candidate])
    return Update(state)


def _type(state: LiveState, entry: ClassEntry, key: str) -> Update:
    """Edit the class name or the prompt being typed."""
    if key == "escape":
        return Update(dataclasses.replace(state, entry=None))
    if key == "enter" and entry.text and state.facts is None:
        return Update(state.with_message("the network is still loading"))
    if key == "enter":
        state = dataclasses.replace(state, entry=None)
        choice = entry.choice
        if choice is None:
            return Update(state.with_message(f"no class is called {entry.text!r}") if entry.text else state)
        if choice.class_index is None:
            return change_prompts(state, choice.prompts)
        return lock_class(state, choice.class_index, entry.labels[choice.class_index])
    if key in _ENTRY_KEYS:
        entry = _ENTRY_KEYS[key](entry)
    elif len(key) == 1 and key.isprintable():
        entry = entry.append(key)
    return Update(dataclasses.replace(state, entry=entry))


_ENTRY_KEYS: dict[str, Callable[[ClassEntry], ClassEntry]] = {
    "backspace": ClassEntry.erase,
    "tab": ClassEntry.complete,
    "up": lambda entry: entry.move(-1),
    "down": lambda entry: entry.move(1),
}
