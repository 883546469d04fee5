"""Reading alpha exactly, which swscale does not."""

from __future__ import annotations

import av
import numpy as np
import pytest

from streamcam.media.images import alpha_of, join_alpha, planes_of, split_alpha
from streamcam.media.scaling import Resampler

RAMP = np.tile(np.arange(256, dtype=np.uint8), (8, 1))


def transparent(pixel_format: str) -> av.VideoFrame:
    """Make an image whose alpha is 0 to 255, from left to right."""
    rgba = np.dstack([np.full_like(RAMP, 200), np.full_like(RAMP, 50), np.full_like(RAMP, 90), RAMP])
    order = {"rgba": [0, 1, 2, 3], "bgra": [2, 1, 0, 3], "argb": [3, 0, 1, 2], "abgr": [3, 2, 1, 0]}
    if pixel_format in order:
        return av.VideoFrame.from_ndarray(np.ascontiguousarray(rgba[..., order[pixel_format]]), pixel_format)
    image = av.VideoFrame(256, 8, pixel_format)
    *colors, alpha = planes_of(image)
    for plane in colors:
        plane[:] = 100
    alpha[:] = RAMP
    return image


@pytest.mark.parametrize("pixel_format", ["rgba", "bgra", "argb", "abgr", "gbrap", "yuva420p", "yuva444p"])
@pytest.mark.parametrize(("layered", "most"), [("yuva420p", 255), ("yuva444p", 255), ("yuva444p10le", 1023)])
def test_alpha_is_converted_exactly(pixel_format: str, layered: str, most: int) -> None:
    converted = Resampler().to_format(transparent(pixel_format), layered)
    np.testing.assert_array_equal(planes_of(converted)[3], np.rint(RAMP * (most / 255)))


def test_16_bits_are_rounded() -> None:
    image = av.VideoFrame(256, 8, "yuva444p16le")
    planes_of(image)[3][:] = RAMP.astype(np.uint16) * 257
    found = alpha_of(image, 8)
    assert found is not None
    np.testing.assert_array_equal(found, RAMP)


@pytest.mark.parametrize("pixel_format", ["rgb24", "yuv420p", "pal8", "yuva420p10be", "gbrapf32le"])
def test_forms_that_are_not_read_exactly_are_left_to_swscale(pixel_format: str) -> None:
    assert alpha_of(av.VideoFrame(16, 8, pixel_format), 8) is None


def test_an_opaque_image_and_its_alpha_make_the_whole() -> None:
    layered = transparent("yuva420p")
    opaque, alpha = split_alpha(layered)
    assert opaque.format.name == "yuv420p"
    for found, known in zip(planes_of(join_alpha(opaque, alpha)), planes_of(layered), strict=True):
        np.testing.assert_array_equal(found, known)
