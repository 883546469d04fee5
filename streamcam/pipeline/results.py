"""Results of renders: what became of the frames, and how far a render is."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from streamcam.empty_maps import BLANK_MAPS
from streamcam.frames import SourceInfo, SourceReport
from streamcam.pipeline.resume import ResumeState


@dataclasses.dataclass(frozen=True, slots=True)
class RenderResult:
    """The outcome of a render."""

    output: Path | str
    """The file; the URL of one in a store."""
    frames: int
    """Number of frames in the output; 0 where it was stopped before the first, and then no file was made."""
    explained: int
    """How many of them were explained rather than skipped."""
    elapsed_s: float
    """Wall-clock seconds from opening the input to the finished file."""
    video_s: float
    """Seconds of video that were rendered in this run."""
    interrupted: bool
    """Whether it was stopped before the end; the output holds what was rendered until then, or, where it
    can be resumed, nothing."""
    source: SourceReport
    """The report on the input."""
    notes: tuple[str, ...]
    """Changes and losses that the user should know of, a sentence each."""
    carried: int = 0
    """How many frames in the output were explained in earlier runs that were interrupted."""
    kept: ResumeState | None = None
    """The work kept beside the output of a stopped render, to be resumed."""
    stage_s: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """How long each stage worked, in seconds, without waiting for the others, beside which it runs:
    ``"decode"``, ``"explain"``, ``"draw"`` (with the smoothing), ``"write"``."""
    empty: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """Why maps show nothing, a key of `streamcam.empty_maps.EMPTY_MAPS` → in how many of the explained
    frames none shows anything for that reason."""

    @property
    def fps(self) -> float:
        """Frames that were new in this run, in a second of wall-clock time."""
        return (self.frames - self.carried) / self.elapsed_s if self.elapsed_s else 0.0

    @property
    def complete(self) -> bool:
        """Whether every frame that the input promises is in the output."""
        return not self.interrupted and self.source.whole and not self.frames_lost

    @property
    def shows_nothing(self) -> bool:
        """Whether frames were explained, and no map of any of them has heat."""
        return 0 < self.explained == sum(self.empty[reason] for reason in self.empty if reason in BLANK_MAPS)

    @property
    def frames_lost(self) -> int:
        """How many frames were read to the end and are not in the output; none, unless a stage is wrong."""
        return 0 if self.interrupted else self.source.frames_due - self.frames


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a render."""

    info: SourceInfo
    """The description of the input."""
    frames: int
    """Frames written so far."""
    video_s: float
    """Seconds of video written so far."""
    carried: int = 0
    """How many frames, at the beginning, were explained in earlier runs."""
