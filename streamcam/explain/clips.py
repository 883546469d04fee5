"""Clips for networks that look at several frames at once: which frames they hold, and which they explain."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from streamcam.errors import InvalidArgumentError
from streamcam.frames import Frame
from streamcam.models import Model
from streamcam.models.kinds import check_use

Pixels = NDArray[np.uint8]

_ON_TIME = 0.05
"""A frame this close to the time of a sample, in samples, is on time: containers round timestamps."""


@dataclasses.dataclass(frozen=True, slots=True)
class ClipTiming:
    """How a video is cut into clips."""

    length: int
    """T, the number of frames in a clip."""
    fps: float
    """How many frames of a second are in it."""
    stride: int
    """How many of its frames lie between the beginnings of two clips."""

    @property
    def span_s(self) -> float:
        """Time from the first to the last frame of a clip, in seconds."""
        return (self.length - 1) / self.fps


def choose_timing(model: Model, fps: float | None, stride: int | None) -> ClipTiming | None:
    """Choose how videos are cut into clips for a model; None if it takes single images.

    Args:
        model: The model.
        fps: Frames of a second that are in a clip; those that it was evaluated with if None.
        stride: Frames between the beginnings of two clips; a quarter of a clip if None.

    Raises:
        InvalidArgumentError: if that is impossible.
    """
    length = model.clip_length
    if length == 1:
        for parameter, value in (("clip_fps", fps), ("clip_stride", stride)):
            if value is not None:
                check_use(parameter, model.kind, model.name)
        return None
    if fps is not None and not (math.isfinite(fps) and fps > 0):
        raise InvalidArgumentError(f"`clip_fps` is a number of frames in a second, above 0, not {fps:g}")
    if stride is not None and not 1 <= stride <= length:
        raise InvalidArgumentError(
            f"`clip_stride` is from 1 to the {length} frames of a clip of {model.name}, not {stride}"
        )
    return ClipTiming(length, model.clip_fps if fps is None else fps, stride or max(1, length // 4))


@dataclasses.dataclass(slots=True, eq=False)
class _Shot:
    """The last samples of a shot: its frames, resampled at the rate of clips."""

    number: int
    begins_s: float
    newest: Pixels
    """The last frame, RGB, uint8 (H, W, 3)."""
    samples: list[Pixels] = dataclasses.field(default_factory=list)
    dropped: int = 0
    """How many samples before those are not kept any more."""

    @property
    def last(self) -> int:
        """Number of the last sample."""
        return self.dropped + len(self.samples) - 1


@dataclasses.dataclass(frozen=True, slots=True)
class Clip:
    """A window of one shot."""

    shot: int
    last: int
    """Number of its last sample."""


class ClipBuffer:
    """Keeps the last frames of a video, and cuts clips from them.

    A shot is sampled at the clips' rate, beginning with its first frame: a sample is the last frame before
    its time, as in torchvision's evaluation. A clip never spans two shots, two videos or two sizes of frames.
    A frame is explained by the clip whose middle is nearest to it, among those that can be made of the frames
    seen: at the end of a shot and live, the last one. A shot that is shorter than a clip has its first frame
    repeated before it.
    """

    def __init__(self, timing: ClipTiming) -> None:
        """Begin with nothing.

        Args:
            timing: How clips are cut.
        """
        self.timing = timing
        self._shots: list[_Shot] = []
        self._shots_seen = 0
        self._places: dict[int, tuple[_Shot, float]] = {}
        self._seen: Frame | None = None
        self._explained: Frame | None = None

    def begin(self, first: Frame) -> None:
        """Prepare for frames that are explained next: forget what their clips cannot hold.

        Args:
            first: The first of them. One that comes before the last one begins another video.
        """
        if self._explained is not None and first.index <= self._explained.index:
            if first is self._explained:
                return
            self._shots, self._places, self._seen = [], {}, None
        self._explained = first
        for index in [index for index in self._places if index < first.index]:
            del self._places[index]
        if first.index not in self._places:
            del self._shots[:-1]
            for shot in self._shots:
                self._drop(shot, shot.last)
            return
        current, at = self._places[first.index]
        del self._shots[: self._shots.index(current)]
        self._drop(current, math.floor(at))

    def is_new(self, frame: Frame) -> bool:
        """Return whether a frame comes after all that were added."""
        return self._seen is None or frame.index > self._seen.index

    def add(self, frame: Frame, pixels: Pixels, *, starts_shot: bool) -> None:
        """Add the next frame.

        Args:
            frame: The frame.
            pixels: The network's input that was made of it, RGB, uint8 (H, W, 3).
            starts_shot: Whether a shot begins with it.
        """
        self._seen = frame
        shot = self._shots[-1] if self._shots else None
        if shot is None or starts_shot or shot.newest.shape != pixels.shape:
            self._shots_seen += 1
            shot = _Shot(self._shots_seen, frame.time_s, pixels)
            self._shots.append(shot)
        at = (frame.time_s - shot.begins_s) * self.timing.fps
        due = math.floor(at + _ON_TIME)
        if due - shot.last > self.timing.length:  # a pause longer than a clip
            shot.samples, shot.dropped = [], due - self.timing.length
        for number in range(shot.last + 1, due + 1):
            shot.samples.append(pixels if number >= at - _ON_TIME else shot.newest)
        shot.newest = pixels
        self._places[frame.index] = (shot, at)

    def clip_of(self, frame: Frame) -> Clip:
        """Return the clip that explains a frame that was added."""
        shot, at = self._places[frame.index]
        length, stride = self.timing.length, self.timing.stride
        nearest = max(0, round((at - (length - 1) / 2) / stride))
        return Clip(shot.number, min(length - 1 + nearest * stride, shot.last))

    def position(self, frame: Frame) -> float:
        """Return where a frame lies in its clip: 0 for the clip's first frame, T - 1 for its last."""
        _, at = self._places[frame.index]
        first = self.clip_of(frame).last - self.timing.length + 1
        return min(max(at - first, 0.0), self.timing.length - 1.0)

    def is_padded(self, clip: Clip) -> bool:
        """Return whether a clip begins before its shot, so that the shot's first frame is repeated in it."""
        return clip.last < self.timing.length - 1

    def pixels(self, clip: Clip) -> Pixels:
        """Return the frames of a clip, RGB, uint8 (T, H, W, 3)."""
        shot = next(shot for shot in self._shots if shot.number == clip.shot)
        numbers = range(clip.last - self.timing.length + 1, clip.last + 1)
        return np.stack([shot.samples[max(0, number - shot.dropped)] for number in numbers])

    def _drop(self, shot: _Shot, at: int) -> None:
        """Forget the samples that no clip of a later frame than sample number `at` holds."""
        surplus = at - self.timing.length - self.timing.stride - shot.dropped
        if surplus > 0:
            del shot.samples[:surplus]
            shot.dropped += surplus
