"""Events of a live session, the effects that a change of its state asks for, and the update function."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from streamcam.explanations import Prediction
from streamcam.session.deletion import Deletion
from streamcam.session.state import ActiveRecording, ExplainerFacts, ExplainRequest, LiveState
from streamcam.session.statistics import Statistics

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
    has_audio: bool = False


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
    is_vacant: bool = False
    """Whether it says what the source waits for, as a camera that somebody lends."""


@dataclasses.dataclass(frozen=True, slots=True)
class StreamEnded:
    """A stream of several has ended; the session continues with the others."""

    problem: str | None
    """Why, in words; None if it has come to its end."""


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
class DeletionMeasured:
    """It was measured what is left of a class without the heat."""

    deletion: Deletion
    stream: int
    """Index of the stream whose frame it was measured on."""


@dataclasses.dataclass(frozen=True, slots=True)
class DeletionRefused:
    """That cannot be measured here."""

    reason: str


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
    has_audio: bool = False
    """Whether the source's audio was recorded with them."""


@dataclasses.dataclass(frozen=True, slots=True)
class PublicationEnded:
    """Nothing more is published to a target."""

    target: str
    """Without passwords and keys."""
    frames: int
    """Frames sent."""
    has_audio: bool
    """Whether audio was sent with them."""
    reconnections: int
    """How often it was reached again after it was lost."""


@dataclasses.dataclass(frozen=True, slots=True)
class ImageRequested:
    """An image is about to be saved."""

    path: Path


@dataclasses.dataclass(frozen=True, slots=True)
class ImageSaved:
    """An image was saved."""

    path: Path


@dataclasses.dataclass(frozen=True, slots=True)
class EvidenceKept:
    """A file of evidence is complete."""

    path: Path
    frames: int
    """Explanations in it."""


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
    | StreamEnded
    | ExplainerChanged
    | RequestRefused
    | MapEmpty
    | DeletionMeasured
    | DeletionRefused
    | StatisticsMeasured
    | RecordingStarted
    | RecordingStopped
    | RecordingFinished
    | PublicationEnded
    | ImageRequested
    | ImageSaved
    | EvidenceKept
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
class MeasureDeletion:
    """Measure what is left of the class without the heat, or no longer."""

    is_on: bool


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
class EndAskedRecordings:
    """End the recordings that somebody asked for, and not those that began with the session."""


@dataclasses.dataclass(frozen=True, slots=True)
class WriteStatistics:
    """Write one line of statistics."""

    record: dict[str, Any]


OutputEffect = ToggleFullScreen | SaveImage | ToggleRecording | EndAskedRecordings | WriteStatistics
"""Effects that outputs carry out."""

Effect = Quit | Explain | Freeze | Smooth | MeasureDeletion | Announce | OutputEffect


class Update(NamedTuple):
    """The next state, and what is to be done."""

    state: LiveState
    effects: tuple[Effect, ...] = ()


def update(state: LiveState, event: Event, stream: int = 0) -> Update:
    """Return the state after an event.

    Args:
        state: The state before.
        event: What happened.
        stream: Index of the stream that it happened to, of what concerns one.
    """
    before = state.streams[stream]
    match event:
        case TimePassed(now_s):
            return Update(dataclasses.replace(state, now_s=now_s))
        case FrameArrived(at_s, rate, has_audio):
            changes = {"frame_at_s": at_s, "rate": rate, "has_audio": has_audio, "has_begun": True}
            return Update(state.with_stream(stream, **changes))
        case FrameShown(time_s, target):
            return Update(state.with_stream(stream, frame_time_s=time_s, target=target))
        case NoticeChanged(notice, is_vacant):
            return _change_notice(state, notice, is_vacant, stream)
        case StreamEnded(problem):
            state = state.with_stream(stream, has_ended=True, notice=problem)
            words = f"{before.name} has ended" if problem is None else problem
            return Update(state, (Announce(words),))
        case ExplainerChanged(facts):
            return Update(state.with_facts(facts).without_deletion())
        case RequestRefused(reason, facts):
            # The request stays, so that the next key goes on from there.
            return Update(state.with_facts(facts).with_message(reason))
        case MapEmpty(problem):
            return Update(state.with_message(problem), (Announce(problem),))
        case DeletionMeasured(deletion, measured):
            if not state.view.deletion_shown:  # it was being measured when that was turned off
                return Update(state)
            earlier = state.streams[measured].deletion
            deletion = deletion if earlier is None else earlier.followed_by(deletion)
            return Update(state.with_stream(measured, deletion=deletion))
        case DeletionRefused(reason):
            off = state.without_deletion().with_view(deletion_shown=False).with_message(reason)
            return Update(off, (MeasureDeletion(False),))
        case StatisticsMeasured(statistics):
            return Update(state.with_stream(stream, statistics=statistics))
        case RecordingStarted(path, began_s, announced):
            state = state.with_stream(stream, recording=ActiveRecording(path, began_s))
            return Update(state.with_message(f"recording to {path}") if announced else state)
        case RecordingStopped(path):
            return Update(state.with_stream(stream, recording=None).with_message(f"recorded {path}"))
        case ImageRequested(path):
            return Update(state.with_message(f"saved {path}"))
        case OutputReady(text):
            return Update(state, (Announce(text),))
        case OutputFailed(problem, path):
            if before.recording is not None and before.recording.path == path:
                state = state.with_stream(stream, recording=None)
            return Update(state.with_message(problem))
        case RecordingFinished() | PublicationEnded() | ImageSaved() | EvidenceKept():
            return Update(state)


def _change_notice(state: LiveState, notice: str | None, is_vacant: bool, index: int) -> Update:
    before = state.streams[index]
    if notice == before.notice or before.has_ended:
        return Update(state)
    state = state.with_stream(index, notice=notice, is_vacant=is_vacant)
    if is_vacant and notice is not None:
        return Update(state, (Announce(f"{before.name}: {notice}" if len(state.streams) > 1 else notice),))
    if notice is None and before.is_vacant:
        return Update(state, (Announce(f"{before.name} has a camera"),))
    if notice is None:
        back_after_s = state.now_s - before.lost_at_s
        state = state.with_stream(index, reconnections=before.reconnections + 1)
        return Update(state, (Announce(f"{before.name} is back after {back_after_s:.0f} s"),))
    if before.notice is None:
        return Update(state.with_stream(index, lost_at_s=before.frame_at_s), (Announce(notice),))
    return Update(state)
