"""The state of a live session, what changes it, and what a change asks the session to do.

`LiveState` is immutable. Events (what happened) go through `update`, commands (what a person asks for)
through `streamcam.session.commands`; both return the next state and a list of effects. Nothing here has a
clock, a thread or a window.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

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


# --- Events: what happened ---------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class TimePassed:
    """The clock moved on."""

    now_s: float


@dataclasses.dataclass(frozen=True, slots=True)
class FrameArrived:
    """The source sent a frame."""

    at_s: float
    rate: Fraction | None


@dataclasses.dataclass(frozen=True, slots=True)
class FrameShown:
    """A frame was handed to the outputs."""

    time_s: float
    """Its presentation time."""
    target: Prediction | None
    """The class whose heat it shows."""


@dataclasses.dataclass(frozen=True, slots=True)
class NoticeChanged:
    """Something is wrong with the source, or no longer is."""

    notice: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class ExplainerChanged:
    """Another explainer is in use, or the one in use changed its backend."""

    facts: ExplainerFacts


@dataclasses.dataclass(frozen=True, slots=True)
class RequestRefused:
    """A request could not be carried out; the previous explainer continues."""

    reason: str
    facts: ExplainerFacts
    """The explainer that continues."""


@dataclasses.dataclass(frozen=True, slots=True)
class MapEmpty:
    """For the first time a map shows nothing for some reason."""

    problem: str
    """Why, and the way out."""


@dataclasses.dataclass(frozen=True, slots=True)
class StatisticsMeasured:
    """New numbers are there."""

    statistics: Statistics


@dataclasses.dataclass(frozen=True, slots=True)
class RecordingStarted:
    """A recording began."""

    path: Path
    began_s: float
    """Presentation time of its first frame, in seconds."""
    announced: bool = True
    """Whether to show a message about it."""


@dataclasses.dataclass(frozen=True, slots=True)
class RecordingStopped:
    """A recording takes no more frames; its file is being completed."""

    path: Path


@dataclasses.dataclass(frozen=True, slots=True)
class RecordingFinished:
    """A recording's file is complete, or as complete as it will be."""

    path: Path
    written: int
    """Frames written."""
    dropped: int
    """Frames left out because the encoder or the disk was too slow."""


@dataclasses.dataclass(frozen=True, slots=True)
class ImageRequested:
    """An image is about to be saved."""

    path: Path


@dataclasses.dataclass(frozen=True, slots=True)
class ImageSaved:
    """An image was saved."""

    path: Path


@dataclasses.dataclass(frozen=True, slots=True)
class OutputReady:
    """An output can be reached."""

    text: str
    """How, in words."""


@dataclasses.dataclass(frozen=True, slots=True)
class OutputFailed:
    """An output, or something that it was to write, failed; the session continues."""

    problem: str
    path: Path | None = None
    """The file that could not be written."""


Event = (
    TimePassed
    | FrameArrived
    | FrameShown
    | NoticeChanged
    | ExplainerChanged
    | RequestRefused
    | MapEmpty
    | StatisticsMeasured
    | RecordingStarted
    | RecordingStopped
    | RecordingFinished
    | ImageRequested
    | ImageSaved
    | OutputReady
    | OutputFailed
)


# --- Effects: what the session or its outputs are asked to do ----------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Quit:
    """End the session."""


@dataclasses.dataclass(frozen=True, slots=True)
class Explain:
    """Explain something else from now on."""

    request: ExplainRequest


@dataclasses.dataclass(frozen=True, slots=True)
class Freeze:
    """Hold the frame shown, or continue with new ones."""

    frozen: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Smooth:
    """Smooth heat with another time constant."""

    smoothing_s: float


@dataclasses.dataclass(frozen=True, slots=True)
class Announce:
    """Say something to those who do not see the window."""

    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class ToggleFullScreen:
    """Fill the screen, or return to a window."""


@dataclasses.dataclass(frozen=True, slots=True)
class SaveImage:
    """Save the frame shown as an image."""


@dataclasses.dataclass(frozen=True, slots=True)
class ToggleRecording:
    """Start a recording, or end the one in progress."""


@dataclasses.dataclass(frozen=True, slots=True)
class WriteStatistics:
    """Write one line of statistics."""

    record: dict[str, Any]


OutputEffect = ToggleFullScreen | SaveImage | ToggleRecording | WriteStatistics
"""Effects that outputs carry out."""

Effect = Quit | Explain | Freeze | Smooth | Announce | OutputEffect


class Update(NamedTuple):
    """The next state, and what is to be done."""

    state: LiveState
    effects: tuple[Effect, ...] = ()


def update(state: LiveState, event: Event) -> Update:
    """Return the state after an event.

    Args:
        state: The state before.
        event: What happened.
    """
    match event:
        case TimePassed(now_s):
            return Update(dataclasses.replace(state, now_s=now_s))
        case FrameArrived(at_s, rate):
            return Update(dataclasses.replace(state, frame_at_s=at_s, rate=rate))
        case FrameShown(time_s, target):
            return Update(dataclasses.replace(state, frame_time_s=time_s, target=target))
        case NoticeChanged(notice):
            return _change_notice(state, notice)
        case ExplainerChanged(facts):
            return Update(dataclasses.replace(state, facts=facts))
        case RequestRefused(reason, facts):
            # The request stays, so that the next key goes on from there.
            return Update(dataclasses.replace(state, facts=facts).with_message(reason))
        case MapEmpty(problem):
            return Update(state.with_message(problem), (Announce(problem),))
        case StatisticsMeasured(statistics):
            return Update(dataclasses.replace(state, statistics=statistics))
        case RecordingStarted(path, began_s, announced):
            state = dataclasses.replace(state, recording=ActiveRecording(path, began_s))
            return Update(state.with_message(f"recording to {path}") if announced else state)
        case RecordingStopped(path):
            return Update(dataclasses.replace(state, recording=None).with_message(f"recorded {path}"))
        case ImageRequested(path):
            return Update(state.with_message(f"saved {path}"))
        case OutputReady(text):
            return Update(state, (Announce(text),))
        case OutputFailed(problem, path):
            if state.recording is not None and state.recording.path == path:
                state = dataclasses.replace(state, recording=None)
            return Update(state.with_message(problem))
        case RecordingFinished() | ImageSaved():
            return Update(state)


def _change_notice(state: LiveState, notice: str | None) -> Update:
    before = state.notice
    if notice == before:
        return Update(state)
    state = dataclasses.replace(state, notice=notice)
    if notice is None:
        back_after_s = state.now_s - state.lost_at_s
        return Update(state, (Announce(f"{state.source_name} is back after {back_after_s:.0f} s"),))
    if before is None:
        return Update(dataclasses.replace(state, lost_at_s=state.frame_at_s), (Announce(notice),))
    return Update(state)
