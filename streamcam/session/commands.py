"""Commands of a live session: the one table that window keys, the help and Python read.

Every command is a pure function: the state and an argument in, the next state and its effects out.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

from streamcam.errors import InvalidArgumentError, unknown_name
from streamcam.overlay import COLORMAPS, LAYOUTS
from streamcam.session.class_entry import ClassEntry
from streamcam.session.command_sources import Argument
from streamcam.session.events import (
    Effect,
    EndAskedRecordings,
    Explain,
    Freeze,
    MeasureDeletion,
    Quit,
    SaveImage,
    Smooth,
    ToggleFullScreen,
    ToggleRecording,
    Update,
)
from streamcam.session.explainers import PANES
from streamcam.session.state import LiveState

LIVE_LAYOUTS = (*LAYOUTS, *PANES)
"""The layouts that the key goes through: those of one explanation, and grids of several."""


SMOOTHINGS_S = (0.0, 0.12, 0.25, 0.5, 1.0)
"""The time constants that the smoothing key goes through, in seconds."""

LABEL_SIZES = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0)
"""The sizes of text that the label size keys go through, as `OverlaySettings.label_size`."""

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
    is_for_walls: bool = False
    """Whether it is for sessions of several streams."""


# --- One function for each command -------------------------------------------------------------------------


def ask(effect: Effect) -> Callable[[LiveState, Argument], Update]:
    """Make the function of a command that changes no state and asks for an effect."""
    return lambda state, _: Update(state, (effect,))


def toggle_frozen(state: LiveState, _: Argument) -> Update:
    """Hold the frame shown, or continue with new ones."""
    frozen = not state.frozen
    return Update(dataclasses.replace(state, frozen=frozen), (Freeze(frozen),))


def change_method(state: LiveState, argument: Argument) -> Update:
    """Go to another method: by name, or by steps through the list."""
    methods = () if state.facts is None else state.facts.methods
    if not methods:  # nothing is loaded yet
        return Update(state)
    assert state.facts is not None
    asked = state.facts.method if state.request.method == "auto" else state.request.method
    # The request may carry options; the list has bare names.
    method = _chosen("method", methods, asked.partition(":")[0], argument)
    first = "" if state.defaults is None else state.defaults[0].method
    if first.partition(":")[0] == method:
        method = first  # back to the one that the session began with, with its options
    panes = None if state.request.panes == "methods" else state.request.panes
    return _request(state, f"method {method} …", method=method, panes=panes)


def change_layer(state: LiveState, argument: Argument) -> Update:
    """Go to another target layer: by name, or by steps towards the network's output."""
    if state.facts is None:
        return Update(state)
    if isinstance(argument, str):
        layer = argument
    elif state.facts.layers:
        current = state.facts.layer if state.request.layer == "auto" else state.request.layer
        layer = _chosen("layer", state.facts.layers, current, argument)
    else:
        return Update(state)
    panes = None if state.request.panes == "layers" else state.request.panes
    return _request(state, f"layer {layer} …", layer=layer, panes=panes)


def toggle_lock(state: LiveState, _: Argument) -> Update:
    """Keep explaining the class shown now, or follow the most probable one again."""
    if state.request.class_index is not None:
        return _request(state, "the most probable class", class_index=None, rank=0)
    if state.alone is None:
        return Update(state.with_message("choose a stream first, whose class is locked"))
    target = state.alone.target
    if target is None or target.index < 0:
        return Update(state)
    return lock_class(state, target.index, target.label)


def follow_rank(state: LiveState, argument: Argument) -> Update:
    """Explain each frame's nth prediction, counted from 1."""
    place = _whole_number("prediction", argument)
    if place < 1:
        raise InvalidArgumentError(f"predictions are counted from 1, not {place}")
    return _request(state, f"prediction number {place}", class_index=None, rank=place - 1)


def explain_class(state: LiveState, argument: Argument) -> Update:
    """Keep explaining one class, by its name or index."""
    if state.facts is None:
        return Update(state)
    labels = state.facts.labels
    if isinstance(argument, str):
        if argument not in labels:
            raise unknown_name("class", argument, labels)
        return lock_class(state, labels.index(argument), argument)
    index = _whole_number("class", argument)
    if not 0 <= index < len(labels):
        raise InvalidArgumentError(f"there is no class {index}; the network has {len(labels)}")
    return lock_class(state, index, labels[index])


def begin_entry(state: LiveState, _: Argument) -> Update:
    """Start typing the name of a class, or a prompt."""
    facts = state.facts  # None while the network is loading: its classes are listed once it is there
    entry = ClassEntry() if facts is None else ClassEntry(facts.labels, takes_prompts=facts.takes_prompts)
    return Update(dataclasses.replace(state.with_view(help_shown=False), entry=entry))


def add_prompt(state: LiveState, argument: Argument) -> Update:
    """Compare frames with one more text, and explain that."""
    prompt = _prompt(state, argument)
    if state.facts is None:
        return Update(state)
    if prompt in state.facts.labels:
        return explain_class(state, prompt)
    return change_prompts(state, (*state.facts.labels, prompt))


def replace_prompts(state: LiveState, argument: Argument) -> Update:
    """Compare frames with this text alone."""
    return change_prompts(state, (_prompt(state, argument),))


def _prompt(state: LiveState, argument: Argument) -> str:
    if not isinstance(argument, str) or not argument.strip():
        raise InvalidArgumentError(f"a prompt is a text, not {argument!r}")
    if state.facts is not None and not state.facts.takes_prompts:
        raise InvalidArgumentError(f"{state.facts.model} has classes of its own and takes no prompts")
    return argument.strip()


def change_prompts(state: LiveState, prompts: tuple[str, ...]) -> Update:
    """Compare frames with other texts, and explain the last of them."""
    return _request(
        state, f"prompt: {prompts[-1]} …", prompts=prompts, class_index=len(prompts) - 1, rank=None
    )


def change_colormap(state: LiveState, argument: Argument) -> Update:
    """Go to another color map: by name, or by steps."""
    name = _chosen("color map", list(COLORMAPS), state.view.overlay.colormap, argument)
    overlay = dataclasses.replace(state.view.overlay, colormap=name)
    return Update(state.with_view(overlay=overlay).with_message(f"color map {name}"))


def change_opacity(state: LiveState, argument: Argument) -> Update:
    """Show more of the heat, or less."""
    alpha = round(min(max(state.view.overlay.alpha + _number("opacity", argument), 0.0), 1.0), 2)
    overlay = dataclasses.replace(state.view.overlay, alpha=alpha)
    return Update(state.with_view(overlay=overlay).with_message(f"opacity {alpha:.0%}"))


def change_smoothing(state: LiveState, argument: Argument) -> Update:
    """Set the time constant of the smoothing in seconds, or go to the next one in the list."""
    if argument is None:
        longer = [seconds for seconds in SMOOTHINGS_S if seconds > state.view.smoothing_s + 1e-6]
        smoothing_s = longer[0] if longer else SMOOTHINGS_S[0]
    else:
        smoothing_s = _number("smoothing", argument)
        if not 0 <= smoothing_s < float("inf"):
            raise InvalidArgumentError(f"smoothing takes seconds from 0 up, not {smoothing_s:g}")
    words = f"smoothing {smoothing_s:g} s" if smoothing_s else "no smoothing"
    return Update(state.with_view(smoothing_s=smoothing_s).with_message(words), (Smooth(smoothing_s),))


def toggle_heat(state: LiveState, _: Argument) -> Update:
    """Show the heat, or the bare frame."""
    shown = not state.view.heat_shown
    return Update(state.with_view(heat_shown=shown).with_message(f"heat {'on' if shown else 'off'}"))


def change_layout(state: LiveState, argument: Argument) -> Update:
    """Go to another layout, or to a grid of methods or layers: by name, or by steps."""
    layout = _chosen("layout", LIVE_LAYOUTS, layout_of(state), argument)
    if layout in PANES:
        return _request(state, f"{layout} side by side …", panes=layout)
    overlay = dataclasses.replace(state.view.overlay, layout=layout)
    state = state.with_view(overlay=overlay)
    if state.request.panes is not None:
        return _request(state, layout, panes=None)
    return Update(state.with_message(layout))


def change_label_size(state: LiveState, argument: Argument) -> Update:
    """Make all text on the image larger or smaller, by steps through `LABEL_SIZES`."""
    steps, current = _whole_number("label size", argument), state.view.overlay.label_size
    place = min(range(len(LABEL_SIZES)), key=lambda number: abs(LABEL_SIZES[number] - current))
    label_size = LABEL_SIZES[min(max(place + steps, 0), len(LABEL_SIZES) - 1)]
    overlay = dataclasses.replace(state.view.overlay, label_size=label_size)
    return Update(state.with_view(overlay=overlay).with_message(f"text size {label_size:.0%}"))


def toggle_deletion(state: LiveState, _: Argument) -> Update:
    """Measure and show what is left of the class without the heat, or no longer."""
    shown = not state.view.deletion_shown
    state = state.without_deletion().with_view(deletion_shown=shown)
    if not shown:
        state = state.with_message("the heat is no longer tested")
    return Update(state, (MeasureDeletion(shown),))


def toggle_caption(state: LiveState, _: Argument) -> Update:
    """Show the caption, or hide it."""
    caption, hidden = state.view.overlay.caption, state.view.hidden_caption
    if not caption and not hidden:
        return Update(state.with_message("there is no caption"))
    overlay = dataclasses.replace(state.view.overlay, caption=hidden)
    return Update(state.with_view(overlay=overlay, hidden_caption=caption))


def choose_stream(state: LiveState, argument: Argument) -> Update:
    """Show one of several streams alone: by name, or by steps through all streams and the wall of them."""
    names = [stream.name for stream in state.streams]
    if len(names) == 1:
        return Update(state.with_message(f"there is only {names[0]}"))
    if isinstance(argument, str):
        if argument not in names:
            raise unknown_name("stream", argument, names)
        large: int | None = names.index(argument)
    else:
        place = 0 if state.large is None else state.large + 1
        place = (place + _whole_number("stream", argument)) % (len(names) + 1)
        large = place - 1 if place else None
    return Update(dataclasses.replace(state, large=large))


def show_wall(state: LiveState, _: Argument) -> Update:
    """Show all streams again."""
    return Update(dataclasses.replace(state, large=None))


def layout_of(state: LiveState) -> str:
    """Return the layout in use, one of `LIVE_LAYOUTS`."""
    return state.request.panes or state.view.overlay.layout


def restore_defaults(state: LiveState, _: Argument) -> Update:
    """Explain and show everything as at the beginning."""
    if state.defaults is None:
        return Update(state)
    request, view = state.defaults
    effects: list[Effect] = [Smooth(view.smoothing_s)]
    if request != state.request:
        effects.append(Explain(request))
    if view.deletion_shown != state.view.deletion_shown:
        effects.append(MeasureDeletion(view.deletion_shown))
        state = state.without_deletion()
    if state.frozen:
        effects.append(Freeze(False))
    state = dataclasses.replace(state, request=request, view=view, large=None, frozen=False, entry=None)
    return Update(state.with_message("as at the beginning"), tuple(effects))


def toggle_statistics(state: LiveState, _: Argument) -> Update:
    """Show the statistics, or hide them."""
    return Update(state.with_view(statistics_shown=not state.view.statistics_shown))


def toggle_help(state: LiveState, _: Argument) -> Update:
    """Show the help, or hide it."""
    return Update(state.with_view(help_shown=not state.view.help_shown))


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
    Command("deletion", {"t": None}, "t", "test the heat by removing it", toggle_deletion),
    Command("caption", {"x": None}, "x", "caption on or off", toggle_caption),
    Command("stream", {"n": 1, "N": -1}, "n  N", "next, previous stream alone", choose_stream, _STEPS, True),
    Command("wall", {"w": None}, "w", "all streams", show_wall, is_for_walls=True),
    Command("save_image", {"p": None}, "p", "image to a file", ask(SaveImage())),
    Command("record", {"r": None}, "r", "start, stop recording", ask(ToggleRecording())),
    Command("end_recordings", {}, "", "end recordings that were asked for", ask(EndAskedRecordings())),
    Command("defaults", {"0": None}, "0", "all as at the beginning", restore_defaults),
    Command("statistics", {"i": None}, "i", "statistics", toggle_statistics),
    Command("help", {"h": None}, "h", "this help", toggle_help),
]
"""Every command, in the order of the help. Adding one is adding a row."""


def help_rows(streams: int) -> tuple[tuple[str, str], ...]:
    """Return the lines of the help: keys, and what they do in a session of that number of streams."""
    return tuple(
        (command.key_label, command.words)
        for command in COMMANDS
        if command.keys and (streams > 1 or not command.is_for_walls)
    )


def _request(state: LiveState, message: str, **changes: str | int | tuple[str, ...] | None) -> Update:
    """Ask for something else to be explained."""
    request = dataclasses.replace(state.request, **changes)  # type: ignore[arg-type]
    return Update(dataclasses.replace(state, request=request).with_message(message), (Explain(request),))


def lock_class(state: LiveState, index: int, label: str) -> Update:
    return _request(state, f"locked: {label}", class_index=index, rank=None)


def _chosen(kind: str, names: Sequence[str], current: str, argument: Argument) -> str:
    """Find a name in a list: by itself, or by steps from the current one, around the ends."""
    if isinstance(argument, str):
        if argument.partition(":")[0] not in names:
            raise unknown_name(kind, argument, names)
        return argument
    steps = _whole_number(kind, argument)
    if current not in names:
        return names[0] if steps > 0 else names[-1]
    return names[(names.index(current) + steps) % len(names)]


def _number(kind: str, argument: Argument) -> float:
    if isinstance(argument, int | float) and math.isfinite(argument):
        return argument
    raise InvalidArgumentError(f"{kind} takes a number, not {argument!r}")


def _whole_number(kind: str, argument: Argument) -> int:
    number = _number(kind, argument)
    if number != int(number):
        raise InvalidArgumentError(f"{kind} takes a whole number, not {argument!r}")
    return int(number)
