"""Settings of the temporal stage."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

from streamcam.errors import InvalidArgumentError, unknown_name


@dataclasses.dataclass(frozen=True, slots=True)
class SmoothingMode:
    """Properties of a smoothing mode."""

    smooths: bool
    looks_ahead: bool
    """Whether a frame is shown only after some later frames are known."""
    follows_motion: bool
    """Whether heat is warped along the optical flow."""
    summary: str


MODES: dict[str, SmoothingMode] = {
    "none": SmoothingMode(False, False, False, "each map as it is"),
    "causal": SmoothingMode(True, False, False, "an exponential average of past maps; lags behind motion"),
    "zero-phase": SmoothingMode(True, True, False, "the same, forward and backward in time; no lag"),
    "flow": SmoothingMode(True, False, True, "like causal, with the average warped along the optical flow"),
    "flow-zero-phase": SmoothingMode(True, True, True, "like zero-phase, warped along the optical flow"),
}
"""Name → smoothing mode."""

SCALES: dict[str, str] = {
    "frame": "each frame's strongest value is 1",
    "running": "the level the class usually reaches in this shot is 1",
    "absolute": "each frame's strongest value is the class's probability",
}
"""Name of a scale → what full strength means."""

CUTS = ("auto", "off")

LIVE_MODE = "causal"
"""The default mode for live sources, which have no future frames."""

MAX_TIME_CONSTANT_S = 60.0
"""Longer time constants would show the video's past rather than its present."""


@dataclasses.dataclass(frozen=True, slots=True)
class TemporalSettings:
    """How explanations are stabilized in time."""

    smoothing_s: float = 0.25
    """Time constant of the smoothing in seconds; 0 turns it off."""
    mode: str = "flow-zero-phase"
    """Name of a smoothing mode in `MODES`."""
    scale: str = "running"
    """Name of a scale in `SCALES`."""
    dim_uncertain: bool = False
    """Whether heat is weaker where the class is improbable."""
    cuts: str = "auto"
    """``"auto"`` restarts smoothing where a new shot begins, ``"off"`` never does."""
    label_hold_s: float = 0.5
    """How long another class must lead before it replaces the displayed one, in seconds; 0 never waits."""
    every: int | Literal["auto"] = 1
    """Explain every Nth frame, or with ``"auto"`` those that show something new, as many as keep the heat
    close to that of every frame. Heat and labels are carried over the frames between."""

    @property
    def smoothing_mode(self) -> SmoothingMode:
        """Properties of the mode."""
        return MODES[self.mode]

    def check(self) -> None:
        """Check every setting.

        Raises:
            InvalidArgumentError: naming the first that cannot be used.
        """
        if self.mode not in MODES:
            raise unknown_name("smoothing mode", self.mode, MODES)
        if self.scale not in SCALES:
            raise unknown_name("scale", self.scale, SCALES)
        if self.cuts not in CUTS:
            raise unknown_name("cut detection", self.cuts, CUTS)
        for name, value in (("smoothing_s", self.smoothing_s), ("label_hold_s", self.label_hold_s)):
            if not (math.isfinite(value) and 0 <= value <= MAX_TIME_CONSTANT_S):
                raise InvalidArgumentError(
                    f"`{name}` takes seconds from 0 to {MAX_TIME_CONSTANT_S:g}, not {value:g}"
                )
        if self.every != "auto" if isinstance(self.every, str) else self.every < 1:
            raise InvalidArgumentError(f"`every` counts frames from 1, or is 'auto', not {self.every!r}")


def check_live(settings: TemporalSettings) -> None:
    """Check that settings suit a live source.

    Raises:
        InvalidArgumentError: if a setting cannot be used, or is only for videos.
    """
    settings.check()
    if settings.smoothing_mode.looks_ahead:
        raise InvalidArgumentError(
            f'`mode="{settings.mode}"` needs future frames, which a live source does not have; '
            f"use 'flow' or 'causal'"
        )
    if settings.every == "auto":
        raise InvalidArgumentError(
            '`every="auto"` is for videos: a live session explains as many frames as the network can; use a '
            "number to explain fewer"
        )
