"""What is told of a live preview while it runs: over the image, to the terminal, in a file of figures."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from streamcam.errors import SinkError
from streamcam.frames import Frame
from streamcam.session.captures import CaptureManager
from streamcam.session.controls import BINDINGS, Controls
from streamcam.session.hud import HudState
from streamcam.session.stages import LiveStages
from streamcam.session.statistics import Figures, Meter, StatsFile

_STALLED_S = 2.0
"""A source that gave no image for so long is said to have stalled."""

_SAYING_S = 2.5
"""How long it is shown what a key did."""

_FIGURES_EVERY_S = 0.5
_STATS_EVERY_S = 1.0


class LiveStatus:
    """How a preview is doing. Belongs to one thread; times are those of the monotonic clock, in seconds.

    Attributes:
        meter: Counts what happens.
        frame_at: When the last image came, or was first waited for. Set by the caller.
        problem: Why the file of figures ends early, in words; None if it does not.
    """

    def __init__(
        self,
        source_name: str,
        stages: LiveStages,
        controls: Controls,
        keeper: CaptureManager,
        *,
        stats: StatsFile | None,
        tell: Callable[[str], None],
    ) -> None:
        """Assign.

        Args:
            source_name: What the source is called.
            stages: Looked at for what the source does.
            controls: Looked at for what is to be seen.
            keeper: Looked at for recordings.
            stats: Where figures go every second.
            tell: Told, in words, what those should know who do not see the window.
        """
        self.meter = Meter()
        self.frame_at = 0.0
        self.problem: str | None = None
        self._source_name = source_name
        self._stages = stages
        self._controls = controls
        self._keeper = keeper
        self._stats = stats
        self._tell = tell
        self._began_at = self._stats_at = self._figures_at = 0.0
        self._figures: tuple[tuple[str, str], ...] = ()
        self._said, self._said_at = "", 0.0
        self._told_notice: str | None = None
        self._gone_since = 0.0

    def begin(self) -> None:
        """Count the time from now on."""
        self._began_at = self._stats_at = time.monotonic()

    def elapsed_s(self, now: float) -> float:
        """How long it has been running; 0 if it has not begun."""
        return now - self._began_at if self._began_at else 0.0

    def silence_s(self, now: float) -> float:
        """How long there has been no image."""
        return now - self.frame_at

    def has_stalled(self, now: float) -> bool:
        """Whether there has been no image for so long that it is said."""
        return self.silence_s(now) > _STALLED_S

    def say(self, words: str) -> None:
        """Show words over the image for a while."""
        self._said, self._said_at = words, time.monotonic()

    def tell_of_trouble(self, now: float) -> None:
        """Say what is wrong with the source or the recording, once."""
        failure = self._keeper.failure()
        if failure is not None:
            self.say(failure)
        notice = self._stages.notice
        if notice != self._told_notice:
            if notice is not None and self._told_notice is None:
                self._gone_since = self.frame_at
                self._tell(notice)
            elif notice is None:  # and its first image may have been taken already
                self._tell(f"{self._source_name} is back after {now - self._gone_since:.0f} s")
            self._told_notice = notice

    def hud(self, now: float, frame: Frame) -> HudState:
        """What is to be written over the image.

        Args:
            now: The time, in seconds of the monotonic clock.
            frame: The one that is shown.
        """
        view, recorder = self._controls.view, self._keeper.recording
        recording = None
        if recorder is not None and recorder.began_s is not None:
            seconds = int(frame.time_s - recorder.began_s)
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
            notices.append(f"no image from {self._source_name} for {self.silence_s(now):.0f} s")
        if self._controls.facts is None:
            notices.append("loading the network …")
        elif self._said and now - self._said_at < _SAYING_S:
            notices.append(self._said)
        return tuple(notices)

    def _has_trouble(self, now: float) -> bool:
        return self._stages.notice is not None or self.has_stalled(now)

    def _figure_rows(self, now: float) -> tuple[tuple[str, str], ...]:
        """The figures for the window: names and values."""
        self._note_source()
        rates, whole, facts = self.meter.rates(now), self.meter.whole, self._controls.facts
        rows = [(name, f"{rate:.1f} fps") for name, rate in rates.items()]
        rows.append(("age of frame", _milliseconds(whole.frame_age.latest_ms)))
        rows.append(("age of heat", _milliseconds(whole.heat_age.latest_ms)))
        rows.append(("dropped", str(whole.dropped)))
        if facts is not None:
            rows.append(("network", facts.model))
            rows.append(("method", facts.method))
            rows.append(("layer", facts.layer))
            rows.append(("backend", f"{facts.backend} {facts.precision}"))
        return tuple(rows)

    def write_second(self, now: float) -> None:
        """Write the figures of the last second into their file, if it is time."""
        if self._stats is not None and now - self._stats_at >= _STATS_EVERY_S:
            self._stats_at = now
            self._note_source()
            self._write(self._record(self.meter.next_second(), now))

    def write_whole(self, ended_at: float) -> None:
        """Write the figures of the whole run into their file."""
        self._note_source()
        if self._began_at:
            self._write(self._record(self.meter.whole, ended_at) | {"whole_run": True})

    def _write(self, record: dict[str, Any]) -> None:
        """Add a line to the file of figures. A disk that is full is no reason to end the preview."""
        if self._stats is None:
            return
        try:
            self._stats.write(record)
        except SinkError as error:
            self._stats = None
            self.problem = str(error)
            self.say(self.problem)

    def _note_source(self) -> None:
        self.meter.note_source(self._stages.captured, self._stages.images.dropped)

    def _record(self, figures: Figures, now: float) -> dict[str, Any]:
        """One line of the file of figures."""
        facts, recordings = self._controls.facts, self._keeper.recordings
        return {
            "time_s": round(self.elapsed_s(now), 3),
            **figures.record(),
            "recorded": sum(recorder.written for recorder in recordings),
            "recording_dropped": sum(recorder.dropped for recorder in recordings),
            "notice": self._stages.notice,
            "method": None if facts is None else facts.method,
            "layer": None if facts is None else facts.layer,
            "backend": None if facts is None else facts.backend,
            "precision": None if facts is None else facts.precision,
        }


def _milliseconds(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.0f} ms"
