"""The live session: always the newest frame, with heat as fresh as the network is fast.

    source ──Frame──▶ session: state ▸ heat ──LiveFrame──▶ outputs: window, recordings, files …
       └─────Frame──▶ explainer ──Explained──▶┘  ▲
                                                 └── commands: keys, Python …

Every frame is shown as soon as it arrives and does not wait for its own explanation: the heat of the last
frame explained moves on with the image until there is newer. Several sources share the explainer, which takes
turns, and the outputs, where they are tiles of a wall; all else each has for itself.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from streamcam.errors import SourceError, StreamcamError
from streamcam.frames import Frame
from streamcam.milestones import reach
from streamcam.pipeline.channel import ChannelClosedError
from streamcam.session.command_sources import CommandSource, KeyPress
from streamcam.session.dispatch import press_key, run_command
from streamcam.session.events import (
    Announce,
    Effect,
    EndAskedRecordings,
    Event,
    Explain,
    FrameArrived,
    Freeze,
    MeasureDeletion,
    NoticeChanged,
    OutputEffect,
    OutputFailed,
    Quit,
    Smooth,
    StreamEnded,
    TimePassed,
    ToggleRecording,
    Update,
    WriteStatistics,
    update,
)
from streamcam.session.idle import IdleReset
from streamcam.session.measurements import Measurements
from streamcam.session.offers import Offers
from streamcam.session.outputs import Output, OutputWorker
from streamcam.session.result import LiveResult, summarize
from streamcam.session.settings import LiveSettings
from streamcam.session.state import ExplainRequest, LiveState, StreamState
from streamcam.session.streams import RunningStream, Stream, name_streams
from streamcam.session.threads import Explained, ExplainerFor, LiveThreads
from streamcam.sources import Source

_PATIENCE_S = 0.01
"""How long to wait for a frame before looking at the commands again."""


class LiveSession:
    """Sources, an explainer and outputs, run together in real time; see `streamcam.live`.

    One thread creates and runs it; the main thread where a window is among the outputs.
    """

    def __init__(
        self,
        streams: Source | Sequence[Stream],
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
            streams: The source, closed at the end; or several with what each has for itself. Of several, one
                that fails or ends does not end the session.
            explainer_for: Returns an explainer for what is to be explained; called in a thread of its own.
            outputs: Where frames go, closed in this order at the end. Those that are command sources, as a
                window is, also give commands.
            settings: The defaults if None; outputs are as given here, whatever the settings say.
            request: What to explain at first; Grad-CAM if None.
            commands: Where else commands come from.
            announce: Receives, in words, what those should know who see no output: that a source is gone.
            wording: Names parameters in messages that outputs show as those call them who see these.
            clock: Returns monotonic seconds.
        """
        streams = [Stream(streams)] if isinstance(streams, Source) else list(streams)
        self._settings = settings or LiveSettings()
        self._streams = [RunningStream(*each, self._settings) for each in enumerate(streams)]
        self._outputs = [OutputWorker(output) if output.may_block else output for output in outputs]
        shared = self._outputs if len(streams) == 1 else ()  # nobody understands several at once
        for stream in self._streams:
            stream.hand_audio_to([*shared, *stream.outputs])
        given = [output for output in outputs if isinstance(output, CommandSource)]
        self._command_sources: list[CommandSource] = [*given, *commands]
        if self._settings.idle_s is not None:
            self._command_sources = [IdleReset(self._command_sources, self._settings.idle_s, clock)]
        self._announce = announce
        self._clock = clock
        first, view = request or ExplainRequest(), self._settings.view
        states = tuple(map(StreamState, name_streams(streams)))
        self._state = LiveState(states, first, view, defaults=(first, view), wording=wording)
        sources = [stream.source for stream in streams]
        if len(sources) > 1:
            for source in sources:
                source.is_insistent = True
        self._threads = LiveThreads(sources, explainer_for, self._state.request, self._settings.temporal)
        self._offers = Offers(self._streams, self._outputs)
        self._events: deque[tuple[int, Event]] = deque()
        self._finished: list[Event] = []
        self._failures: list[Exception] = []
        self._measurements = Measurements(self._streams, self._threads, self._outputs)
        self._ended_s = 0.0
        self._has_quit = False

    @property
    def state(self) -> LiveState:
        """The state now."""
        return self._state

    def stop(self) -> None:
        """End soon and in order. Does not wait; for any thread and for signal handlers."""
        self._has_quit = True

    def run(self) -> LiveResult:
        """Run until all sources end, `stop` or a command ends it, or its time is over.

        Raises:
            StreamcamError: one of its children, if there are no frames or no explainer, no frame for
                `LiveSettings.give_up_s`, or an output cannot be used. Recordings are finished all the same.
        """
        with contextlib.ExitStack() as ends:  # everything is closed, even if closing something fails
            ends.callback(self._threads.join)
            for output in reversed(self._outputs):
                ends.callback(self._close, output)
            for stream in reversed(self._streams):
                for output in stream.outputs:
                    ends.callback(output.close)
            ends.callback(self._threads.stop)
            for stream in self._streams:
                stream.start(self._reporter(stream.index))
            for output in self._outputs:
                output.start(self._reporter(0))
            now_s = self._clock()
            begun = tuple(dataclasses.replace(each, frame_at_s=now_s) for each in self._state.streams)
            self._state = dataclasses.replace(self._state, now_s=now_s, streams=begun)
            self._threads.start()
            try:
                self._loop()
            finally:
                self._ended_s = self._clock()
                self._measurements.note_sources()
        self._take_events()
        elapsed_s, facts = self._measurements.elapsed_s(self._ended_s), self._state.facts
        counts = [(self._state.streams[each.index].name, each.meter.whole) for each in self._streams]
        return summarize(self._finished, counts, elapsed_s, () if facts is None else facts.notes)

    def _reporter(self, stream: int) -> Callable[[Event], None]:
        return lambda event: self._events.append((stream, event))

    def _loop(self) -> None:
        duration_s = math.inf if self._settings.duration_s is None else self._settings.duration_s
        while True:
            now_s = self._clock()
            self._apply(update(self._state, TimePassed(now_s)))
            self._take_answers()
            self._take_events()
            for stream in self._streams:
                self._take_notice(stream)
            self._take_ends()
            self._measure(now_s)
            self._offer()
            self._take_commands()
            if self._has_quit or self._measurements.elapsed_s(now_s) >= duration_s:
                return
            self._write_lines(now_s)
            try:
                frames = self._threads.frames.take(len(self._streams), _PATIENCE_S)
            except ChannelClosedError:
                self._end_without_frames()
                return  # all videos have ended
            for stream_index, frame in frames:
                self._take_frame(self._streams[stream_index], frame)
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
                for stream in self._streams:
                    stream.heat.set_smoothing(smoothing_s)
            case Explain(request):
                self._threads.request(request)
                self._explain_newest(self._streams)
            case MeasureDeletion(is_on):
                self._threads.deletion.is_on = is_on
                if is_on and self._state.frozen:  # no other frame will come
                    self._explain_newest(self._streams)
            case Freeze(frozen):
                self._threads.freeze(frozen)
                for stream in self._streams:
                    stream.heat.freeze(stream.newest if frozen else None)
                self._explain_newest(self._streams)
            case _:
                try:
                    is_done = self._hand_on(effect)
                except StreamcamError as error:
                    self._state = self._state.with_message(str(error))
                else:
                    if not is_done and not isinstance(effect, WriteStatistics):
                        self._state = self._state.with_message("no output of this session can do that")
                self._take_events()

    def _hand_on(self, effect: OutputEffect) -> bool:
        """Let outputs do something; return whether one can. Streams that are shown are recorded."""
        shown = None if isinstance(effect, WriteStatistics) else self._offers.live_frame(self._state)
        is_done = [output.handle(effect, shown) for output in self._outputs]
        if isinstance(effect, ToggleRecording):
            shown_streams = [self._streams[index] for index in self._state.shown]
            recorded = [self._state.streams[each.index].recording is not None for each in shown_streams]
            for stream, is_recorded in zip(shown_streams, recorded, strict=True):
                if is_recorded == any(recorded):  # one key stops all that are being recorded
                    live_frame = stream.live_frame(self._state)
                    is_done += [output.handle(effect, live_frame) for output in stream.outputs]
        if isinstance(effect, EndAskedRecordings):
            is_done += [output.handle(effect, None) for each in self._streams for output in each.outputs]
        return any(is_done)

    def _explain_newest(self, streams: Iterable[RunningStream]) -> None:
        """Explain the newest frames again: there may be no new ones, now or ever, to explain instead."""
        for stream in streams:
            if stream.newest is not None:
                self._threads.explain(stream.index, stream.newest)

    def _take_frame(self, stream: RunningStream, frame: Frame) -> None:
        now_s = self._clock()
        info = stream.source.info
        self._apply(update(self._state, FrameArrived(now_s, info.rate, info.has_audio), stream.index))
        self._measurements.begin(now_s)
        reach("a frame is decoded")
        if not self._state.frozen:
            stream.show(frame)
        elif stream.newest is None:  # frozen before there was anything to hold
            stream.show(frame)
            stream.heat.freeze(frame)
            self._explain_newest([stream])

    def _take_notice(self, stream: RunningStream) -> None:
        """Take note of what is wrong with a source; an image that is held stays even if nobody sends more."""
        notice = NoticeChanged(stream.source.notice, stream.source.is_vacant)
        self._apply(update(self._state, notice, stream.index))
        if notice.is_vacant and not self._state.frozen:
            stream.clear()

    def _take_answers(self) -> None:
        """Take what the explainer has finished since the last time."""
        while (answer := self._threads.answers.take(0)) is not None:
            if isinstance(answer, Explained):
                stream = self._streams[answer.stream]
                event = stream.add(answer)
                if event is not None:
                    self._apply(update(self._state, event, answer.stream))
                for output in (*self._outputs, *stream.outputs):
                    output.take(answer)
                if self._state.facts is not answer.facts:  # the backend may have changed
                    self._state = dataclasses.replace(self._state, facts=answer.facts)
            else:
                self._apply(update(self._state, answer))

    def _take_events(self) -> None:
        """Take what outputs have reported."""
        while self._events:
            stream, event = self._events.popleft()
            self._finished.append(event)
            self._apply(update(self._state, event, stream))

    def _take_ends(self) -> None:
        """Take note of streams that have ended; of a single one, that ends the session."""
        while self._threads.ended and len(self._streams) > 1:
            stream, error = self._threads.ended.popleft()
            problem = None if error is None else str(error) or type(error).__name__
            if error is not None:
                self._failures.append(error)
                self._finished.append(OutputFailed(f"{self._state.streams[stream].name}: {problem}"))
            self._apply(update(self._state, StreamEnded(problem), stream))

    def _end_without_frames(self) -> None:
        """Raise what is wrong if no stream had any frame.

        Raises:
            StreamcamError: if so.
        """
        self._take_ends()
        if all(stream.newest is None for stream in self._streams):
            if self._failures:
                raise self._failures[0]
            names = ", ".join(repr(stream.name) for stream in self._state.streams)
            raise SourceError(f"there are no frames in {names}")

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
        limit_s, state = self._settings.give_up_s, self._state
        if limit_s is None:
            return
        last_s = max(stream.frame_at_s for stream in state.streams)
        if self._clock() - last_s > limit_s:
            notices = [stream.notice for stream in state.streams if stream.notice]
            why = f" ({'; '.join(notices)})" if notices else ""
            names = ", ".join(repr(stream.name) for stream in state.streams)
            raise SourceError(f"no frame from {names} for {limit_s:g} s; giving up{why}")

    def _offer(self) -> None:
        """Hand what is new to all outputs."""
        self._state = self._offers.offer(self._state, self._clock())
        self._take_events()

    def _measure(self, now_s: float) -> None:
        """Bring the statistics of the state up to date, if it is time."""
        for index, measured in enumerate(self._measurements.measure(now_s)):
            self._apply(update(self._state, measured, index))

    def _write_lines(self, now_s: float) -> None:
        """Report the statistics of the last second of each stream, if it is time."""
        for line in self._measurements.lines(self._state, now_s):
            self._carry_out(line)

    # --- The end -----------------------------------------------------------------------------------------

    def _close(self, output: Output) -> None:
        """Close an output; those before it are closed already, so that what they wrote is counted."""
        for line in self._measurements.last_lines(self._state, self._ended_s):
            output.handle(line, None)
        output.close()
