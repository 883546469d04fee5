"""What the keys of a live preview do. No window, no thread: keys in, a changed state out."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Sequence
from typing import TypeVar

from streamcam.explanations import StabilizedFrame
from streamcam.overlay import COLORMAPS, OverlaySettings
from streamcam.session.class_entry import ClassEntry
from streamcam.session.compositor import LAYOUTS
from streamcam.session.stages import ExplainerFacts, ExplainRequest

Item = TypeVar("Item")

SMOOTHINGS_S = (0.0, 0.12, 0.25, 0.5, 1.0)
"""The time constants that `s` goes through, in seconds."""

_ALPHA_STEP = 0.05


class Deed(enum.Enum):
    """What a key asks for beyond the state here."""

    QUIT = enum.auto()
    FULL_SCREEN = enum.auto()
    SAVE_IMAGE = enum.auto()
    RECORD = enum.auto()


@dataclasses.dataclass(frozen=True, slots=True)
class View:
    """How it is shown."""

    overlay: OverlaySettings = OverlaySettings()  # noqa: RUF009 - frozen
    smoothing_s: float = 0.25
    heat_shown: bool = True
    layout: str = LAYOUTS[0]
    frozen: bool = False
    figures: bool = False
    help: bool = False
    entry: ClassEntry | None = None
    """The class's name being typed, if one is."""


class Controls:
    """The state that keys change.

    Attributes:
        view: How it is shown.
        wanted: What is to be explained.
        facts: What is explained at present; None until something is. ResumeState up to date by the caller.
        shown: What was shown last, likewise.
        said: What the last key did, in words, for those who watch; taken and cleared by the caller.
    """

    def __init__(self, view: View, wanted: ExplainRequest, methods: Sequence[str]) -> None:
        """Assign.

        Args:
            view: How it is shown at first.
            wanted: What is explained at first.
            methods: The names to choose from.
        """
        self.view = view
        self.wanted = wanted
        self.facts: ExplainerFacts | None = None
        self.shown: StabilizedFrame | None = None
        self.said: str | None = None
        self._methods = methods

    def press(self, key: str) -> Deed | None:
        """Do what a key says.

        Args:
            key: A character, or ``"escape"``, ``"enter"``, ``"backspace"``, ``"tab"``, ``"up"``, ``"down"``.

        Returns:
            What is left to be done by the caller.
        """
        if self.view.entry is not None:
            self._type(key, self.view.entry)
            return None
        if self.view.help and key == "escape":  # whoever looks for the way out of the help finds it
            self._look(help=False)
            return None
        binding = _BY_KEY.get(key) or _BY_KEY.get(key.lower())  # Caps Lock is no reason to be deaf
        return None if binding is None else binding.act(self, key)

    def _look(self, **changes: object) -> None:
        self.view = dataclasses.replace(self.view, **changes)  # type: ignore[arg-type]

    def _want(self, **changes: object) -> None:
        self.wanted = dataclasses.replace(self.wanted, **changes)  # type: ignore[arg-type]

    # --- One method for each key -------------------------------------------------------------------------

    def freeze(self, _key: str) -> None:
        """Hold the image, or let it go on."""
        self._look(frozen=not self.view.frozen)

    def change_method(self, key: str) -> None:
        """Go to the next or the previous method."""
        if not self._methods:  # nothing is loaded yet
            return
        # With its options, if any were given; the table knows the bare name.
        name = self.wanted.method.partition(":")[0]
        method = _neighbour(self._methods, name, 1 if key == "m" else -1)
        self._want(method=method)
        self.said = f"method {method} …"

    def change_layer(self, key: str) -> None:
        """Go to the layer before, or to the one behind."""
        if self.facts is None or not self.facts.layers:
            return
        current = self.facts.layer if self.wanted.layer == "auto" else self.wanted.layer
        layer = _neighbour(self.facts.layers, current, -1 if key == "l" else 1)
        self._want(layer=layer)
        self.said = f"layer {layer} …"

    def lock(self, _key: str) -> None:
        """Hold on to the class now shown, or follow the most probable one again."""
        if self.wanted.class_index is not None:
            self._want(class_index=None, rank=0)
            self.said = "the most probable class"
        elif self.shown is not None and self.shown.targets and self.shown.targets[0].index >= 0:
            target = self.shown.targets[0]
            self._want(class_index=target.index, rank=None)
            self.said = f"locked: {target.label}"

    def follow_rank(self, key: str) -> None:
        """Explain each image's nth prediction."""
        self._want(class_index=None, rank=int(key) - 1)
        self.said = f"prediction number {key}"

    def begin_entry(self, _key: str) -> None:
        """Begin to type a class's name."""
        if self.facts is not None:
            self._look(entry=ClassEntry(self.facts.labels), help=False)

    def change_colormap(self, _key: str) -> None:
        """Go to the next colour map."""
        name = _neighbour(list(COLORMAPS), self.view.overlay.colormap, 1)
        self._look(overlay=dataclasses.replace(self.view.overlay, colormap=name))
        self.said = f"colour map {name}"

    def change_alpha(self, key: str) -> None:
        """Show more or less of the heat."""
        step = _ALPHA_STEP if key == "]" else -_ALPHA_STEP
        alpha = round(min(max(self.view.overlay.alpha + step, 0.0), 1.0), 2)
        self._look(overlay=dataclasses.replace(self.view.overlay, alpha=alpha))
        self.said = f"opacity {alpha:.0%}"

    def change_smoothing(self, _key: str) -> None:
        """Go to the next time constant."""
        longer = [seconds for seconds in SMOOTHINGS_S if seconds > self.view.smoothing_s + 1e-6]
        smoothing_s = longer[0] if longer else SMOOTHINGS_S[0]
        self._look(smoothing_s=smoothing_s)
        self.said = f"smoothing {smoothing_s:g} s" if smoothing_s else "no smoothing"

    def toggle_heat(self, _key: str) -> None:
        """Show the heat, or the bare image."""
        self._look(heat_shown=not self.view.heat_shown)
        self.said = "overlay on" if self.view.heat_shown else "overlay off"

    def change_layout(self, _key: str) -> None:
        """Go to the next layout."""
        self._look(layout=_neighbour(LAYOUTS, self.view.layout, 1))
        self.said = self.view.layout

    def toggle_figures(self, _key: str) -> None:
        """Show figures or hide them."""
        self._look(figures=not self.view.figures)

    def toggle_help(self, _key: str) -> None:
        """Show the keys or hide them."""
        self._look(help=not self.view.help)

    # --- A class's name ----------------------------------------------------------------------------------

    def _type(self, key: str, entry: ClassEntry) -> None:
        if key == "escape":
            self._look(entry=None)
        elif key == "enter":
            self._look(entry=None)
            if entry.choice is None:
                self.said = f"no class is called {entry.text!r}" if entry.text else None
            else:
                self._want(class_index=entry.choice, rank=None)
                self.said = f"locked: {entry.labels[entry.choice]}"
        elif key in _ENTRY_KEYS:
            self._look(entry=_ENTRY_KEYS[key](entry))
        elif len(key) == 1 and key.isprintable():
            self._look(entry=entry.typed(key))


@dataclasses.dataclass(frozen=True, slots=True)
class Binding:
    """What some keys do."""

    keys: tuple[str, ...]
    shown: str
    """How the help writes them."""
    purpose: str
    act: Callable[[Controls, str], Deed | None]


BINDINGS = (
    Binding(("q", "escape"), "q  Esc", "quit", lambda *_: Deed.QUIT),
    Binding((" ",), "space", "freeze the image", Controls.freeze),
    Binding(("f",), "f", "full screen", lambda *_: Deed.FULL_SCREEN),
    Binding(("m", "M"), "m  M", "next, previous method", Controls.change_method),
    Binding(("l", "L"), "l  L", "earlier, later layer", Controls.change_layer),
    Binding(("c",), "c", "lock or unlock the class", Controls.lock),
    Binding(("/",), "/", "type the name of a class", Controls.begin_entry),
    Binding(("1", "2", "3", "4", "5"), "1 ... 5", "explain the nth prediction", Controls.follow_rank),
    Binding(("k",), "k", "colour map", Controls.change_colormap),
    Binding(("[", "]"), "[  ]", "opacity", Controls.change_alpha),
    Binding(("s",), "s", "smoothing", Controls.change_smoothing),
    Binding(("o",), "o", "overlay on or off", Controls.toggle_heat),
    Binding(("v",), "v", "layout", Controls.change_layout),
    Binding(("p",), "p", "image to a file", lambda *_: Deed.SAVE_IMAGE),
    Binding(("r",), "r", "start, stop recording", lambda *_: Deed.RECORD),
    Binding(("i",), "i", "figures", Controls.toggle_figures),
    Binding(("h",), "h", "this help", Controls.toggle_help),
)
"""Every key of the preview, in the order of the help."""

_BY_KEY = {key: binding for binding in BINDINGS for key in binding.keys}

_ENTRY_KEYS: dict[str, Callable[[ClassEntry], ClassEntry]] = {
    "backspace": ClassEntry.erased,
    "tab": ClassEntry.completed,
    "up": lambda entry: entry.moved(-1),
    "down": lambda entry: entry.moved(1),
}


def _neighbour(items: Sequence[Item], current: Item, by: int) -> Item:
    """The item so many places further on, in a circle; an end where the current one is not there."""
    if current not in items:
        return items[0] if by > 0 else items[-1]
    return items[(items.index(current) + by) % len(items)]
