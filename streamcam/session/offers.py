"""Handing what is new in a live session to its outputs: a frame, or a wall of tiles."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from streamcam.frames import Frame
from streamcam.session.events import update
from streamcam.session.hud import HudState, hud_of
from streamcam.session.outputs import LiveFrame, Output
from streamcam.session.state import LiveState, View
from streamcam.session.streams import RunningStream
from streamcam.session.wall import TileWords, words_of
from streamcam.sources.capture import TIME_BASE, LiveClock

_WALL_EVERY_S = 1 / 30
"""Several streams send many frames; a wall is drawn no more often than this, in seconds."""


class Offers:
    """Hands frames to the outputs of a session whenever there is anything new to see."""

    def __init__(self, streams: Sequence[RunningStream], outputs: Sequence[Output]) -> None:
        """Take the streams and the outputs of a session.

        Args:
            streams: The streams.
            outputs: The outputs that they share.
        """
        self._streams = streams
        self._outputs = outputs
        self._clock = LiveClock()
        self._count = 0
        self._offered: _Offered | None = None
        self._offered_s = -_WALL_EVERY_S

    def live_frame(self, state: LiveState) -> LiveFrame | None:
        """Return what is shown in a state; None before the first frame."""
        if len(self._streams) == 1:
            return self._streams[0].live_frame(state)
        newest = self._newest()
        if newest is None:
            return None
        pts = self._clock.place(state.now_s, None)
        # Times of its own: those of the streams have nothing to do with each other.
        frame = dataclasses.replace(newest, index=self._count, pts=pts, time_base=TIME_BASE)
        self._count += 1
        return LiveFrame(frame, None, state, tuple(self._streams[index].tile(state) for index in state.shown))

    def offer(self, state: LiveState, now_s: float) -> LiveState:
        """Hand the newest frames to their outputs, if there is anything new to see; return the state then."""
        for stream in self._streams:
            stream.write(state)
        is_wall = len(self._streams) > 1
        if self._newest() is None or (is_wall and now_s - self._offered_s < _WALL_EVERY_S):
            return state
        offered = self._appearance(state)
        before, self._offered = self._offered, offered
        if before is not None and offered.looks_like(before):
            return state
        live_frame = self.live_frame(state)
        assert live_frame is not None
        self._offered_s = now_s
        for output in self._outputs:
            output.write(live_frame)
        for stream in (self._streams[index] for index in state.shown):
            event = stream.note_shown(now_s)
            if event is not None:
                state = update(state, event, stream.index).state
        return state

    def _newest(self) -> Frame | None:
        """Return the frame that arrived last."""
        frames = [stream.newest for stream in self._streams if stream.newest is not None]
        return max(frames, key=lambda frame: frame.received_at, default=None)

    def _appearance(self, state: LiveState) -> _Offered:
        frames, heats = [], []
        for stream in (self._streams[index] for index in state.shown):
            waits_for_heat = state.frozen or state.has_stalled(state.streams[stream.index])
            frames.append(stream.newest)
            heats.append(stream.heat.current if waits_for_heat else None)
        words = tuple(words_of(state, index) for index in state.shown) if len(self._streams) > 1 else ()
        return _Offered(tuple(frames), tuple(heats), state.view, hud_of(state), words)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Offered:
    """The appearance of what was handed to the outputs last."""

    frames: tuple[Frame | None, ...]
    heats: tuple[object, ...]
    """Where no new frame will show it, the heat."""
    view: View
    hud: HudState
    words: tuple[TileWords, ...]

    def looks_like(self, other: _Offered) -> bool:
        """Return whether there is nothing new to see. Frames and heat hold arrays, and have no equality."""
        return (
            _are_same(self.frames, other.frames)
            and _are_same(self.heats, other.heats)
            and self.view == other.view
            and self.hud == other.hud
            and self.words == other.words
        )


def _are_same(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))
