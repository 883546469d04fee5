"""Settings of a live session."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from streamcam.errors import InvalidArgumentError, unknown_name
from streamcam.localization import LocalizationSettings
from streamcam.overlay import Overlay, OverlaySettings
from streamcam.session.state import View
from streamcam.sinks import check_output, check_recording
from streamcam.sources import SourceSettings
from streamcam.temporal import LIVE_MODE, TemporalSettings, check_live

DISPLAYS = ("window", "none")


@dataclasses.dataclass(frozen=True, slots=True)
class LiveSettings:
    """How a live session runs."""

    source: SourceSettings = dataclasses.field(default_factory=lambda: SourceSettings(real_time=True))
    """How the source is read. Videos are played at their own pace in any case."""
    overlay: OverlaySettings = dataclasses.field(default_factory=OverlaySettings)
    temporal: TemporalSettings = dataclasses.field(default_factory=lambda: TemporalSettings(mode=LIVE_MODE))
    localization: LocalizationSettings = dataclasses.field(default_factory=LocalizationSettings)
    """Boxes and points to look for in the heat, and to draw."""
    display: str = "window"
    """Where to show it: ``"window"``, or ``"none"`` for unattended runs."""
    heat_shown: bool = True
    """Whether heat is shown at first, or the bare frames."""
    duration_s: float | None = None
    """How long to run, in seconds from the first frame; None for ever."""
    give_up_s: float | None = None
    """How long to wait for a frame before failing, in seconds; None for ever."""
    record: str | Path | None = None
    """A video to record to from the first frame on; None to record when asked to."""
    overwrite: bool = False
    """Whether `record` may replace an existing file."""
    folder: str | Path = "."
    """Where images and recordings go that are asked for while it runs."""
    statistics: str | Path | None = None
    """A file for statistics, one JSON object per second; replaced if it exists."""

    @property
    def view(self) -> View:
        """How frames are shown at first."""
        return View(self.overlay, self.temporal.smoothing_s, self.heat_shown)

    def check(self) -> None:
        """Check everything that can be checked before anything is opened.

        Raises:
            StreamcamError: one of its children, for the first setting that cannot be used.
        """
        if self.record is not None:
            check_recording(self.record, overwrite=self.overwrite)
        Overlay(self.overlay)
        check_live(self.temporal)
        self.localization.check()
        if self.display not in DISPLAYS:
            raise unknown_name("display", self.display, DISPLAYS)
        for name in ("duration_s", "give_up_s"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InvalidArgumentError(f"`{name}` {value:g} is not above 0")
        if self.statistics is not None:
            check_output(self.statistics, overwrite=True, inputs=())
