"""The live preview: always the newest image, with heat as fresh as the network is fast.

    source ──Frame──▶ caller's thread: steady ▸ draw ▸ show ──▶ recorder
       └─────Frame──▶ explainer ──Explained──▶┘

The caller's thread shows every image it gets, at once, and does not wait for that image's own
explanation: the heat of the last one explained is carried on until there is a newer.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable
from pathlib import Path

from streamcam.errors import SourceError, StreamcamError
from streamcam.explanations import StabilizedFrame
from streamcam.frames import Frame
from streamcam.media.images import Image
from streamcam.pipeline.channel import ChannelClosedError
from streamcam.session.captures import CaptureManager
from streamcam.session.compositor import Compositor
from streamcam.session.controls import Controls, Deed, View
from streamcam.session.heat import LiveHeat
from streamcam.session.hud import Hud
from streamcam.session.recorder import Recorded, Recorder
from streamcam.session.settings import LiveSettings
from streamcam.session.stages import ExplainerFacts, Explainers, ExplainRequest, LiveStages, Refusal
from streamcam.session.statistics import Figures, StatsFile
from streamcam.session.status import LiveStatus
from streamcam.session.window import Display
from streamcam.sources import Source

_PATIENCE_S = 0.01
"""How long an image is waited for before the keys are looked at."""

_FINE_ENOUGH = (1280, 720)
"""Windows larger than the image are drawn up to this size; beyond it the window enlarges what is drawn."""


@dataclasses.dataclass(frozen=True, slots=True)
class LiveResult:
    """What a preview came to."""

    figures: Figures
    elapsed_s: float
    """Seconds from the first image to the end."""
    recordings: tuple[Recorder, ...]
    saved: tuple[Path, ...]
    """Images that were saved."""
    problems: tuple[str, ...]
    """What went wrong with recordings, images and the file of figures, in words."""
    notes: tuple[str, ...]
    """What the user should know about what was explained, a sentence each."""


class LivePreview:
    """One preview. Made, run and ended by one thread; `stop` may be called from any, and by a signal."""

    def __init__(
        self,
        source: Source,
        explainers: Explainers,
        display: Display,
        settings: LiveSettings | None = None,
        *,
        stats: StatsFile | None = None,
        tell: Callable[[str], None] = lambda _what: None,
    ) -> None:
        """Make ready; nothing is opened.

        Args:
            source: Where images come from.
            explainers: What explains them.
            display: Where they are shown.
            settings: How; the defaults if None.
            stats: Where figures go every second.
            tell: Told, in words, what those should know who do not see the window.
        """
        self._source = source
        self._display = display
        self._settings = settings or LiveSettings()
        self._stages = LiveStages(source, explainers, self._settings.wanted, self._settings.temporal)
        self._controls = Controls(self._settings.view, self._settings.wanted, explainers.methods)
        self._heat = LiveHeat(self._settings.temporal)
        self._keeper = CaptureManager(self._settings.folder)
        self._status = LiveStatus(
            source.info.name, self._stages, self._controls, self._keeper, stats=stats, tell=tell
        )
        self._compositor, self._hud = Compositor(), Hud()
        self._stop_asked = False
        self._newest: Frame | None = None
        self._drawn: tuple[object, ...] | None = None

    def stop(self) -> None:
        """End soon and in order. Does not wait."""
        self._stop_asked = True

    def run(self) -> LiveResult:
        """Show, until the source ends or somebody wants it to end.

        Raises:
            StreamcamError: one of its children, if there is no image or no explainer to be had, or no
                image for `LiveSettings.give_up_s`. What was recorded is finished even so.
        """
        self._stages.start()
        try:
            first = self._wait_for_first()
            if first is not None:
                self._begin(first)
                self._loop()
        finally:
            ended_at = time.monotonic()
            with contextlib.ExitStack() as ends:  # from the last to the first, even if one fails
                ends.callback(self._status.write_whole, ended_at)
                ends.callback(self._keeper.end)
                ends.callback(self._stages.end)
                ends.callback(self._display.close)
        return LiveResult(
            figures=self._status.meter.whole,
            elapsed_s=self._status.elapsed_s(ended_at),
            recordings=tuple(self._keeper.recordings),
            saved=tuple(self._keeper.saved),
            problems=(*self._keeper.problems, *filter(None, [self._status.problem])),
            notes=() if self._controls.facts is None else self._controls.facts.notes,
        )

    # --- The loop ----------------------------------------------------------------------------------------

    def _wait_for_first(self) -> Frame | None:
        """Wait until the source is open: a window opens only with something to show."""
        self._status.frame_at = time.monotonic()
        while not self._stop_asked:
            try:
                frame = self._stages.images.take(_PATIENCE_S)
            except ChannelClosedError:
                raise SourceError(f"{self._source.info.name!r} gave no images") from None
            if frame is not None:
                return frame
            now = time.monotonic()
            self._status.tell_of_trouble(now)
            self._give_up(now)
        return None

    def _begin(self, first: Frame) -> None:
        self._status.begin()
        if self._settings.record is not None:
            self._keeper.begin_recording(self._source.info.rate, self._settings.record)
        self._take_image(first)

    def _loop(self) -> None:
        duration_s = math.inf if self._settings.duration_s is None else self._settings.duration_s
        while True:
            now = time.monotonic()
            self._take_answers()
            self._status.tell_of_trouble(now)
            self._show(now)
            wants_more = self._obey()
            if self._stop_asked or not wants_more or self._status.elapsed_s(now) >= duration_s:
                return
            self._status.write_second(now)
            try:
                frame = self._stages.images.take(_PATIENCE_S)
            except ChannelClosedError:  # a video has ended
                return
            if frame is not None:
                self._take_image(frame)
            self._give_up(now)

    def _take_image(self, frame: Frame) -> None:
        self._status.frame_at = time.monotonic()
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
                self._status.say(answer.reason)
            else:
                # The backend may have changed; and other answers may have been dropped.
                self._controls.facts = answer.facts
                if answer.explanation.is_explained:
                    self._status.meter.note_explained()
                self._heat.take(answer)

    def _give_up(self, now: float) -> None:
        """End if there has been no image for too long.

        Raises:
            SourceError: if so.
        """
        limit_s = self._settings.give_up_s
        if limit_s is not None and self._status.silence_s(now) > limit_s:
            why = f" ({self._stages.notice})" if self._stages.notice else ""
            raise SourceError(f"no image from {self._source.info.name!r} for {limit_s:g} s; giving up{why}")

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
                self._status.say(self._controls.said)
                self._controls.said = None
        return not self._display.closed

    def _follow(self, view: View, wanted: ExplainRequest) -> None:
        """Carry out what has changed since the view and the wish were these."""
        now_view = self._controls.view
        if now_view.smoothing_s != view.smoothing_s:
            self._heat.set_smoothing(now_view.smoothing_s)
        if now_view.frozen != view.frozen:
            self._stages.freeze(now_view.frozen)
            self._heat.freeze(self._newest if now_view.frozen else None)
        has_new_wish = self._controls.wanted != wanted
        if has_new_wish:
            self._stages.order(self._controls.wanted)
        if self._newest is not None and (has_new_wish or now_view.frozen != view.frozen):
            # No new image may come, now or ever, that would make the explainer look at its orders.
            self._stages.explain(self._newest)

    def _do(self, deed: Deed) -> None:
        try:
            if deed is Deed.FULL_SCREEN:
                self._display.toggle_full_screen()
            elif deed is Deed.SAVE_IMAGE:
                self._save_image()
            elif deed is Deed.RECORD:
                self._toggle_recording()
        except StreamcamError as error:
            self._status.say(str(error))

    def _toggle_recording(self) -> None:
        path = self._keeper.end_recording()
        if path is None:
            self._status.say(f"recording to {self._keeper.begin_recording(self._source.info.rate)}")
            if self._newest is not None:  # what is seen now is its first image, though it be a frozen one
                self._record(self._newest)
        else:
            self._status.say(f"recorded {path}")

    def _save_image(self) -> None:
        if self._newest is not None:
            self._status.say(f"saved {self._keeper.save_image(self._compose(self._newest))}")

    # --- Showing -----------------------------------------------------------------------------------------

    def _show(self, now: float) -> None:
        """Draw and show, if there is anything new to be seen."""
        frame = self._newest
        if frame is None:
            return
        view, size, hud = self._controls.view, self._canvas_size(frame), self._status.hud(now, frame)
        waits_for_heat = view.frozen or self._status.has_stalled(now)
        drawn = (frame, view, size, hud, self._heat.current if waits_for_heat else None)
        before, self._drawn = self._drawn, drawn
        if before is not None and all(a is b or a == b for a, b in zip(before, drawn, strict=True)):
            return
        image = self._compose(frame, size)
        self._hud.paint(image, hud)
        self._display.show(image)
        self._controls.shown = self._heat.current
        if before is None or before[0] is not frame:
            self._note_shown(frame)
            self._record(frame)

    def _heat_of(self, frame: Frame) -> StabilizedFrame | None:
        return self._heat.of(frame) if self._controls.view.heat_shown else None

    def _compose(self, frame: Frame, size: tuple[int, int] | None = None) -> Image:
        view = self._controls.view
        return self._compositor.compose(frame, self._heat_of(frame), view.overlay, view.layout, size)

    def _record(self, frame: Frame) -> None:
        self._keeper.record(Recorded(frame, self._heat_of(frame), self._controls.view.overlay))

    def _note_shown(self, frame: Frame) -> None:
        now, explained = time.monotonic(), self._heat.explained
        heat_age_s = None if explained is None else now - explained.frame.received_at
        self._status.meter.note_shown(now - frame.received_at, heat_age_s)

    def _canvas_size(self, frame: Frame) -> tuple[int, int] | None:
        """The window's size, or as much of it as is worth drawing."""
        size = self._display.size
        if size is None:
            return None
        width, height = max(_FINE_ENOUGH[0], frame.image.width), max(_FINE_ENOUGH[1], frame.image.height)
        scale = min(1.0, max(width / size[0], height / size[1]))
        return round(size[0] * scale), round(size[1] * scale)
