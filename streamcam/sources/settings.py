"""How a source is read."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction

from streamcam.errors import InvalidArgumentError, unknown_name

KEEP = "keep"
ALPHA_CHANNELS = ("white", KEEP)
"""The ways to treat transparent parts; see `SourceSettings.alpha_channel`."""


@dataclasses.dataclass(frozen=True, slots=True)
class SourceSettings:
    """How a source is read. Which settings a kind of source takes stands in the table `SOURCES`.

    Raises:
        InvalidArgumentError: if the times are not 0 ≤ start < end, or two settings contradict each other.
    """

    start_s: float | None = None
    """Frames before this time, in seconds from the video's beginning, are left out."""
    end_s: float | None = None
    """Frames from this time on are left out."""
    video_stream: int | None = None
    """Which of the file's streams to decode, by its index; the best one if None."""
    keep_interlaced: bool = False
    """Whether interlaced images stay interlaced: with rows of two instants between each other."""
    size: tuple[int, int] | None = None
    """(width, height) in pixels: what a video is scaled to, with bars where its shape differs, and what is
    asked of a camera."""
    rate: Fraction | None = None
    """Frames per second: those of a video are repeated or left out to reach it, a camera is asked for it.
    None keeps every frame of a video at its own time."""
    depth: int | None = None
    """Bits of a sample to work with, 8 or 10; if None 10 where the video has more than 8."""
    chroma: str | None = None
    """Chroma subsampling to work with, one of `streamcam.media.images.CHROMAS`; the video's own if None."""
    hwaccel: str = "none"
    """Hardware decoder: a device of FFmpeg (``"cuda"``), ``"auto"`` for any that works, or ``"none"``."""
    range: tuple[float, float] | None = None
    """The values shown as black and as white, of images and gray videos of more than 8 bits a sample; if None
    all that can be stored, or those in use where they are clearly fewer."""
    alpha_channel: str = "white"
    """How transparent parts are treated: shown on white and written as such (``"white"``), or written with
    their alpha channel where the output can hold one (``"keep"``). Networks see them on white."""
    mirror: bool = False
    """Whether a camera's images are mirrored, left and right swapped."""
    real_time: bool = False
    """Whether a file is played at its own pace, as if it happened now."""
    slide_s: float | None = None
    """How long each image of a folder or pattern is shown live, in seconds; 5 if None, unless `rate` says."""
    loop: bool = False
    """Whether a file that is played begins again after its end."""

    def __post_init__(self) -> None:
        start_s, end_s = self.start_s, self.end_s
        if start_s is not None and not 0 <= start_s < math.inf:
            raise InvalidArgumentError(f"`start_s` {start_s:g} is not in the video; it counts seconds from 0")
        if end_s is not None and not (start_s or 0) < end_s < math.inf:
            raise InvalidArgumentError(f"`end_s` {end_s:g} is not after the start ({start_s or 0:g})")
        if self.keep_interlaced and self.size:
            raise InvalidArgumentError(
                "`size` would mix the rows of two instants; leave `keep_interlaced=True` out"
            )
        if self.range is not None:
            low, high = self.range
            if not -math.inf < low < high < math.inf:
                raise InvalidArgumentError(
                    f"`range` {low:g},{high:g} is not a range; give the value shown as black, and a higher "
                    "one shown as white"
                )
        if self.alpha_channel not in ALPHA_CHANNELS:
            raise unknown_name("alpha channel", self.alpha_channel, ALPHA_CHANNELS)
        if self.keeps_alpha and self.real_time:
            raise InvalidArgumentError(
                "`alpha_channel=keep` is for files that are written; leave `real_time=True` out"
            )
        if self.slide_s is not None and not 0 < self.slide_s < math.inf:
            raise InvalidArgumentError(f"`slide_s` {self.slide_s:g} is not above 0")
        if self.slide_s is not None and not self.real_time:
            raise InvalidArgumentError("`slide_s` is for what is shown live; give `rate` to make a video")
        if self.slide_s is not None and self.rate is not None:
            raise InvalidArgumentError("`slide_s` and `rate` are two ways to say how long; leave one out")
        if self.loop and not self.real_time:
            raise InvalidArgumentError("`loop=True` never ends; it goes with `real_time=True`")

    @property
    def keeps_alpha(self) -> bool:
        """Whether transparent parts stay transparent."""
        return self.alpha_channel == KEEP

    def changed(self) -> tuple[str, ...]:
        """Return the names of the settings that are not at their default."""
        return tuple(
            field.name for field in dataclasses.fields(self) if getattr(self, field.name) != field.default
        )
