"""Memory stays bounded whatever the length of the video."""

from __future__ import annotations

import gc
import threading
import weakref
from pathlib import Path

import av
import pytest
from media_factory import make_clip
from stage_fakes import FakeExplainer, Token, ToldSource, at, expect

from streamcam.pipeline.render import render
from streamcam.pipeline.results import Progress
from streamcam.pipeline.stream import stream
from streamcam.temporal import TemporalSettings
from streamcam.temporal.smoothing import WINDOW_TIME_CONSTANTS

BATCH = 4
ON_THEIR_WAY = 4 * BATCH + 4
"""Two queues, the batch in hand and the one before it, and a few in the hands of reader and consumer."""


@pytest.mark.parametrize("frame_count", [40, 400])
def test_the_number_of_frames_alive_is_bounded(frame_count: int) -> None:
    alive: weakref.WeakSet[Token] = weakref.WeakSet()
    most = 0
    full = threading.Event()

    def make() -> Token:
        nonlocal most
        token = Token()
        alive.add(token)
        most = max(most, len(alive))
        return token

    source = ToldSource(frame_count, image=make, before=at(3 * BATCH, full.set))
    for frame, _ in stream(source, FakeExplainer(batch_size=BATCH)):
        if frame.index == 0:
            expect(full)  # an unbounded queue would now fill up
    assert most <= ON_THEIR_WAY


def test_images_are_freed_as_soon_as_they_are_written(tmp_path: Path) -> None:
    """None waits for the garbage collector, which counts objects and not the megabytes that hang on them."""
    clip = make_clip(tmp_path / "clip.mp4", frames=100)
    alive = []

    def count(progress: Progress) -> None:
        if progress.frames % 25 == 0:
            # Not isinstance: some of torch's objects warn when they are asked for their class.
            alive.append(sum(issubclass(type(thing), av.VideoFrame) for thing in gc.get_objects()))

    gc.collect()
    gc.disable()
    try:
        render(clip, tmp_path / "out.mp4", FakeExplainer(batch_size=BATCH), on_progress=count)
    finally:
        gc.enable()
    assert len(alive) == 4
    looked_ahead = WINDOW_TIME_CONSTANTS * TemporalSettings().smoothing_s * 25
    assert max(alive) <= ON_THEIR_WAY + looked_ahead + 4  # the decoder, the drawn image and the encoder's
