"""The state of a live session.

`LiveState` is immutable. Events (what happened) go through `streamcam.session.events`, commands (what a
person asks for) through `streamcam.session.commands`; both return the next state and a list of effects.
Nothing here has a clock, a thread or a window.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

from streamcam.explanations import Prediction
from streamcam.overlay import OverlaySettings
from streamcam.session.class_entry import ClassEntry
from streamcam.session.statistics import Statistics

STALLED_S = 2.0
"""A source without a frame for this many seconds is reported as stalled."""


@dataclasses.dataclass(frozen=True, slots=True)
class ExplainRequest:
    """Method, layer and class to explain. Without class and rank: the classes the explainer is set up for."""

    method: str = "auto"
    """Name of the method, with options as in ``"occlusion:patch=32"``; ``"auto"`` as for `Explainer`."""
    layer: str = "auto"
    class_index: int | None = None
    """The class to explain in every frame."""
    rank: int | None = None
    """Or the place among each frame's predictions: 0 for the most probable class, 1 for the second …"""
    panes: str | None = None
    """Name in `streamcam.session.explainers.PANES` of what is compared side by side; None for nothing."""
    prompts: tuple[str, ...] | None = None
    """Texts to compare frames with; None for those that the network was loaded with."""


@dataclasses.dataclass(frozen=True, slots=True)
class ExplainerFacts:
    """Description of the explainer in use."""

    model: str
    method: str
    layer: str
    backend: str
    precision: str
    labels: tuple[str, ...]
    """Class names, by index."""
    layers: tuple[str, ...] = ()
    """Target layers to choose from, in the order in which they run."""
    methods: tuple[str, ...] = ()
    """Methods to choose from."""
    notes: tuple[str, ...] = ()
    """Remarks on the choices made, for the user, a sentence each."""
    panes: str | None = None
    """The same as in `ExplainRequest`."""
    takes_prompts: bool = False
    """Whether its classes are texts that can be replaced."""
    weights: str = ""
    """Which weights the model has."""


@dataclasses.dataclass(frozen=True, slots=True)
class View:
    """How frames are shown."""

    overlay: OverlaySettings = OverlaySettings()  # noqa: RUF009 - frozen
    smoothing_s: float = 0.25
    """Time constant of the smoothing, in seconds."""
    heat_shown: bool = True
    statistics_shown: bool = False
    help_shown: bool = False
    hidden_caption: str = ""
    """The caption, while it is hidden."""


@dataclasses.dataclass(frozen=True, slots=True)
class Message:
    """A sentence shown for a short while."""

    text: str
    said_at_s: float


@dataclasses.dataclass(frozen=True, slots=True)
class ActiveRecording:
    """A recording in progress."""

    path: Path
    began_s: float
    """Presentation time of its first frame, in seconds."""


@dataclasses.dataclass(frozen=True, slots=True)
class LiveState:
    """Everything there is to know about a live session at one moment.

    Times that end in ``at_s`` are those of the monotonic clock.
    """

    source_name: str
    request: ExplainRequest
    view: View = View()
    now_s: float = 0.0
    """The time of this state."""
    facts: ExplainerFacts | None = None
    """The explainer in use; None while the network is loading."""
    target: Prediction | None = None
    """The class whose heat was shown last."""
    frozen: bool = False
    entry: ClassEntry | None = None
    """The class name or prompt being typed."""
    frame_at_s: float = 0.0
    """When the last frame arrived, or waiting for the first one began."""
    frame_time_s: float = 0.0
    """Presentation time of the frame shown."""
    rate: Fraction | None = None
    """Frames per second of the source, where it says so."""
    has_audio: bool = False
    """Whether the source hands audio to outputs that take it."""
    notice: str | None = None
    """Trouble with the source right now, in words; None while all is well."""
    lost_at_s: float = 0.0
    """When the last frame before `notice` arrived."""
    message: Message | None = None
    recording: ActiveRecording | None = None
    statistics: Statistics = Statistics()  # noqa: RUF009 - frozen
    wording: Callable[[str], str] = str
    """How messages name parameters to those who see them: as flags, from the command line."""

    @property
    def silence_s(self) -> float:
        """Seconds since the last frame arrived."""
        return self.now_s - self.frame_at_s

    @property
    def has_stalled(self) -> bool:
        """Whether the source has sent no frame for longer than `STALLED_S`."""
        return self.silence_s > STALLED_S

    def with_message(self, text: str) -> LiveState:
        """Return the state with a sentence to show for a while."""
        return dataclasses.replace(self, message=Message(self.wording(text), self.now_s))

    def with_view(self, **changes: Any) -> LiveState:
        """Return the state with parts of its view replaced."""
        return dataclasses.replace(self, view=dataclasses.replace(self.view, **changes))
