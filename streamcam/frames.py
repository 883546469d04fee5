"""Frames, what a source says of itself, and how its colors are coded.

Nothing here computes. Every stage imports this module and no stage imports another, so a stage can be
read, tested and replaced alone.
"""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import av

FloatArray = NDArray[np.float32]


@dataclasses.dataclass(frozen=True, slots=True)
class Frame:
    """One image of a source, at one instant. Read-only for everyone.

    The image's memory may belong to the decoder, which still refers to it: draw on a fresh image
    (`streamcam.media.images.blank_like`), never on this one.
    """

    image: av.VideoFrame
    """The image: planar YUV, 4:2:0, 4:2:2 or 4:4:4, of 8 or 10 bits."""
    index: int
    """Position in the source's own run, from 0."""
    pts: int
    """Presentation time in units of `time_base`; strictly increasing within one source."""
    time_base: Fraction
    """Seconds per unit of `pts`."""
    received_at: float
    """When the frame was decoded, in monotonic seconds (`time.monotonic`)."""

    @property
    def time_s(self) -> float:
        """Presentation time in seconds."""
        return float(self.pts * self.time_base)


@dataclasses.dataclass(frozen=True, slots=True)
class Region:
    """The part of a frame that a network saw, as fractions of the frame's width and height.

    A center crop lies inside the frame; a letterboxed input reaches beyond it, so ``top`` may be negative
    and ``bottom`` larger than 1.
    """

    left: float = 0.0
    top: float = 0.0
    right: float = 1.0
    bottom: float = 1.0

    def __post_init__(self) -> None:
        if not (self.left < self.right and self.top < self.bottom):
            raise ValueError(f"a region needs left < right and top < bottom, not {self}")


@dataclasses.dataclass(frozen=True, slots=True)
class ColorTags:
    """How a stream says its YUV values are meant: FFmpeg's AVCOL_* numbers (2 means unspecified)."""

    color_range: int = 0
    colorspace: int = 2
    color_primaries: int = 2
    color_trc: int = 2


@dataclasses.dataclass(frozen=True, slots=True)
class MasteringDisplay:
    """The screen that a video of high dynamic range was made on (SMPTE ST 2086)."""

    red: tuple[float, float]
    """Where its red lies: CIE 1931 x and y, as for the others."""
    green: tuple[float, float]
    blue: tuple[float, float]
    white: tuple[float, float]
    luminance: tuple[float, float]
    """Its darkest and its brightest, in nits."""


@dataclasses.dataclass(frozen=True, slots=True)
class HdrMetadata:
    """What a video of high dynamic range says of its light, for other screens to go by (HDR10)."""

    display: MasteringDisplay | None = None
    max_cll: int = 0
    """The brightest pixel in nits; 0 where that is unknown."""
    max_fall: int = 0
    """The brightest mean of a frame in nits; 0 where that is unknown."""


@dataclasses.dataclass(frozen=True, slots=True)
class SourceInfo:
    """What a source says of itself before its first frame."""

    name: str
    """What a message calls it: the path as the user gave it."""
    path: Path | None
    """The file, where there is one."""
    width: int
    """Width of every frame in pixels, after rotation."""
    height: int
    """Height of every frame in pixels, after rotation."""
    time_base: Fraction
    """Seconds per unit of every frame's pts."""
    rate: Fraction | None = None
    """Nominal frames per second; for display and rate control, never for timing."""
    frame_count: int | None = None
    """How many frames to expect, where known; reckoned from the rate where the file does not count them."""
    duration_s: float | None = None
    """How long the wanted part lasts in seconds, where known."""
    origin_s: float = 0.0
    """Where the video begins on its file's timeline, in seconds: far from 0 in recordings of broadcasts."""
    start_s: float | None = None
    """Where the wanted part starts in the file, in seconds; None means the file is taken whole."""
    end_s: float | None = None
    """Where the wanted part ends in the file, in seconds; None means at its end."""
    video_stream: int | None = None
    """Index of the decoded stream in its container."""
    pixel_format: str = "yuv420p"
    """FFmpeg's name of what every frame's samples are."""
    sample_aspect_ratio: Fraction | None = None
    top_field_first: bool | None = None
    """Which rows are shown first where images are interlaced and meant to stay so; None where not."""
    color: ColorTags = ColorTags()
    hdr_metadata: HdrMetadata | None = None
    is_still: bool = False
    """A single image rather than a video."""
    notes: tuple[str, ...] = ()
    """What the user should know about how the source is read."""

    @property
    def begin_s(self) -> float:
        """The time in the file that is 0 in an output: the wanted part's start, or the video's beginning."""
        return self.origin_s if self.start_s is None else self.start_s


@dataclasses.dataclass(frozen=True, slots=True)
class SourceReport:
    """What a source found while it was read."""

    frames_read: int = 0
    packets_damaged: int = 0
    """Packets that could not be decoded; their frames are missing."""
    frames_damaged: int = 0
    """Frames of which the decoder made up a part."""
    shortfall: str | None = None
    """What the file promises and does not hold, in words; None when nothing is missing."""
    notes: tuple[str, ...] = ()
    """What else the user should know, a sentence each."""
    frames_given: int | None = None
    """How many frames were made of those that were read, where another rate was asked for; None: as many."""

    @property
    def frames_due(self) -> int:
        """How many frames are to be in an output."""
        return self.frames_read if self.frames_given is None else self.frames_given

    @property
    def whole(self) -> bool:
        """Whether the source held everything that it promises."""
        return not (self.packets_damaged or self.frames_damaged or self.shortfall)
