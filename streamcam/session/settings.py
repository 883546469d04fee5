"""How a live preview is to run."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from streamcam.session.controls import View
from streamcam.session.stages import ExplainRequest
from streamcam.temporal import LIVE_MODE, TemporalSettings


@dataclasses.dataclass(frozen=True, slots=True)
class LiveSettings:
    """How a preview runs."""

    view: View = dataclasses.field(default_factory=View)
    temporal: TemporalSettings = dataclasses.field(default_factory=lambda: TemporalSettings(mode=LIVE_MODE))
    wanted: ExplainRequest = dataclasses.field(default_factory=lambda: ExplainRequest("gradcam"))
    duration_s: float | None = None
    """How long to run, in seconds from the first image; None for ever."""
    give_up_s: float | None = None
    """How long without an image is too long, in seconds; None for ever."""
    record: Path | None = None
    """Where to record to from the beginning, replacing what is there; None to record when asked to."""
    folder: Path = Path()
    """Where images and recordings go that keys ask for."""
