"""What travels between the stages: frames, predictions and explanations.

Nothing here computes. Every stage imports this module and no stage imports another, so a stage can be
read, tested and replaced alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import av

FloatArray = NDArray[np.float32]

NOT_FINITE = "not finite"
"""The flag of a map that could not be computed."""


@dataclasses.dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a source, at one instant. Read-only for everyone.

    The picture's memory may belong to the decoder, which still refers to it: draw on a fresh picture
    (`streamcam.pictures.blank_like`), never on this one.
    """

    image: av.VideoFrame
    """The picture: planar YUV, 4:2:0, 4:2:2 or 4:4:4, of 8 or 10 bits."""
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

    A centre crop lies inside the frame; a letterboxed input reaches beyond it, so ``top`` may be negative
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
class Prediction:
    """One class and how probable the network holds it to be."""

    index: int
    """The class's index in the network's output; negative for a function of the caller's own."""
    label: str
    probability: float
    """0 to 1; NaN where what is explained is no class."""


@dataclasses.dataclass(frozen=True, slots=True)
class Explanation:
    """Where the network looked in one frame, and what it saw there.

    A frame that was left out has an explanation too, without maps, targets and predictions.
    """

    frame_index: int
    """`Frame.index` of the frame explained."""
    heatmaps: Mapping[int, FloatArray]
    """Class index → raw map, float32 (h, w), finite, at the target layer's own resolution.

    Not normalised: strength is comparable between frames, and scaling happens once, after smoothing.
    Non-negative, unless evidence against the class was asked for.
    """
    targets: tuple[Prediction, ...]
    """The classes explained, in the order of `heatmaps`; not necessarily among the best."""
    predictions: tuple[Prediction, ...]
    """The most probable classes, best first."""
    method: str
    target_layer: str
    region: Region
    """What part of the frame the maps cover."""
    flags: Mapping[int, str] = dataclasses.field(default_factory=dict)
    """Class index → why its map is all zeros, where it is."""
    signed: bool = False
    """Whether maps keep evidence against the class, as negative values."""
    cut: bool = False
    """Whether another shot begins with this frame."""
    shown: tuple[Prediction, ...] = ()
    """The most probable classes steadied in time, best first; empty where nobody follows the film."""
    view: NDArray[np.uint8] | None = dataclasses.field(default=None, repr=False, compare=False)
    """A small grey picture of the whole frame, uint8 (h, w), to see cuts and motion in."""

    def __post_init__(self) -> None:
        if [target.index for target in self.targets] != list(self.heatmaps):
            raise ValueError("targets and heatmaps must name the same classes in the same order")
        for index, heatmap in self.heatmaps.items():
            if heatmap.ndim != 2 or heatmap.dtype != np.float32:
                raise ValueError(
                    f"the map of class {index} is {heatmap.dtype} {heatmap.shape}, not float32 (h, w)"
                )

    @property
    def is_explained(self) -> bool:
        """Whether the frame was explained rather than left out."""
        return bool(self.heatmaps)


@dataclasses.dataclass(frozen=True, slots=True)
class Steadied:
    """What is shown of one frame: heat and labels after the temporal stage."""

    frame: Frame
    heats: Mapping[int, FloatArray]
    """Class index → float32 (h, w), 0 (none) to 1 (strongest); -1 to 1 where evidence against is kept.

    As fine as the raw maps, or finer where heat follows motion; empty before the first explanation.
    """
    targets: tuple[Prediction, ...]
    """The classes whose heat it is, in the order of `heats`."""
    labels: tuple[Prediction, ...]
    """The classes to be listed, best first."""
    explanation: Explanation
    """The frame's own explanation, with the region that the heat covers; its maps are raw, or left out."""


@dataclasses.dataclass(frozen=True, slots=True)
class ColourTags:
    """How a stream says its YUV values are meant: FFmpeg's AVCOL_* numbers (2 means unspecified)."""

    color_range: int = 0
    colorspace: int = 2
    color_primaries: int = 2
    color_trc: int = 2


@dataclasses.dataclass(frozen=True, slots=True)
class MasteringDisplay:
    """The screen that a film of high dynamic range was made on (SMPTE ST 2086)."""

    red: tuple[float, float]
    """Where its red lies: CIE 1931 x and y, as for the others."""
    green: tuple[float, float]
    blue: tuple[float, float]
    white: tuple[float, float]
    luminance: tuple[float, float]
    """Its darkest and its brightest, in nits."""


@dataclasses.dataclass(frozen=True, slots=True)
class HdrMetadata:
    """What a film of high dynamic range says of its light, for other screens to go by (HDR10)."""

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
    """Where the film begins on its file's timeline, in seconds: far from 0 in recordings of broadcasts."""
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
    """Which rows are shown first where pictures are interlaced and meant to stay so; None where not."""
    colour: ColourTags = ColourTags()
    hdr_metadata: HdrMetadata | None = None
    is_still: bool = False
    """A single picture rather than a film."""
    notes: tuple[str, ...] = ()
    """What the user should know about how the source is read."""

    @property
    def begin_s(self) -> float:
        """The time in the file that is 0 in an output: the wanted part's start, or the film's beginning."""
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
