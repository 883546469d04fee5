"""Frames, descriptions of their source, and color tags: the data that all stages share.

Nothing here computes. Every stage imports this module and no stage imports another, so a stage can be read,
tested and replaced alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from streamcam.errors import InvalidArgumentError

if TYPE_CHECKING:
    import av

FloatArray = NDArray[np.float32]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One image of a source and its time. Read-only for everyone.

    The image's memory may belong to the decoder, which still refers to it: draw on a fresh image
    (`streamcam.media.images.blank_like`), never on this one.
    """

    image: av.VideoFrame
    """The image: planar YUV, 4:2:0, 4:2:2 or 4:4:4, of 8 or 10 bits."""
    index: int
    """Position among the frames of the source, from 0."""
    pts: int
    """Presentation time in units of `time_base`; strictly increasing within one source."""
    time_base: Fraction
    """Seconds per unit of `pts`."""
    received_at: float
    """When the frame was decoded, in monotonic seconds (`time.monotonic`)."""
    duration: int = 0
    """How long the frame is shown, in units of `time_base`; 0 if unknown: until the next one."""
    layered: av.VideoFrame | None = None
    """The image with its alpha channel as a fourth plane, and in its own colors rather than on white, where
    alpha is kept; None where it is not. Otherwise as `image`, which is what networks see."""

    @property
    def time_s(self) -> float:
        """Presentation time in seconds."""
        return float(self.pts * self.time_base)

    def _repr_png_(self) -> bytes:
        """Show the image in a notebook."""
        from streamcam.media.png import png_of

        return png_of(self.image)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class AudioBlock:
    """A piece of a live source's audio. Read-only for everyone."""

    audio: av.AudioFrame
    """The samples, in any format."""
    time_s: float
    """When it is heard, in seconds on the clock of the frames' `time_s`."""


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


def check_inside(edges: Sequence[float], width: int, height: int) -> None:
    """Check that a point or box lies in a frame.

    Args:
        edges: x and y, or left, top, right and bottom, in pixels.
        width: Width of the frame in pixels.
        height: Height of the frame in pixels.

    Raises:
        InvalidArgumentError: if it does not, or is neither.
    """
    written = ",".join(f"{edge:g}" for edge in edges)
    if len(edges) not in (2, 4) or (len(edges) == 4 and not (edges[0] < edges[2] and edges[1] < edges[3])):
        raise InvalidArgumentError(
            f"`at` is a point x,y or a box left,top,right,bottom in pixels, not {written}"
        )
    if not all(0 <= x < width and 0 <= y < height for x, y in (edges[:2],)) or (
        len(edges) == 4 and not (edges[2] <= width and edges[3] <= height)
    ):
        raise InvalidArgumentError(
            f"`at` {written} is not in the picture: x is from 0 to {width - 1}, y from 0 to {height - 1}"
        )


@dataclasses.dataclass(frozen=True, slots=True)
class ColorTags:
    """Color coding of YUV values: FFmpeg's AVCOL_* numbers (2 means unspecified)."""

    color_range: int = 0
    colorspace: int = 2
    color_primaries: int = 2
    color_trc: int = 2


@dataclasses.dataclass(frozen=True, slots=True)
class MasteringDisplay:
    """The screen that a video of high dynamic range was mastered on (SMPTE ST 2086)."""

    red: tuple[float, float]
    """CIE 1931 x and y of its red primary, as for the others."""
    green: tuple[float, float]
    blue: tuple[float, float]
    white: tuple[float, float]
    luminance: tuple[float, float]
    """Its least and greatest luminance, in nits."""


@dataclasses.dataclass(frozen=True, slots=True)
class HdrMetadata:
    """HDR10 metadata of a video: how bright it is, for other screens to adapt it."""

    display: MasteringDisplay | None = None
    max_cll: int = 0
    """Brightest pixel in nits; 0 if unknown."""
    max_fall: int = 0
    """Brightest frame average in nits; 0 if unknown."""


@dataclasses.dataclass(frozen=True, slots=True)
class SourceInfo:
    """Description of a source. Of a live one, size and rate are known from the first frame on.

    All times are in seconds. A file's timeline is the clock of its timestamps, which need not begin at 0.
    """

    name: str
    """Name for messages: the path as it was passed, ``"camera 0"``, a URL without its password."""
    path: Path | None
    """The file, if it is a single one."""
    files: tuple[Path, ...] = dataclasses.field(default=(), kw_only=True, repr=False)
    """The files, if they are images of a sequence."""
    width: int
    """Width of the frames in pixels, after rotation; 0 if not known yet."""
    height: int
    """Height of the frames in pixels, after rotation; 0 if not known yet."""
    time_base: Fraction
    """Seconds per unit of every frame's pts."""
    rate: Fraction | None = None
    """Nominal frames per second; for display and rate control, never for timing. None if unknown."""
    frame_count: int | None = None
    """Number of frames, estimated from the rate if the file does not count them; None if unknown."""
    duration_s: float | None = None
    """Length of the part that is read; None if unknown."""
    origin_s: float = 0.0
    """Beginning of the video on its file's timeline: far from 0 in recordings of broadcasts."""
    start_s: float | None = None
    """Start of the part on the file's timeline; None if it is read from the beginning."""
    end_s: float | None = None
    """End of the part on the file's timeline; None if it is read to the end."""
    video_stream: int | None = None
    """Index of the decoded stream in its container; None if there is no container."""
    pixel_format: str = "yuv420p"
    """FFmpeg's name for the pixel format of the frames; one with alpha where that is kept."""
    sample_aspect_ratio: Fraction | None = None
    """Width of a pixel by its height; None if the file does not say."""
    chroma_location: str | None = None
    """Where samples of 4:2:0 chroma lie among those of luma, in FFmpeg's words (``"topleft"``); None for the
    usual place, at the left, or if the frames were scaled or turned."""
    top_field_first: bool | None = None
    """Which rows are shown first, if the frames are interlaced and stay so; None if they are not."""
    color: ColorTags = ColorTags()
    hdr_metadata: HdrMetadata | None = None
    plays: int | None = None
    """How often an animated image is played, 0 for ever; None if it is none, or does not say."""
    is_still: bool = False
    """Whether it is a single image rather than a video."""
    has_audio: bool = False
    """Whether a live source hands over audio to who listens; see `Source.on_audio`."""
    notes: tuple[str, ...] = ()
    """Messages about how the source is read, a sentence each."""

    @property
    def begin_s(self) -> float:
        """Time on the file's timeline that is 0 in an output: the start of the part, or of the video."""
        return self.origin_s if self.start_s is None else self.start_s


@dataclasses.dataclass(frozen=True, slots=True)
class SourceReport:
    """Result of reading a source: how much was read, and what was damaged or missing."""

    frames_read: int = 0
    packets_damaged: int = 0
    """Packets or files that could not be decoded; their frames are missing."""
    frames_damaged: int = 0
    """Frames that were decoded with errors: a part of each is made up."""
    shortfall: str | None = None
    """Description of what is missing from the file; None if nothing is."""
    notes: tuple[str, ...] = ()
    """Other messages, a sentence each."""
    frames_given: int | None = None
    """Number of frames after a change of the frame rate; None if the rate was not changed."""

    @property
    def frames_due(self) -> int:
        """Number of frames that an output should have."""
        return self.frames_read if self.frames_given is None else self.frames_given

    @property
    def whole(self) -> bool:
        """Whether nothing was damaged or missing."""
        return not (self.packets_damaged or self.frames_damaged or self.shortfall)
