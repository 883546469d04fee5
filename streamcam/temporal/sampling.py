"""Frames sampled from a video: evenly, some of every shot, with what moves in them."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Container, Iterable, Sequence

import numpy as np

from streamcam.frames import Frame
from streamcam.media.images import ByteArray
from streamcam.temporal.shots import CutDetector
from streamcam.temporal.thumbnails import make_thumbnail


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class SampledFrame:
    """A frame, and what is known of those around it."""

    frame: Frame
    shot: int
    """The number of its shot, from 0."""
    thumbnail: ByteArray
    """Gray, uint8 (h, w)."""
    before: ByteArray | None
    """The thumbnail of the frame before it; None if its shot begins with it."""
    previous: Frame | None = None
    """That frame, if it was to be kept."""


@dataclasses.dataclass(frozen=True, slots=True)
class Shot:
    """Frames between two cuts."""

    begin_s: float
    end_s: float
    """Time of its last frame."""


def sample_frames(
    frames: Iterable[Frame],
    count: int,
    *,
    seed: int | None = None,
    keeps_previous: bool = False,
    among: Container[int] | None = None,
) -> tuple[list[SampledFrame], list[Shot]]:
    """Sample frames, however many a video turns out to have.

    Args:
        frames: Those of the video, in order, read to their end.
        count: The most frames to return.
        seed: Of chance, which chooses one of each part of a shot; None for the middle of each part.
        keeps_previous: Whether to keep the frame before each one, too.
        among: Numbers of the frames to choose from, from 0; any if None.

    Returns:
        The frames in order, and all shots of the video.
    """
    kept: list[SampledFrame] = []
    shots: list[Shot] = []
    cuts = CutDetector()
    step, before, last = 1, None, None
    number = 0
    for frame in frames:
        thumbnail = make_thumbnail(frame.image)
        if cuts.update(thumbnail, frame.time_s) or not shots:
            shots.append(Shot(frame.time_s, frame.time_s))
            before = last = None
        shots[-1] = dataclasses.replace(shots[-1], end_s=frame.time_s)
        if among is None or frame.index in among:
            if not number % step:
                kept.append(SampledFrame(frame, len(shots) - 1, thumbnail, before, last))
            number += 1
        if len(kept) >= 4 * count:  # so that memory does not grow with the length of a video
            kept, step = kept[::2], 2 * step
        before, last = thumbnail, frame if keeps_previous else None
    generator = None if seed is None else np.random.default_rng(seed)
    return _choose(kept, count, generator), shots


def _choose(
    kept: Sequence[SampledFrame], count: int, generator: np.random.Generator | None
) -> list[SampledFrame]:
    """Choose frames evenly: of each shot by its length, or over the video where shots are too many."""
    shots: dict[int, list[SampledFrame]] = {}
    for each in kept:
        shots.setdefault(each.shot, []).append(each)
    if len(shots) > count:
        return _evenly(kept, count, generator)
    counts = dict.fromkeys(shots, 1)
    for _ in range(min(count, len(kept)) - len(shots)):
        free = [shot for shot in shots if counts[shot] < len(shots[shot])]
        counts[max(free, key=lambda shot: len(shots[shot]) / counts[shot])] += 1
    return [each for shot, frames in shots.items() for each in _evenly(frames, counts[shot], generator)]


def _evenly(
    frames: Sequence[SampledFrame], count: int, generator: np.random.Generator | None
) -> list[SampledFrame]:
    if len(frames) <= count:
        return list(frames)
    if generator is not None:
        edges = [place * len(frames) // count for place in range(count + 1)]
        parts = itertools.pairwise(edges)
        return [frames[int(generator.integers(begin, end))] for begin, end in parts]
    return [frames[round((place + 0.5) * len(frames) / count - 0.5)] for place in range(count)]
