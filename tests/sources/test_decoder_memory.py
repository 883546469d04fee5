from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from media_factory import (
    make_clip,
)
from numpy.typing import NDArray

from streamcam.media.images import blank_like, planes_of
from streamcam.sources import open_source


def zero_fresh_copy(image: av.VideoFrame) -> None:
    for plane in planes_of(blank_like(image)):
        plane[:] = 0


def zero_in_place(image: av.VideoFrame) -> None:
    for plane in planes_of(image):
        plane[:] = 0


def lumas_while(path: Path, treat: Callable[[av.VideoFrame], None], count: int) -> list[bytes]:
    """Decode, note each image and only then treat it, as a later stage would."""
    lumas = []
    with open_source(path) as source:
        for frame, _ in zip(source, range(count), strict=False):
            lumas.append(planes_of(frame.image)[0].tobytes())
            treat(frame.image)
    return lumas


def lumas_untouched(path: Path, count: int) -> list[bytes]:
    with av.open(str(path)) as container:
        frames = container.decode(container.streams.best("video"))
        return [planes_of(frame)[0].tobytes() for frame, _ in zip(frames, range(count), strict=False)]


MADE = {
    # B-frames that others refer to: a pyramid.
    "pyramid.mp4": ("libx264", {"refs": "4", "b-pyramid": "normal", "b_strategy": "0"}),
    "made.mkv": ("libsvtav1", {"preset": "10", "crf": "20"}),
}


@pytest.fixture(params=[*MADE, "car-detection.mp4", "av1_video.mkv"])
def video_with_references(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A video whose later frames are decoded from earlier ones."""
    if request.param not in MADE:
        folder: Path = request.getfixturevalue("real_media")
        return folder / request.param
    monkeypatch.setenv("SVT_LOG", "1")
    codec, options = MADE[request.param]
    size = (160, 96)
    return make_clip(
        tmp_path / request.param,
        frames=30,
        gop=30,
        size=size,
        codec=codec,
        b_frames=4 if codec == "libx264" else 0,
        paint=_paint_gliding,
        options=options,
    )


def _paint_gliding(index: int, planes: Sequence[NDArray[np.uint8]]) -> None:
    for plane in planes:
        paint = np.random.default_rng(1).integers(0, 256, plane.shape, np.uint8)
        plane[:] = np.roll(paint, index, axis=1)


def test_drawing_on_fresh_images_leaves_later_frames_alone(video_with_references: Path) -> None:
    found = lumas_while(video_with_references, zero_fresh_copy, 30)
    assert found == lumas_untouched(video_with_references, 30)


def test_drawing_on_the_decoders_own_images_would_spoil_later_frames(video_with_references: Path) -> None:
    # The other half of the pair: it shows that these videos can tell the difference.
    found = lumas_while(video_with_references, zero_in_place, 30)
    assert found != lumas_untouched(video_with_references, 30)
