"""A camera that a browser lends."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from stage_fakes import expect

from streamcam.frames import Frame
from streamcam.media.scaling import Resampler
from streamcam.sources import LentCamera, open_source
from streamcam.sources.lent_camera import NO_CAMERA


def jpeg(color: tuple[int, int, int] = (200, 40, 40), size: tuple[int, int] = (64, 48)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, color).save(file, "JPEG", quality=95)
    return file.getvalue()


@pytest.fixture
def camera() -> Iterator[LentCamera]:
    source = open_source("browser")
    assert isinstance(source, LentCamera)
    yield source
    source.close()


def test_it_is_live_and_waits_for_somebody(camera: LentCamera) -> None:
    assert camera.is_live
    assert camera.notice == NO_CAMERA
    assert (camera.info.name, camera.info.path) == ("browser", None)


def test_images_become_frames(camera: LentCamera) -> None:
    frames = iter(camera)
    camera.put(jpeg())
    first = next(frames)
    assert camera.notice is None
    rgb = Resampler().to_rgb(first.image, 64, 48)
    assert np.abs(rgb.astype(int) - (200, 40, 40)).max() <= 6
    camera.put(jpeg(size=(48, 64)))  # the phone was turned
    second = next(frames)
    assert (second.image.width, second.image.height) == (48, 64)
    assert (camera.info.width, camera.info.height) == (48, 64)
    assert second.pts > first.pts


def test_only_the_newest_image_waits(camera: LentCamera) -> None:
    for width in (16, 32, 64):
        camera.put(jpeg(size=(width, 16)))
    assert next(iter(camera)).image.width == 64


def test_what_is_no_image_ends_nothing(camera: LentCamera) -> None:
    frames: list[Frame] = []
    seen = threading.Event()

    def read() -> None:
        for frame in camera:
            frames.append(frame)
            seen.set()

    notices: list[str] = []
    camera.put(b"no JPEG")
    thread = threading.Thread(target=read)
    thread.start()
    camera.stop_flag.wait(0)
    while camera.notice in (None, NO_CAMERA):
        camera.stop_flag.wait(0.01)
    notices.append(camera.notice)
    camera.put(jpeg())
    expect(seen)
    camera.stop()
    thread.join(10)
    assert not thread.is_alive()
    assert notices == ["the camera sent what is no JPEG of at most 16 megapixels; trying again"]
    assert len(frames) == 1


def test_a_giant_image_is_not_decoded(camera: LentCamera) -> None:
    head = bytearray(jpeg(size=(64, 48)))
    at = head.index(b"\xff\xc0")
    head[at + 5 : at + 9] = (6000).to_bytes(2, "big") * 2
    camera._capture.open()
    camera.put(bytes(head))
    with pytest.raises(OSError, match="no JPEG of at most 16 megapixels"):
        camera._capture.read()
