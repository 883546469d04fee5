"""Frames spread over a video, found by seeking: one at a random time of each of its equal parts."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from streamcam.frames import Frame
from streamcam.sources.settings import SourceSettings
from streamcam.sources.table import open_source

_SEED = 0


def spread_times(duration_s: float, count: int) -> list[float]:
    """Return a random time in each of several equal parts, in seconds; the same ones each time."""
    places = np.arange(count) + np.random.default_rng(_SEED).random(count)
    return [float(place) for place in places * (duration_s / count)]


def read_frame_at(
    location: str | Path, time_s: float, settings: SourceSettings | None = None
) -> Frame | None:
    """Read the first frame that begins at a time or after it.

    Args:
        location: The video.
        time_s: Seconds from its beginning.
        settings: How it is read.

    Returns:
        The frame; None if there is none.

    Raises:
        SourceError: if the video cannot be read there.
    """
    there = dataclasses.replace(settings or SourceSettings(), start_s=time_s)
    with open_source(location, there) as source:
        return next(iter(source), None)
