"""The legend of the color map."""

from __future__ import annotations

import av
import numpy as np
import pytest

from streamcam.frames import Region
from streamcam.media.images import PLANAR_FORMATS, Image, bits_of, coding_of, planes_of
from streamcam.overlay.colormaps import lookup_table
from streamcam.overlay.legend import LegendPainter

COLORS = lookup_table("turbo")
GRAY = 120


def flat(width: int, height: int, pixel_format: str = "yuv420p") -> Image:
    image = av.VideoFrame(width, height, pixel_format)
    for plane, value in zip(planes_of(image), (GRAY, 128, 128), strict=True):
        plane[:] = value << (bits_of(pixel_format) - 8)
    return image


def changed(image: Image) -> Region:
    """Return the part of an image that is not as it was, as fractions."""
    rows, columns = np.nonzero(planes_of(image)[0] != GRAY << (bits_of(image.format.name) - 8))
    return Region(
        columns.min() / image.width,
        rows.min() / image.height,
        (columns.max() + 1) / image.width,
        (rows.max() + 1) / image.height,
    )


@pytest.mark.parametrize("size", [(320, 180), (640, 360), (641, 361), (1920, 1080), (360, 640)])
def test_it_lies_in_the_lower_right_corner(size: tuple[int, int]) -> None:
    image = flat(*size)
    LegendPainter(COLORS).draw(image)
    part = changed(image)
    assert 0.3 < part.left < part.right < 1
    assert 0.85 < part.top < part.bottom < 1
    assert part.right > 0.95


@pytest.mark.parametrize("pixel_format", PLANAR_FORMATS)
def test_the_bar_shows_all_colors_from_weak_to_strong(pixel_format: str) -> None:
    image = flat(1280, 720, pixel_format)
    LegendPainter(COLORS).draw(image)
    part = changed(image)
    planes = planes_of(image)
    red = planes[2][round((part.top + part.bottom) / 2 * planes[2].shape[0])].astype(int)
    # Turbo's largest and smallest share of red; chroma is averaged over two columns.
    values = coding_of(image).encode_rgb(COLORS)[:, 2]
    scale = 1 << (bits_of(pixel_format) - 8)
    assert abs(red.max() - values.max()) < 4 * scale
    assert abs(red.min() - values.min()) < 4 * scale
    assert red.argmin() < red.argmax()


def test_each_class_has_a_bar_in_its_color_and_a_name() -> None:
    colors = [("tabby", (255, 80, 50)), ("tiger cat", (60, 150, 255))]
    image = flat(1280, 720)
    LegendPainter(COLORS).draw(image, colors)
    place = LegendPainter(COLORS).measure(image, colors)
    assert place is not None
    coding = coding_of(image)
    half = place.height // 2
    for number, (_, color) in enumerate(colors):
        rows = slice((place.top + number * half) // 2, (place.top + (number + 1) * half) // 2)
        red = planes_of(image)[2][rows].astype(int)
        expected = coding.encode_rgb(np.array(color, np.float32))[2]
        assert np.abs(red - expected).min() < 4
    # Of more than fit into a half of the image, the last are left out.
    many = LegendPainter(COLORS).measure(image, [(f"class {number}", (9, 9, 9)) for number in range(99)])
    assert many is not None
    assert many.top >= 360


@pytest.mark.parametrize("size", [(16, 16), (64, 48), (100, 20), (17, 301)])
def test_images_without_room_have_none(size: tuple[int, int]) -> None:
    image = flat(*size)
    LegendPainter(COLORS).draw(image)
    assert (planes_of(image)[0] == GRAY).all()
