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
from streamcam.session.deletion import Deletion
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
    deletion_shown: bool = False
    """Whether it is measured, and shown, what is left of the class without the heat."""
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
class StreamState:
    """Everything there is to know about one source of a session at one moment.

    Times that end in ``at_s`` are those of the monotonic clock.
    """

    name: str
    frame_at_s: float = 0.0
    """When the last frame arrived, or waiting for the first one began."""
    frame_time_s: float = 0.0
    """Presentation time of the frame shown."""
    rate: Fraction | None = None
    """Frames per second, where the source says so."""
    has_audio: bool = False
    """Whether the source hands audio to outputs that take it."""
    notice: str | None = None
    """Trouble with the source right now, in words; None while all is well."""
    is_vacant: bool = False
    """Whether `notice` says what it waits for: that somebody lends a camera."""
    lost_at_s: float = 0.0
    """When the last frame before `notice` arrived."""
    target: Prediction | None = None
    """The class whose heat was shown last."""
    deletion: Deletion | None = None
    """The probability of the class with and without the heat, where that is measured."""
    recording: ActiveRecording | None = None
    statistics: Statistics = Statistics()  # noqa: RUF009 - frozen
    has_begun: bool = False
    """Whether a frame has arrived."""
    has_ended: bool = False
    """Whether no more frames will come."""
    reconnections: int = 0
    """How often frames came again after trouble."""


@dataclasses.dataclass(frozen=True, slots=True)
class LiveState:
    """Everything there is to know about a live session at one moment; of one stream, or of several."""

    streams: tuple[StreamState, ...]
    """At least one."""
    request: ExplainRequest
    view: View = View()
    now_s: float = 0.0
    """The time of this state on the monotonic clock."""
    facts: ExplainerFacts | None = None
    """The explainer in use; None while the network is loading."""
    large: int | None = None
    """Of several streams, the index of the one that is shown alone; None while all are shown."""
    defaults: tuple[ExplainRequest, View] | None = None
    """The first request, and the first look of frames; None where nothing goes back to them."""
    frozen: bool = False
    entry: ClassEntry | None = None
    """The class name or prompt being typed."""
    message: Message | None = None
    wording: Callable[[str], str] = str
    """How messages name parameters to those who see them: as flags, from the command line."""

    @property
    def alone(self) -> StreamState | None:
        """The only stream that is shown; None while several are."""
        if len(self.streams) == 1:
            return self.streams[0]
        return None if self.large is None else self.streams[self.large]

    @property
    def shown(self) -> range:
        """The indices of the streams that are shown."""
        return range(len(self.streams)) if self.large is None else range(self.large, self.large + 1)

    @property
    def rate(self) -> Fraction | None:
        """The highest frame rate of all streams; None where none says."""
        return max((stream.rate for stream in self.streams if stream.rate is not None), default=None)

    @property
    def has_audio(self) -> bool:
        """Whether outputs get audio: that of a single stream."""
        return len(self.streams) == 1 and self.streams[0].has_audio

    def silence_of(self, stream: StreamState) -> float:
        """Return the seconds since the last frame of a stream arrived."""
        return self.now_s - stream.frame_at_s

    def has_stalled(self, stream: StreamState) -> bool:
        """Return whether a stream has sent no frame for longer than `STALLED_S`."""
        return self.silence_of(stream) > STALLED_S

    def of_stream(self, index: int) -> LiveState:
        """Return the state as it would be with one of the streams only."""
        return dataclasses.replace(self, streams=self.streams[index : index + 1], large=None)

    def with_stream(self, index: int, **changes: Any) -> LiveState:
        """Return the state with a part of one stream's replaced."""
        streams = list(self.streams)
        streams[index] = dataclasses.replace(streams[index], **changes)
        return dataclasses.replace(self, streams=tuple(streams))

    def with_facts(self, facts: ExplainerFacts) -> LiveState:
        """Return the state with another explainer in use, whose classes are listed to whoever is typing."""
        entry = self.entry
        if entry is not None and (entry.labels, entry.takes_prompts) != (facts.labels, facts.takes_prompts):
            entry = dataclasses.replace(
                entry, labels=facts.labels, takes_prompts=facts.takes_prompts, chosen=0
            )
        return dataclasses.replace(self, facts=facts, entry=entry)

    def without_deletion(self) -> LiveState:
        """Return the state with nothing measured of what is left without the heat."""
        streams = tuple(dataclasses.replace(stream, deletion=None) for stream in self.streams)
        return dataclasses.replace(self, streams=streams)

    def with_message(self, text: str) -> LiveState:
        """Return the state with a sentence to show for a while."""
        return dataclasses.replace(self, message=Message(self.wording(text), self.now_s))

    def with_view(self, **changes: Any) -> LiveState:
        """Return the state with parts of its view replaced."""
        return dataclasses.replace(self, view=dataclasses.replace(self.view, **changes))
