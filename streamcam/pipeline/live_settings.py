"""How a live preview is to run."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from streamcam.pipeline.controls import View
from streamcam.pipeline.live_stages import Wanted
from streamcam.temporal import LIVE_MODE, TemporalSettings


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
    """Where to record to from the beginning, replacing what is there; None to record when asked to."""
    folder: Path = Path()
    """Where pictures and recordings go that keys ask for."""
