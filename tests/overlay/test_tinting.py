"""Several colors over one image: values worked out by hand."""

from __future__ import annotations

import av
import numpy as np
import pytest

from streamcam.errors import InvalidArgumentError
from streamcam.frames import Region
from streamcam.media.images import PLANAR_FORMATS, coding_of, planes_of
from streamcam.overlay.tinting import AGAINST_COLOR, FOR_COLOR, Tinter, split_by_sign

WHOLE = Region(0, 0, 1, 1)


def gray(width: int = 32, height: int = 16, pixel_format: str = "yuv444p") -> av.VideoFrame:
    image = av.VideoFrame(width, height, pixel_format)
    for plane in planes_of(image):
        plane[:] = 128
    return image


@pytest.mark.parametrize("pixel_format", PLANAR_FORMATS)
def test_where_there_is_no_heat_the_image_stays_bit_for_bit(pixel_format: str) -> None:
    image = gray(33, 19, pixel_format)
    tinted = Tinter(0.5).tint(image, [np.zeros((2, 4), np.float32)] * 2, [FOR_COLOR, AGAINST_COLOR], WHOLE)
    for own, other in zip(planes_of(tinted), planes_of(image), strict=True):
        np.testing.assert_array_equal(own, other)


@pytest.mark.parametrize("pixel_format", PLANAR_FORMATS)
def test_full_heat_has_the_weight_alpha(pixel_format: str) -> None:
    image = gray(33, 19, pixel_format)
    tinted = Tinter(0.25).tint(image, [np.ones((2, 4), np.float32)], [FOR_COLOR], WHOLE)
    coding = coding_of(image)
    color, black = (coding.encode_rgb(np.array(rgb, np.float32)) for rgb in (FOR_COLOR, (0, 0, 0)))
    # Beneath the color, the image has 1 - 0.25 / 2 of its luma and 1 - 0.25 of its chroma.
    faded = black + np.array([0.875, 0.75, 0.75]) * (128 - black)
    for plane, value in zip(planes_of(tinted), 0.75 * faded + 0.25 * color, strict=True):
        assert np.ptp(plane) == 0
        assert plane[0, 0] == pytest.approx(value, abs=1.25)


@pytest.mark.parametrize("heat", [0.45, 0.2, 0.15, 0.05, 0.01, 1e-5])
def test_weak_heat_has_its_own_color_and_no_other(heat: float) -> None:
    image = gray(33, 19)
    heats = [np.full((2, 4), heat, np.float32), np.zeros((2, 4), np.float32)]
    tinted = Tinter(0.5).tint(image, heats, [FOR_COLOR, AGAINST_COLOR], WHOLE)
    color = coding_of(image).encode_rgb(np.array(FOR_COLOR, np.float32))
    black = coding_of(image).encode_rgb(np.zeros(3, np.float32))
    weight = 0.5 * (heat / 0.6) ** 2 * (3 - 2 * heat / 0.6)
    faded = black + (1 - weight * np.array([0.5, 1, 1])) * (128 - black)
    for plane, value in zip(planes_of(tinted), (1 - weight) * faded + weight * color, strict=True):
        assert plane == pytest.approx(np.full(plane.shape, value), abs=1.25)


def test_the_strongest_color_wins_its_place() -> None:
    first, second = np.zeros((1, 2), np.float32), np.zeros((1, 2), np.float32)
    first[0, 0], second[0, 1], second[0, 0] = 1, 1, 0.9
    image = gray(322, 161)  # so that a pixel lies on the center of a cell
    luma, cb, cr = planes_of(Tinter(1.0).tint(image, [first, second], [FOR_COLOR, AGAINST_COLOR], WHOLE))
    red, blue = (coding_of(image).encode_rgb(np.array(rgb, np.float32)) for rgb in (FOR_COLOR, AGAINST_COLOR))
    share = 0.9**16  # beside 1
    expected = (red + share * blue) / (1 + share)
    assert (luma[80, 80], cb[80, 80], cr[80, 80]) == pytest.approx(tuple(expected), abs=1)
    assert (luma[0, -1], cb[0, -1], cr[0, -1]) == pytest.approx(tuple(blue), abs=1)


def test_what_lies_outside_the_region_stays() -> None:
    image = gray()
    tinted = Tinter(1.0).tint(image, [np.ones((2, 2), np.float32)], [FOR_COLOR], Region(0.25, 0, 0.75, 1))
    luma = planes_of(tinted)[0]
    assert (luma[:, :8] == 128).all()
    assert (luma[:, 24:] == 128).all()
    assert (luma[:, 8:24] != 128).all()


@pytest.mark.parametrize("pixel_format", ["yuv444p", "yuv444p10le"])
def test_each_heatmap_is_outlined_at_half_strength(pixel_format: str) -> None:
    image = gray(400, 100, pixel_format)
    # From 0 at x = 50 to 1 at x = 350, and the other way around: both are half at x = 200.
    first = np.array([[0, 0, 1 / 3, 2 / 3, 1, 1]], np.float32)[:, 1:5]
    nothing = np.zeros_like(first)
    plain = planes_of(Tinter(0).tint(image, [first, nothing], [FOR_COLOR, AGAINST_COLOR], WHOLE))
    drawn = planes_of(Tinter(1e-3).tint(image, [first, nothing], [FOR_COLOR, AGAINST_COLOR], WHOLE))
    red = coding_of(image).encode_rgb(np.array(FOR_COLOR, np.float32))
    for plane, before, value in zip(drawn, plain, red, strict=True):
        changed = abs(plane[50].astype(int) - before[50]) > abs(value - before[50, 0]) / 4
        assert np.flatnonzero(changed).mean() == pytest.approx(199.5, abs=1)
        assert 2 <= changed.sum() <= 4
        assert plane[50, 199:201] == pytest.approx(np.array([value] * 2), abs=coding_of(image).highest / 100)


def test_signed_maps_part_on_one_scale() -> None:
    speaks_for, speaks_against = split_by_sign(np.array([[0.5, -1.0, 0.0]], np.float32))
    assert speaks_for.tolist() == [[0.5, 0, 0]]
    assert speaks_against.tolist() == [[0, 1, 0]]


def test_alpha_is_a_weight() -> None:
    with pytest.raises(InvalidArgumentError, match="from 0 to 1, not 2"):
        Tinter(2)
