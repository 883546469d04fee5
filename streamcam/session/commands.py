"""Commands of a live session: the one table that window keys, the help and Python read."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from streamcam.errors import InvalidArgumentError, unknown_name
from streamcam.session.changes import (
    Argument,
    add_prompt,
    ask,
    begin_entry,
    change_colormap,
    change_label_size,
    change_layer,
    change_layout,
    change_method,
    change_opacity,
    change_smoothing,
    explain_class,
    follow_rank,
    replace_prompts,
    toggle_caption,
    toggle_frozen,
    toggle_heat,
    toggle_help,
    toggle_lock,
    toggle_statistics,
    type_key,
)
from streamcam.session.state import (
    LiveState,
    Quit,
    SaveImage,
    ToggleFullScreen,
    ToggleRecording,
    Update,
)

_OPACITY_STEP = 0.05


@dataclasses.dataclass(frozen=True, slots=True)
class Command:
    """One thing that a person can do."""

    name: str
    keys: Mapping[str, Argument]
    """Key → the argument that it stands for. The first one is the default; none where only Python can."""
    key_label: str
    """How the help writes the keys."""
    words: str
    """Description for the help."""
    change: Callable[[LiveState, Argument], Update]
    argument: str = ""
    """Description of the argument; empty where there is none."""


_STEPS = "a name, or a number of steps through the list"

COMMANDS = [
    Command("quit", {"q": None, "escape": None}, "q  Esc", "quit", ask(Quit())),
    Command("freeze", {" ": None}, "space", "freeze the image", toggle_frozen),
    Command("full_screen", {"f": None}, "f", "full screen", ask(ToggleFullScreen())),
    Command("method", {"m": 1, "M": -1}, "m  M", "next, previous method", change_method, _STEPS),
    Command("layer", {"l": -1, "L": 1}, "l  L", "earlier, later layer", change_layer, _STEPS),
    Command("lock", {"c": None}, "c", "lock or unlock the class", toggle_lock),
    Command("type_class", {"/": None}, "/", "type a class or a prompt", begin_entry),
    Command("add_prompt", {}, "", "add a prompt", add_prompt, "a text"),
    Command("replace_prompts", {}, "", "replace all prompts", replace_prompts, "a text"),
    Command(
        "prediction",
        {str(place): place for place in range(1, 6)},
        "1 ... 5",
        "explain the nth prediction",
        follow_rank,
        "the place among the predictions, from 1",
    ),
    Command("class", {}, "", "explain one class", explain_class, "a class's name or index"),
    Command("colormap", {"k": 1}, "k", "color map", change_colormap, _STEPS),
    Command(
        "opacity",
        {"[": -_OPACITY_STEP, "]": _OPACITY_STEP},
        "[  ]",
        "opacity",
        change_opacity,
        "how much to add, -1 to 1",
    ),
    Command("smoothing", {"s": None}, "s", "smoothing", change_smoothing, "seconds; the next in the list"),
    Command("overlay", {"o": None}, "o", "heat on or off", toggle_heat),
    Command("layout", {"v": 1}, "v", "layout", change_layout, _STEPS),
    Command(
        "label_size",
        {"+": 1, "=": 1, "-": -1},
        "+  -",
        "larger, smaller text",
        change_label_size,
        "a number of steps, larger above 0",
    ),
    Command("caption", {"t": None}, "t", "caption on or off", toggle_caption),
    Command("save_image", {"p": None}, "p", "image to a file", ask(SaveImage())),
    Command("record", {"r": None}, "r", "start, stop recording", ask(ToggleRecording())),
    Command("statistics", {"i": None}, "i", "statistics", toggle_statistics),
    Command("help", {"h": None}, "h", "this help", toggle_help),
]
"""Every command, in the order of the help. Adding one is adding a row."""


def help_rows() -> tuple[tuple[str, str], ...]:
    """Return the lines of the help: keys, and what they do."""
    return tuple((command.key_label, command.words) for command in COMMANDS if command.keys)


# --- Who gives commands ------------------------------------------------------------------------------------


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


# --- From keys and names to commands -----------------------------------------------------------------------


def run_command(state: LiveState, name: str, argument: Argument = None) -> Update:
    """Run a command of `COMMANDS`.

    Args:
        state: The state before.
        name: The command's name.
        argument: What it takes; None for what its first key stands for.

    Raises:
        InvalidArgumentError: if there is no such command, or the argument is not for it.
    """
    for command in COMMANDS:
        if command.name == name:
            if argument is not None and not command.argument:
                raise InvalidArgumentError(f"command {name!r} takes no argument, not {argument!r}")
            if argument is None:
                argument = next(iter(command.keys.values()), None)
            return command.change(state, argument)
    raise unknown_name("command", name, [command.name for command in COMMANDS])


def press_key(state: LiveState, key: str) -> Update:
    """Do what a key stands for.

    Args:
        state: The state before.
        key: A character, or ``"escape"``, ``"enter"``, ``"backspace"``, ``"tab"``, ``"up"``, ``"down"``.
    """
    if state.entry is not None:
        return type_key(state, state.entry, key)
    if state.view.help_shown and key == "escape":  # whoever looks for the way out of the help finds it
        return toggle_help(state, None)
    for candidate in (key, key.lower()):  # Caps Lock must not turn keys off
        for command in COMMANDS:
            if candidate in command.keys:
                return command.change(state, command.keys[candidate])
    return Update(state)
