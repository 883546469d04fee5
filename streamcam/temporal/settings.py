"""What can be asked of the temporal stage."""

from __future__ import annotations

import dataclasses
import math

from streamcam.errors import InvalidArgumentError, unknown_name


@dataclasses.dataclass(frozen=True, slots=True)
class Mode:
    """One way of smoothing."""

    smooths: bool
    looks_ahead: bool
    """Whether a frame is shown only when some of those after it are known."""
    follows_motion: bool
    """Whether heat travels with what moves, along the optical flow."""
    summary: str


MODES: dict[str, Mode] = {
    "none": Mode(False, False, False, "each map as it is"),
    "causal": Mode(True, False, False, "an exponential mean of the maps so far; trails what moves"),
    "zero-phase": Mode(True, True, False, "the same, forward and backward in time; trails nothing"),
    "flow": Mode(True, False, True, "as causal, with the mean carried along by what moves"),
    "flow-zero-phase": Mode(True, True, True, "as zero-phase, with the mean carried along by what moves"),
}
"""Every smoothing mode."""

SCALES: dict[str, str] = {
    "frame": "each frame's strongest place is 1",
    "running": "what the class usually reaches in this shot is 1",
    "absolute": "each frame's strongest place is the class's probability",
}
"""What the strength shown is held against."""

CUTS = ("auto", "off")

LIVE_MODE = "causal"
"""The mode for sources that nobody can look ahead in."""

LONGEST_S = 60.0
"""Time constants beyond this would show the video's past rather than its present."""


@dataclasses.dataclass(frozen=True, slots=True)
class TemporalSettings:
    """How explanations are made to hold together in time."""

    smoothing_s: float = 0.25
    """Time constant of the smoothing in seconds; 0 turns it off."""
    mode: str = "flow-zero-phase"
    """A name in `MODES`."""
    scale: str = "running"
    """A name in `SCALES`."""
    dim_uncertain: bool = False
    """Whether heat is weaker where the class is improbable."""
    cuts: str = "auto"
    """``"auto"`` starts afresh where another shot begins, ``"off"`` never."""
    label_hold_s: float = 0.5
    """How long another class must lead before it is shown and explained, in seconds; 0 never waits."""
    every: int = 1
    """Every how many frames one is explained; heat and labels are carried over the others."""

    @property
    def smoother(self) -> Mode:
        """What the mode does."""
        return MODES[self.mode]

    def check(self) -> None:
        """Make sure that the settings can be used.

        Raises:
            InvalidArgumentError: naming the one that cannot.
        """
        if self.mode not in MODES:
            raise unknown_name("smoothing mode", self.mode, MODES)
        if self.scale not in SCALES:
            raise unknown_name("scale", self.scale, SCALES)
        if self.cuts not in CUTS:
            raise unknown_name("setting of cuts", self.cuts, CUTS)
        for name, value in (("smoothing", self.smoothing_s), ("label hold", self.label_hold_s)):
            if not (math.isfinite(value) and 0 <= value <= LONGEST_S):
                raise InvalidArgumentError(f"{name} takes seconds from 0 to {LONGEST_S:g}, not {value:g}")
        if self.every < 1:
            raise InvalidArgumentError(f"every counts frames from 1, not {self.every}")


def check_live(settings: TemporalSettings) -> None:
    """Make sure that settings suit a source that is shown while it happens.

    Raises:
        InvalidArgumentError: if they cannot be used, or need frames that have not happened yet.
    """
    settings.check()
    if settings.smoother.looks_ahead:
        raise InvalidArgumentError(
            f"smoothing mode {settings.mode!r} needs the frames that come after, and a live source has none "
            f"yet; use 'flow' or 'causal'"
        )
