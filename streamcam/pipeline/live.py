"""The live preview: always the newest picture, with heat as fresh as the network is fast.

    source ──Frame──▶ caller's thread: steady ▸ draw ▸ show ──▶ recorder
       └─────Frame──▶ explainer ──Explained──▶┘

The caller's thread shows every picture it gets, at once, and does not wait for that picture's own
explanation: the heat of the last one explained is carried on until there is a newer.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from streamcam.errors import SourceError, StreamcamError
from streamcam.frames import Frame
from streamcam.overlay import Compositor, Hud, HudState
from streamcam.pipeline.channel import ChannelClosedError
from streamcam.pipeline.controls import BINDINGS, Controls, Deed, View
from streamcam.pipeline.figures import Figures, Meter, StatsFile
from streamcam.pipeline.keeping import Keeper
from streamcam.pipeline.live_heat import LiveHeat
from streamcam.pipeline.live_stages import ExplainerFacts, Explainers, LiveStages, Refusal, Wanted
from streamcam.pipeline.recorder import Recorded, Recorder
from streamcam.sinks.window import Display
from streamcam.sources import LiveSource
from streamcam.temporal import LIVE_MODE, TemporalSettings

_PATIENCE_S = 0.01
"""How long a picture is waited for before the keys are looked at."""

_STALLED_S = 2.0
"""A source that gave no picture for so long is said to have stalled."""

_SAYING_S = 2.5
"""How long it is shown what a key did."""

_FIGURES_EVERY_S = 0.5
_STATS_EVERY_S = 1.0

_FINE_ENOUGH = (1280, 720)
"""Windows larger than the picture are drawn up to this size; beyond it the window enlarges what is drawn."""


@dataclasses.dataclass(frozen=True, slots=True)
class LiveSettings:
    """How a preview runs."""

    view: View = dataclasses.field(default_factory=View)
    temporal: TemporalSettings = dataclasses.field(default_factory=lambda: TemporalSettings(mode=LIVE_MODE))
    wanted: Wanted = dataclasses.field(default_factory=lambda: Wanted("gradcam"))
    duration_s: float | None = None
    """How long to run, in seconds from the first picture; None for ever."""
    give_up_s: float | None = None
    """How long without a picture is too long, in seconds; None for ever."""
    record: Path | None = None
    """Where to record to from the beginning; None to record when asked to."""
    folder: Path = Path()
    """Where pictures and recordings go that keys ask for."""


@dataclasses.dataclass(frozen=True, slots=True)
class LiveResult:
    """What a preview came to."""

    figures: Figures
    elapsed_s: float
    """Seconds from the first picture to the end."""
    recordings: tuple[Recorder, ...]
    saved: tuple[Path, ...]
    """Pictures that were saved."""
    problems: tuple[str, ...]
    """What went wrong with recordings and pictures, in words."""
    notes: tuple[str, ...]
    """What the user should know about what was explained, a sentence each."""


class LivePreview:
    """One preview. Made, run and ended by one thread; `stop` may be called from any, and by a signal."""

    def __init__(
        self,
        source: LiveSource,
        explainers: Explainers,
        display: Display,
        settings: LiveSettings | None = None,
        *,
        stats: StatsFile | None = None,
        tell: Callable[[str], None] = lambda _what: None,
    ) -> None:
        """Make ready; nothing is opened.

        Args:
            source: Where pictures come from.
            explainers: What explains them.
            display: Where they are shown.
            settings: How; the defaults if None.
            stats: Where figures go every second.
            tell: Told, in words, what those should know who do not see the window.
        """
        self._source = source
        self._display = display
        self._settings = settings or LiveSettings()
        self._stats = stats
        self._tell = tell
        self._stages = LiveStages(source, explainers, self._settings.wanted, self._settings.temporal)
        self._controls = Controls(self._settings.view, self._settings.wanted, explainers.methods)
        self._heat = LiveHeat(self._settings.temporal)
        self._keeper = Keeper(self._settings.folder)
        self._compositor, self._hud = Compositor(), Hud()
        self._meter = Meter()
        self._stop_asked = False
        self._newest: Frame | None = None
        self._drawn: tuple[object, ...] | None = None
        self._began_at = self._picture_at = self._stats_at = self._figures_at = 0.0
        self._figures: tuple[tuple[str, str], ...] = ()
        self._said, self._said_at = "", 0.0
        self._told_notice: str | None = None

    def stop(self) -> None:
        """End soon and in order. Does not wait."""
        self._stop_asked = True

    def run(self) -> LiveResult:
        """Show, until the source ends or somebody wants it to end.

        Raises:
            StreamcamError: one of its children, if there is no picture or no explainer to be had, or no
                picture for `LiveSettings.give_up_s`. What was recorded is finished even so.
        """
        self._stages.start()
        try:
            first = self._wait_for_first()
            if first is not None:
                self._begin(first)
                self._loop()
        finally:
            ended_at = time.monotonic()
            self._display.close()
            self._stages.end()
            self._keeper.end()
            self._meter.note_source(self._stages.captured, self._stages.pictures.dropped)
            if self._stats is not None and self._began_at:
                self._stats.write(self._record(self._meter.whole, ended_at) | {"whole_run": True})
        return LiveResult(
            figures=self._meter.whole,
            elapsed_s=ended_at - self._began_at if self._began_at else 0.0,
            recordings=tuple(self._keeper.recordings),
            saved=tuple(self._keeper.saved),
            problems=self._keeper.problems,
            notes=() if self._controls.facts is None else self._controls.facts.notes,
        )

    # --- The loop ----------------------------------------------------------------------------------------

    def _wait_for_first(self) -> Frame | None:
        """Wait until the source is open: a window opens only with something to show."""
        self._picture_at = time.monotonic()
        while not self._stop_asked:
            try:
                frame = self._stages.pictures.take(_PATIENCE_S)
            except ChannelClosedError:
                raise SourceError(f"{self._source.name!r} gave no pictures") from None
            if frame is not None:
                return frame
            self._give_up(time.monotonic())
        return None

    def _begin(self, first: Frame) -> None:
        self._began_at = self._stats_at = time.monotonic()
        if self._settings.record is not None:
            self._keeper.begin_recording(self._source.rate, self._settings.record)
        self._take_picture(first)

    def _loop(self) -> None:
        duration_s = math.inf if self._settings.duration_s is None else self._settings.duration_s
        while True:
            now = time.monotonic()
            self._take_answers()
            self._tell_of_trouble(now)
            self._show(now)
            wants_more = self._obey()
            if self._stop_asked or not wants_more or now - self._began_at >= duration_s:
                return
            self._write_stats(now)
            try:
                frame = self._stages.pictures.take(_PATIENCE_S)
            except ChannelClosedError:  # a film has ended
                return
            if frame is not None:
                self._take_picture(frame)
            self._give_up(now)

    def _take_picture(self, frame: Frame) -> None:
        self._picture_at = time.monotonic()
        if not self._controls.view.frozen:
            self._newest = frame

    def _take_answers(self) -> None:
        """Take what the explainer has finished since the last time."""
        while (answer := self._stages.answers.take(0)) is not None:
            if isinstance(answer, ExplainerFacts):
                self._controls.facts = answer
            elif isinstance(answer, Refusal):
                # What was wanted stays where it is, so that the next key goes on from there.
                self._controls.facts = answer.facts
                self._say(answer.reason)
            else:
                if answer.explanation.is_explained:
                    self._meter.note_explained()
                self._heat.take(answer)

    def _give_up(self, now: float) -> None:
        """End if there has been no picture for too long.

        Raises:
            SourceError: if so.
        """
        limit_s = self._settings.give_up_s
        if limit_s is not None and now - self._picture_at > limit_s:
            why = f" ({self._stages.notice})" if self._stages.notice else ""
            raise SourceError(f"no picture from {self._source.name!r} for {limit_s:g} s; giving up{why}")

    def _tell_of_trouble(self, now: float) -> None:
        """Say what is wrong with the source or the recording, once."""
        failed = self._keeper.failed_recording()
        if failed is not None:
            self._say(failed)
        notice = self._stages.notice
        if notice != self._told_notice:
            if notice is not None and self._told_notice is None:
                self._tell(notice)
            elif notice is None:
                self._tell(f"{self._source.name} is back after {now - self._picture_at:.0f} s")
            self._told_notice = notice

    # --- Keys --------------------------------------------------------------------------------------------

    def _obey(self) -> bool:
        """Do what the keys pressed say; return whether the preview goes on."""
        for key in self._display.poll():
            view, wanted = self._controls.view, self._controls.wanted
            deed = self._controls.press(key)
            if deed is Deed.QUIT:
                return False
            self._follow(view, wanted)
            if deed is not None:
                self._do(deed)
            if self._controls.said is not None:
                self._say(self._controls.said)
                self._controls.said = None
        return not self._display.closed

    def _follow(self, view: View, wanted: Wanted) -> None:
        """Carry out what has changed since the view and the wish were these."""
        now_view = self._controls.view
        if now_view.smoothing_s != view.smoothing_s:
            self._heat.set_smoothing(now_view.smoothing_s)
        if now_view.frozen != view.frozen:
            self._stages.frozen = now_view.frozen
            self._heat.freeze(self._newest if now_view.frozen else None)
        has_new_wish = self._controls.wanted != wanted
        if has_new_wish:
            self._stages.order(self._controls.wanted)
        if self._newest is not None and (has_new_wish or now_view.frozen != view.frozen):
            # No new picture may come, now or ever, that would make the explainer look at its orders.
            self._stages.explain(self._newest)

    def _do(self, deed: Deed) -> None:
        try:
            if deed is Deed.FULL_SCREEN:
                self._display.toggle_full_screen()
            elif deed is Deed.SAVE_PICTURE:
                self._save_picture()
            elif deed is Deed.RECORD:
                self._toggle_recording()
        except StreamcamError as error:
            self._say(str(error))

    def _toggle_recording(self) -> None:
        path = self._keeper.end_recording()
        if path is None:
            self._say(f"recording to {self._keeper.begin_recording(self._source.rate)}")
            if self._newest is not None:  # what is seen now is its first picture, though it be a frozen one
                view = self._controls.view
                steadied = self._heat.of(self._newest) if view.heat_shown else None
                self._keeper.record(Recorded(self._newest, steadied, view.overlay))
        else:
            self._say(f"recorded {path}")

    def _save_picture(self) -> None:
        if self._newest is not None:
            view = self._controls.view
            steadied = self._heat.of(self._newest) if view.heat_shown else None
            picture = self._compositor.compose(self._newest, steadied, view.overlay, view.layout)
            self._say(f"saved {self._keeper.save_picture(picture)}")

    def _say(self, words: str) -> None:
        self._said, self._said_at = words, time.monotonic()

    # --- Showing -----------------------------------------------------------------------------------------

    def _show(self, now: float) -> None:
        """Draw and show, if there is anything new to be seen."""
        frame = self._newest
        if frame is None:
            return
        view, size, hud = self._controls.view, self._canvas_size(frame), self._hud_state(now)
        waits_for_heat = view.frozen or now - self._picture_at > _STALLED_S
        drawn = (frame, view, size, hud, self._heat.current if waits_for_heat else None)
        before, self._drawn = self._drawn, drawn
        if before is not None and all(a is b or a == b for a, b in zip(before, drawn, strict=True)):
            return
        steadied = self._heat.of(frame) if view.heat_shown else None
        picture = self._compositor.compose(frame, steadied, view.overlay, view.layout, size)
        self._hud.paint(picture, hud)
        self._display.show(picture)
        self._controls.shown = self._heat.current
        if before is None or before[0] is not frame:
            self._note_shown(frame)
            self._keeper.record(Recorded(frame, steadied, view.overlay))

    def _note_shown(self, frame: Frame) -> None:
        now, explained = time.monotonic(), self._heat.explained
        heat_age_s = None if explained is None else now - explained.frame.received_at
        self._meter.note_shown(now - frame.received_at, heat_age_s)

    def _canvas_size(self, frame: Frame) -> tuple[int, int] | None:
        """The window's size, or as much of it as is worth drawing."""
        size = self._display.size
        if size is None:
            return None
        width, height = max(_FINE_ENOUGH[0], frame.image.width), max(_FINE_ENOUGH[1], frame.image.height)
        scale = min(1.0, max(width / size[0], height / size[1]))
        return round(size[0] * scale), round(size[1] * scale)

    def _hud_state(self, now: float) -> HudState:
        """What is to be written over the picture."""
        view, recorder = self._controls.view, self._keeper.recording
        recording = None
        if recorder is not None and recorder.began_s is not None and self._newest is not None:
            seconds = int(self._newest.time_s - recorder.began_s)
            recording = f"{seconds // 60}:{seconds % 60:02}"
        if now - self._figures_at >= _FIGURES_EVERY_S:
            self._figures_at = now
            self._figures = self._figure_rows(now)
        entry = view.entry
        return HudState(
            figures=self._figures if view.figures else (),
            help=tuple((binding.shown, binding.purpose) for binding in BINDINGS) if view.help else (),
            notices=self._notices(now),
            trouble=self._has_trouble(now),
            recording=recording,
            frozen=view.frozen,
            typed=None if entry is None else entry.text,
            choices=() if entry is None else tuple(entry.labels[index] for index in entry.matches),
            chosen=0 if entry is None else entry.chosen,
        )

    def _notices(self, now: float) -> tuple[str, ...]:
        notices = []
        if self._stages.notice is not None:
            notices.append(self._stages.notice)
        elif self._has_trouble(now):
            notices.append(f"no picture from {self._source.name} for {now - self._picture_at:.0f} s")
        if self._controls.facts is None:
            notices.append("loading the network …")
        elif self._said and now - self._said_at < _SAYING_S:
            notices.append(self._said)
        return tuple(notices)

    def _has_trouble(self, now: float) -> bool:
        return self._stages.notice is not None or now - self._picture_at > _STALLED_S

    # --- Figures -----------------------------------------------------------------------------------------

    def _figure_rows(self, now: float) -> tuple[tuple[str, str], ...]:
        """The figures for the window: names and values."""
        self._meter.note_source(self._stages.captured, self._stages.pictures.dropped)
        rates, whole, facts = self._meter.rates(now), self._meter.whole, self._controls.facts
        rows = [(name, f"{rate:.1f} fps") for name, rate in rates.items()]
        rows.append(("age of picture", _milliseconds(whole.picture_age.latest_ms)))
        rows.append(("age of heat", _milliseconds(whole.heat_age.latest_ms)))
        rows.append(("dropped", str(whole.dropped)))
        if facts is not None:
            rows.append(("network", facts.model))
            rows.append(("method", facts.method))
            rows.append(("layer", facts.layer))
            rows.append(("engine", f"{facts.engine} {facts.precision}"))
        return tuple(rows)

    def _write_stats(self, now: float) -> None:
        if self._stats is not None and now - self._stats_at >= _STATS_EVERY_S:
            self._stats_at = now
            self._meter.note_source(self._stages.captured, self._stages.pictures.dropped)
            self._stats.write(self._record(self._meter.next_second(), now))

    def _record(self, figures: Figures, now: float) -> dict[str, Any]:
        """One line of the file of figures."""
        facts, recordings = self._controls.facts, self._keeper.recordings
        return {
            "time_s": round(now - self._began_at, 3),
            **figures.record(),
            "recorded": sum(recorder.written for recorder in recordings),
            "recording_dropped": sum(recorder.dropped for recorder in recordings),
            "notice": self._stages.notice,
            "method": None if facts is None else facts.method,
            "layer": None if facts is None else facts.layer,
            "engine": None if facts is None else facts.engine,
            "precision": None if facts is None else facts.precision,
        }


def _milliseconds(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.0f} ms"
