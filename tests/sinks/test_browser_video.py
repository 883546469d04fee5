"""Encoding of live images for browsers."""

from __future__ import annotations

import av
import numpy as np
import pytest

from streamcam.media.images import Image, image_from_rgb
from streamcam.media.scaling import Resampler
from streamcam.sinks.browser_video import BROWSER_CODECS, BrowserEncoder, browser_codecs

ORANGE = (220, 120, 40)
SIZE = (64, 48)


def plain(color: tuple[int, int, int] = ORANGE, size: tuple[int, int] = SIZE) -> Image:
    return image_from_rgb(np.full((size[1], size[0], 3), color, np.uint8))


def decode(codec: str, packets: list[av.Packet]) -> list[np.ndarray]:
    """Return what a browser shows, which takes untagged video for BT.709."""
    decoder = av.CodecContext.create({"H264": "h264", "VP8": "vp8"}[codec], "r")
    shown = []
    for packet in packets:
        for frame in decoder.decode(av.Packet(bytes(packet))):
            assert isinstance(frame, av.VideoFrame)
            shown.append(frame.to_ndarray(format="rgb24", src_colorspace="ITU709", src_color_range="MPEG"))
    return shown


@pytest.mark.parametrize("codec", BROWSER_CODECS)
def test_each_image_comes_out_at_once_in_its_colors(codec: str) -> None:
    assert codec in browser_codecs()
    encoder, packets = BrowserEncoder(codec), []
    for index in range(4):
        encoded = encoder.encode(plain(), SIZE, 10 + index / 25, keyframe=False)
        assert len(encoded) == 1
        packets += encoded
    assert [packet.is_keyframe for packet in packets] == [True, False, False, False]
    assert [packet.pts - packets[0].pts for packet in packets] == [0, 3600, 7200, 10800]
    for shown in decode(codec, packets):
        assert np.abs(shown.mean(axis=(0, 1)) - ORANGE).max() < 6  # levels of 255


@pytest.mark.parametrize("codec", BROWSER_CODECS)
def test_whole_images_come_when_asked_for_in_time_and_in_other_sizes(codec: str) -> None:
    encoder = BrowserEncoder(codec)

    def is_whole(time_s: float, size: tuple[int, int] = SIZE, *, keyframe: bool = False) -> bool:
        (packet,) = encoder.encode(plain(size=size), size, time_s, keyframe=keyframe)
        return bool(packet.is_keyframe)

    assert is_whole(0.0)
    assert not is_whole(0.1)
    assert is_whole(0.2, keyframe=True)
    assert not is_whole(2.1)
    assert is_whole(2.2)  # two seconds after the last one
    assert is_whole(2.3, (40, 30))


def test_times_increase_even_where_the_clock_does_not() -> None:
    encoder = BrowserEncoder("H264")
    times = [encoder.encode(plain(), SIZE, 5.0, keyframe=False)[0].pts for _ in range(3)]
    assert times == [450_000, 450_001, 450_002]


def test_odd_sizes_are_rounded_down() -> None:
    (packet,) = BrowserEncoder("H264").encode(plain(size=(65, 49)), (65, 49), 0.0, keyframe=False)
    assert decode("H264", [packet])[0].shape == (48, 64, 3)


def test_what_is_right_already_is_not_converted() -> None:
    image = av.VideoFrame(64, 48, "yuv420p")
    image.colorspace, image.color_range = 1, 1  # BT.709, limited
    resampler = Resampler()
    assert resampler.to_screen(image, 64, 48) is image
    image.color_range = 2
    assert resampler.to_screen(image, 64, 48) is not image
