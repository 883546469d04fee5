"""The streams of a live session: each with a source, heat, statistics and recordings of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from streamcam.empty_maps import BLANK_MAPS, EMPTY_MAPS
from streamcam.explanations import Explanation, StabilizedFrame
from streamcam.frames import AudioBlock, Frame
from streamcam.session.events import Event, FrameShown, MapEmpty
from streamcam.session.heat import LiveHeat
from streamcam.session.outputs import Emit, LiveFrame, Output, Tile
from streamcam.session.settings import LiveSettings
from streamcam.session.state import LiveState
from streamcam.session.statistics import Counts, Meter
from streamcam.session.threads import Explained
from streamcam.sources import Source


@dataclasses.dataclass(frozen=True, slots=True)
class Stream:
    """One of the sources of a session."""

    source: Source
    """Closed at the end."""
    name: str = ""
    """Its name; after its source if empty."""
    outputs: tuple[Output, ...] = ()
    """Where its frames alone go, as recordings; none of them may block. Closed at the end."""


def name_streams(streams: Sequence[Stream]) -> tuple[str, ...]:
    """Return a name for each stream, none of them twice."""
    names: list[str] = []
    for stream in streams:
        source = stream.source.info.name
        path = stream.source.info.path
        is_one = len(streams) == 1
        name = stream.name or (source if is_one or path is None else PurePath(path).stem)
        number, unique = 1, name
        while unique in names:
            number += 1
            unique = f"{name} {number}"
        names.append(unique)
    return tuple(names)


class RunningStream:
    """A stream while it runs. Belongs to the session's thread.

    Attributes:
        index: Its index.
        source: Its source.
        heat: Its heat.
        meter: Its statistics.
        newest: The frame to show; None before the first.
    """

    def __init__(self, index: int, stream: Stream, settings: LiveSettings) -> None:
        """Begin without frames.

        Args:
            index: Its index.
            stream: The stream.
            settings: Those of the session.
        """
        self.index = index
        self.source = stream.source
        self.outputs = stream.outputs
        self.heat = LiveHeat(settings.temporal, settings.localization)
        self.meter = Meter()
        self.newest: Frame | None = None
        self._written: Frame | None = None
        self._shown: Frame | None = None
        self._is_cleared = False
        self._announced: set[str] = set()

    def hand_audio_to(self, outputs: Sequence[Output]) -> None:
        """Let the source hand its audio to those outputs that take it; where none does, it is not decoded."""
        listeners = [output for output in outputs if output.hears]

        def hand_over(block: AudioBlock) -> None:  # in the reader's thread
            for output in listeners:
                output.hear(block)

        if listeners:
            self.source.on_audio = hand_over

    def start(self, emit: Emit) -> None:
        """Start its outputs."""
        for output in self.outputs:
            output.start(emit)

    def show(self, frame: Frame) -> None:
        """Take the frame to show."""
        self.newest, self._is_cleared = frame, False

    def clear(self) -> None:
        """Show an empty tile until there is another frame."""
        self._is_cleared = True

    def heat_of_newest(self, state: LiveState) -> StabilizedFrame | None:
        """Return the heat to draw on the newest frame; None to show it bare."""
        if self.newest is None or not state.view.heat_shown:
            return None
        return self.heat.of(self.newest)

    def live_frame(self, state: LiveState) -> LiveFrame | None:
        """Return the newest frame as that of a session of this stream alone; None before the first."""
        if self.newest is None:
            return None
        return LiveFrame(self.newest, self.heat_of_newest(state), state.of_stream(self.index))

    def tile(self, state: LiveState) -> Tile:
        """Return its part of a wall."""
        if self._is_cleared:
            return Tile(self.index, None, None)
        return Tile(self.index, self.newest, self.heat_of_newest(state))

    def write(self, state: LiveState) -> None:
        """Hand the newest frame to its outputs, if they do not have it yet."""
        if self.outputs and self.newest is not self._written:
            self._written = self.newest
            live_frame = self.live_frame(state)
            if live_frame is not None:
                for output in self.outputs:
                    output.write(live_frame)

    def add(self, explained: Explained) -> Event | None:
        """Add an explanation; return what is to be said, once for each reason that maps show nothing."""
        explanation = explained.explanation
        event: Event | None = None
        if explanation.is_explained:
            self.meter.note_explained(is_empty=explanation.emptiness in BLANK_MAPS)
            for problem in _problems_of(explanation):
                if problem not in self._announced and event is None:
                    self._announced.add(problem)
                    event = MapEmpty(problem)
        self.heat.add(explained)
        return event

    def note_shown(self, now_s: float) -> Event | None:
        """Count the newest frame as shown, and return what changes by that; None if there is no frame."""
        if self.newest is None:
            return None
        if self._shown is not self.newest:
            self._shown = self.newest
            explained = self.heat.explained
            heat_age_s = None if explained is None else now_s - explained.frame.received_at
            self.meter.note_shown(now_s - self.newest.received_at, heat_age_s)
        shown = self.heat.current
        target = shown.targets[0] if shown is not None and shown.targets else None
        return FrameShown(self.newest.time_s, target)

    def line(self, state: LiveState, counts: Counts, elapsed_s: float) -> dict[str, Any]:
        """Return a line of the statistics file.

        Args:
            state: The state now.
            counts: What is counted.
            elapsed_s: Seconds since the session's first frame.
        """
        facts, stream = state.facts, state.streams[self.index]
        return {
            "time_s": round(elapsed_s, 3),
            "stream": stream.name,
            **counts.record(),
            **{name: count for output in self.outputs for name, count in output.counts().items()},
            "reconnections": stream.reconnections,
            "notice": stream.notice,
            "method": None if facts is None else facts.method,
            "layer": None if facts is None else facts.layer,
            "backend": None if facts is None else facts.backend,
            "precision": None if facts is None else facts.precision,
            **({} if stream.deletion is None else {"deletion": stream.deletion.record()}),
            **({"prompts": list(facts.labels)} if facts is not None and facts.takes_prompts else {}),
        }


def _problems_of(explanation: Explanation) -> list[str]:
    """Say why the maps of a frame, or of some of its panes, show nothing."""
    if explanation.emptiness is not None:
        return [f"the map shows nothing: {EMPTY_MAPS[explanation.emptiness]}"]
    return [
        f"the map of {pane.pane} shows nothing: {EMPTY_MAPS[pane.emptiness]}"
        for pane in explanation.panes
        if pane.emptiness is not None
    ]
