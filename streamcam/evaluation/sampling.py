"""Samples of a video: frames that lie evenly over its shots, each with the one after it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np

from streamcam.frames import Frame
from streamcam.media.images import ByteArray
from streamcam.temporal.shots import CutDetector
from streamcam.temporal.thumbnails import make_thumbnail

_MOST = 3
"""How many frames are held while the video is read, as a multiple of those that are asked for."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class SampledFrame:
    """A frame, and the next one of its shot."""

    frame: Frame
    shot: int
    """Number of its shot, from 0."""
    thumbnail: ByteArray
    """Gray, uint8 (h, w)."""
    neighbor: Frame | None = None
    """The frame after it; None if it is the last of its shot."""
    neighbor_thumbnail: ByteArray | None = None
    """That of the neighbor."""


def sample_frames(frames: Iterable[Frame], count: int, seed: int) -> tuple[list[SampledFrame], int]:
    """Choose frames that lie evenly over the shots of a video, however long it turns out to be.

    Every shot gives as many frames as any other, as far as it has them; of more shots than frames, those that
    lie evenly over the video give one. A shot is divided into parts of equal length, and chance chooses in
    each.

    Args:
        frames: The frames of the video, in order; only a few are kept.
        count: How many to choose.
        seed: Of chance.

    Returns:
        At most `count` frames, in order, and how many shots the video has.
    """
    shots, count_of_shots = _read(frames, _MOST * count)
    chosen = _spread([len(shot) for shot in shots], count)
    generator = np.random.default_rng(seed)
    samples = []
    for shot, share in zip(shots, chosen, strict=True):
        for part in range(share):
            place = (part + generator.random()) * len(shot) / share
            samples.append(shot[int(place)])
    return samples, count_of_shots


def _read(frames: Iterable[Frame], most: int) -> tuple[list[list[SampledFrame]], int]:
    """Read a video, and keep frames at even distances of every shot; fewer the longer it is."""
    cuts = CutDetector()
    shots: list[list[SampledFrame]] = []
    step, every, shot, place = 1, 1, -1, 0
    last: SampledFrame | None = None
    for frame in frames:
        thumbnail = make_thumbnail(frame.image)
        if cuts.update(thumbnail, frame.time_s) or shot < 0:
            shot, place, last = shot + 1, 0, None
            if shot % every == 0:
                shots.append([])
        if last is not None and shots[-1] and shots[-1][-1] is last:
            shots[-1][-1] = dataclasses.replace(last, neighbor=frame, neighbor_thumbnail=thumbnail)
        last = SampledFrame(frame, shot, thumbnail)
        if shot % every == 0 and place % step == 0:
            shots[-1].append(last)
        place += 1
        if sum(map(len, shots)) > most:
            if len(shots) > most // 2:
                shots, every = shots[::2], 2 * every
                if shot % every:
                    last = None
            else:
                shots, step = [kept[::2] for kept in shots], 2 * step
    return [kept for kept in shots if kept], shot + 1


def _spread(lengths: list[int], count: int) -> list[int]:
    """Divide a number of frames evenly among shots that have these lengths; returns how many each gives."""
    if len(lengths) > count:
        given = [0] * len(lengths)
        for part in range(count):
            given[int((part + 0.5) * len(lengths) / count)] = 1
        return given
    given = [0] * len(lengths)
    left = min(count, sum(lengths))
    while left:
        open_shots = [number for number, length in enumerate(lengths) if given[number] < length]
        least = min(given[number] for number in open_shots)
        for number in open_shots:
            if left and given[number] == least:
                given[number] += 1
                left -= 1
    return given
