"""The live session: always the newest frame, with heat as fresh as the network is fast.

    source ──Frame──▶ session: state ▸ heat ──LiveFrame──▶ outputs: window, recordings, files …
       └─────Frame──▶ explainer ──Explained──▶┘  ▲
                                                 └── commands: keys, Python …

Every frame is shown as soon as it arrives and does not wait for its own explanation: the heat of the last
frame explained moves on with the image until there is newer.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from streamcam.errors import SourceError, StreamcamError
from streamcam.explanations import BLANK_MAPS, EMPTY_MAPS, Explanation
from streamcam.frames import AudioBlock, Frame
from streamcam.pipeline.channel import ChannelClosedError
from streamcam.session.command_sources import CommandSource, KeyPress
from streamcam.session.dispatch import press_key, run_command
from streamcam.session.events import (
    Announce,
    Effect,
    Event,
    Explain,
    FrameArrived,
    FrameShown,
    Freeze,
    MapEmpty,
    NoticeChanged,
    Quit,
    Smooth,
    StatisticsMeasured,
    TimePassed,
    Update,
    WriteStatistics,
    update,
)
from streamcam.session.heat import LiveHeat
from streamcam.session.hud import HudState, hud_of
from streamcam.session.outputs import LiveFrame, Output, OutputWorker
from streamcam.session.result import LiveResult, summarize
from streamcam.session.settings import LiveSettings
from streamcam.session.state import ExplainRequest, LiveState, View
from streamcam.session.statistics import Counts, Meter
from streamcam.session.threads import Explained, ExplainerFor, LiveThreads
from streamcam.sources import Source

_PATIENCE_S = 0.01
"""How long to wait for a frame before looking at the commands again."""

_STATISTICS_EVERY_S = 0.5
_LINES_EVERY_S = 1.0


class LiveSession:
    """A source, an explainer and outputs, run together in real time; see `streamcam.live`.

    One thread creates and runs it; the main thread where a window is among the outputs.
    """

    def __init__(
        self,
        source: Source,
        explainer_for: ExplainerFor,
        outputs: Sequence[Output] = (),
        settings: LiveSettings | None = None,
        *,
        request: ExplainRequest | None = None,
        commands: Iterable[CommandSource] = (),
        announce: Callable[[str], None] = lambda _text: None,
        wording: Callable[[str], str] = str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Connect the parts; nothing runs yet.

        Args:
            source: Closed at the end.
            explainer_for: Returns an explainer for what is to be explained; called in a thread of its own.
            outputs: Where frames go, closed in this order at the end. Those that are command sources, as a
                window is, also give commands.
            settings: The defaults if None; outputs are as given here, whatever the settings say.
            request: What to explain at first; Grad-CAM if None.
            commands: Where else commands come from.
            announce: Receives, in words, what those should know who see no output: that the source is gone.
            wording: Names parameters in messages that outputs show as those call them who see these.
            clock: Returns monotonic seconds.
        """
        self._source = source
        self._settings = settings or LiveSettings()
        self._outputs = [OutputWorker(output) if output.may_block else output for output in outputs]
        self._listeners = [output for output in self._outputs if output.hears]
        if self._listeners:
            source.on_audio = self._hand_audio
        given = [output for output in outputs if isinstance(output, CommandSource)]
        self._command_sources: list[CommandSource] = [*given, *commands]
        self._announce = announce
        self._clock = clock
        first = request or ExplainRequest()
        self._state = LiveState(source.info.name, first, self._settings.view, wording=wording)
        self._threads = LiveThreads(source, explainer_for, self._state.request, self._settings.temporal)
        self._heat = LiveHeat(self._settings.temporal, self._settings.localization)
        self._meter = Meter()
        self._events: deque[Event] = deque()
        self._finished: list[Event] = []
        self._newest: Frame | None = None
        self._offered: _Offered | None = None
        self._began_s: float | None = None
        self._ended_s = 0.0
        self._measured_s = self._written_s = -math.inf
        self._has_quit = False
        self._announced: set[str] = set()

    @property
    def state(self) -> LiveState:
        """The state now."""
        return self._state

    def stop(self) -> None:
        """End soon and in order. Does not wait; for any thread and for signal handlers."""
        self._has_quit = True

    def run(self) -> LiveResult:
        """Run until the source ends, `stop` or a command ends it, or its time is over.

        Raises:
            StreamcamError: one of its children, if there are no frames or no explainer, no frame for
                `LiveSettings.give_up_s`, or an output cannot be used. Recordings are finished all the same.
        """
        with contextlib.ExitStack() as ends:  # everything is closed, even if closing something fails
            ends.callback(self._threads.join)
            for output in reversed(self._outputs):
                ends.callback(self._close, output)
            ends.callback(self._threads.stop)
            for output in self._outputs:
                output.start(self._events.append)
            self._state = dataclasses.replace(self._state, now_s=self._clock(), frame_at_s=self._clock())
            self._threads.start()
            try:
                self._loop()
            finally:
                self._ended_s = self._clock()
                self._note_source()
        self._take_events()
        elapsed_s, facts = self._elapsed_s(self._ended_s), self._state.facts
        return summarize(self._finished, self._meter.whole, elapsed_s, () if facts is None else facts.notes)

    def _loop(self) -> None:
        duration_s = math.inf if self._settings.duration_s is None else self._settings.duration_s
        while True:
            now_s = self._clock()
            self._apply(update(self._state, TimePassed(now_s)))
            self._take_answers()
            self._take_events()
            self._apply(update(self._state, NoticeChanged(self._source.notice)))
            self._measure(now_s)
            self._offer()
            self._take_commands()
            if self._has_quit or self._elapsed_s(now_s) >= duration_s:
                return
            self._write_line(now_s)
            try:
                frame = self._threads.frames.take(_PATIENCE_S)
            except ChannelClosedError:
                if self._newest is None:
                    raise SourceError(f"there are no frames in {self._state.source_name!r}") from None
                return  # a video has ended
            if frame is not None:
                self._take_frame(frame)
            self._give_up_if_silent()

    # --- What changes the state --------------------------------------------------------------------------

    def _apply(self, change: Update) -> None:
        """Take over a new state, and do what it asks for."""
        self._state = change.state
        for effect in change.effects:
            self._carry_out(effect)

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Quit():
                self._has_quit = True
            case Announce(text):
                self._announce(text)
            case Smooth(smoothing_s):
                self._heat.set_smoothing(smoothing_s)
            case Explain(request):
                self._threads.request(request)
                self._explain_newest()
            case Freeze(frozen):
                self._threads.freeze(frozen)
                self._heat.freeze(self._newest if frozen else None)
                self._explain_newest()
            case _:
                shown = None if self._newest is None else self._live_frame(self._newest)
                try:
                    is_done = [output.handle(effect, shown) for output in self._outputs]
                except StreamcamError as error:
                    self._state = self._state.with_message(str(error))
                else:
                    if not any(is_done) and not isinstance(effect, WriteStatistics):
                        self._state = self._state.with_message("no output of this session can do that")
                self._take_events()

    def _explain_newest(self) -> None:
        """Explain the newest frame again: there may be no new one, now or ever, to explain instead."""
        if self._newest is not None:
            self._threads.explain(self._newest)

    def _take_frame(self, frame: Frame) -> None:
        now_s = self._clock()
        info = self._source.info
        self._apply(update(self._state, FrameArrived(now_s, info.rate, info.has_audio)))
        if self._began_s is None:
            self._began_s = self._written_s = now_s
        if not self._state.frozen:
            self._newest = frame
        elif self._newest is None:  # frozen before there was anything to hold
            self._newest = frame
            self._carry_out(Freeze(True))

    def _take_answers(self) -> None:
        """Take what the explainer has finished since the last time."""
        while (answer := self._threads.answers.take(0)) is not None:
            if isinstance(answer, Explained):
                if answer.explanation.is_explained:
                    self._note_explained(answer.explanation)
                self._heat.add(answer)
                for output in self._outputs:
                    output.take(answer)
                if self._state.facts is not answer.facts:  # the backend may have changed
                    self._state = dataclasses.replace(self._state, facts=answer.facts)
            else:
                self._apply(update(self._state, answer))

    def _note_explained(self, explanation: Explanation) -> None:
        """Count an explanation, and tell once for each reason that its maps show nothing."""
        reason = explanation.emptiness
        self._meter.note_explained(is_empty=reason in BLANK_MAPS)
        if reason is not None and reason not in self._announced:
            self._announced.add(reason)
            self._apply(update(self._state, MapEmpty(f"the map shows nothing: {EMPTY_MAPS[reason]}")))

    def _take_events(self) -> None:
        """Take what outputs have reported."""
        while self._events:
            event = self._events.popleft()
            self._finished.append(event)
            self._apply(update(self._state, event))

    def _take_commands(self) -> None:
        for source in self._command_sources:
            for command in source.poll():
                if self._has_quit:
                    return
                try:
                    if isinstance(command, KeyPress):
                        self._apply(press_key(self._state, command.key))
                    else:
                        self._apply(run_command(self._state, command.name, command.argument))
                except StreamcamError as error:
                    self._state = self._state.with_message(str(error))

    def _give_up_if_silent(self) -> None:
        """End if there has been no frame for too long.

        Raises:
            SourceError: if so.
        """
        limit_s = self._settings.give_up_s
        if limit_s is not None and self._clock() - self._state.frame_at_s > limit_s:
            why = f" ({self._state.notice})" if self._state.notice else ""
            name = self._state.source_name
            raise SourceError(f"no frame from {name!r} for {limit_s:g} s; giving up{why}")

    def _hand_audio(self, block: AudioBlock) -> None:
        """Hand audio to the outputs that take it; in the reader's thread."""
        for output in self._listeners:
            output.hear(block)

    # --- What is shown -----------------------------------------------------------------------------------

    def _live_frame(self, frame: Frame) -> LiveFrame:
        heat = self._heat.of(frame) if self._state.view.heat_shown else None
        return LiveFrame(frame, heat, self._state)

    def _offer(self) -> None:
        """Hand the newest frame to all outputs, if there is anything new to see."""
        frame = self._newest
        if frame is None:
            return
        waits_for_heat = self._state.frozen or self._state.has_stalled
        heat = self._heat.current if waits_for_heat else None
        offered = _Offered(frame, heat, self._state.view, hud_of(self._state))
        before, self._offered = self._offered, offered
        if before is not None and offered.looks_like(before):
            return
        live_frame = self._live_frame(frame)
        for output in self._outputs:
            output.write(live_frame)
        self._take_events()
        shown = self._heat.current
        target = shown.targets[0] if shown is not None and shown.targets else None
        self._apply(update(self._state, FrameShown(frame.time_s, target)))
        if before is None or before.frame is not frame:
            now_s, explained = self._clock(), self._heat.explained
            heat_age_s = None if explained is None else now_s - explained.frame.received_at
            self._meter.note_shown(now_s - frame.received_at, heat_age_s)

    # --- Statistics --------------------------------------------------------------------------------------

    def _elapsed_s(self, now_s: float) -> float:
        return 0.0 if self._began_s is None else now_s - self._began_s

    def _note_source(self) -> None:
        self._meter.note_source(self._threads.captured, self._threads.frames.dropped)

    def _measure(self, now_s: float) -> None:
        """Bring the statistics of the state up to date, if it is time."""
        if now_s - self._measured_s >= _STATISTICS_EVERY_S:
            self._measured_s = now_s
            self._note_source()
            self._apply(update(self._state, StatisticsMeasured(self._meter.measure(now_s))))

    def _write_line(self, now_s: float) -> None:
        """Report the statistics of the last second, if it is time."""
        if self._began_s is not None and now_s - self._written_s >= _LINES_EVERY_S:
            self._written_s = now_s
            self._note_source()
            self._carry_out(WriteStatistics(self._line(self._meter.next_second(), now_s)))

    def _line(self, counts: Counts, now_s: float) -> dict[str, Any]:
        """Return one line of the statistics file."""
        facts = self._state.facts
        numbers: dict[str, int] = {}
        for output in self._outputs:
            numbers |= output.counts()
        return {
            "time_s": round(self._elapsed_s(now_s), 3),
            **counts.record(),
            **numbers,
            "notice": self._state.notice,
            "method": None if facts is None else facts.method,
            "layer": None if facts is None else facts.layer,
            "backend": None if facts is None else facts.backend,
            "precision": None if facts is None else facts.precision,
            **({"prompts": list(facts.labels)} if facts is not None and facts.takes_prompts else {}),
        }

    # --- The end -----------------------------------------------------------------------------------------

    def _close(self, output: Output) -> None:
        """Close an output; those before it are closed already, so that what they wrote is counted."""
        if self._began_s is not None:
            line = self._line(self._meter.whole, self._ended_s) | {"whole_run": True}
            output.handle(WriteStatistics(line), None)
        output.close()


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Offered:
    """The appearance of what was handed to the outputs last."""

    frame: Frame
    heat: object
    """Where no new frame will show it, the heat."""
    view: View
    hud: HudState

    def looks_like(self, other: _Offered) -> bool:
        """Return whether there is nothing new to see. Frames and heat hold arrays, and have no equality."""
        return (
            self.frame is other.frame
            and self.heat is other.heat
            and self.view == other.view
            and self.hud == other.hud
        )
