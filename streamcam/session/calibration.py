"""The first frames of a live session, by which a network is quantized to int8."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streamcam.explain.calibration import FRAMES
from streamcam.frames import Frame

_APART_S = 0.25
"""Time between two of them: neighbors are alike."""


class FirstFrames:
    """Collects frames until there are enough to quantize a network by."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self._last_s = -_APART_S

    @property
    def are_awaited(self) -> bool:
        """Whether there are too few yet."""
        return len(self.frames) < FRAMES

    @property
    def note(self) -> str:
        """A sentence for the user, for as long as there are too few."""
        return (
            f"int8 waits for {FRAMES} frames, {_APART_S:g} s apart, and has {len(self.frames)} so far; "
            "`calibration` names a video to take instead"
        )

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of `streamcam.Explainer` for the present: int8 as soon as there are enough."""
        return (
            {"precision": "auto"} if self.are_awaited else {"precision": "int8", "calibration": self.frames}
        )

    def see(self, frames: Sequence[Frame]) -> None:
        """Keep frames, unless they came just after the last one that was kept."""
        for frame in frames:
            if self.are_awaited and frame.received_at - self._last_s >= _APART_S:
                self.frames.append(frame)
                self._last_s = frame.received_at
