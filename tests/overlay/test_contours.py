"""Lines of equal heat, and the values on them."""

from __future__ import annotations

import itertools

import av
import numpy as np
import pytest

from streamcam.frames import Region
from streamcam.media.images import PLANAR_FORMATS, Image, bits_of, coding_of, planes_of
from streamcam.overlay.contours import LEVELS, ContourPainter, trace_contours
from streamcam.overlay.settings import OverlaySettings
from streamcam.overlay.sprites import Sprite
from streamcam.overlay.views import VIEWS, Heat

WHOLE = Region(0, 0, 1, 1)
SLOPE = np.tile(np.linspace(0, 1, 21, dtype=np.float32), (3, 1))
"""Heat that grows from 0 at the center of the first column to 1 at that of the last."""

GREEN = (0, 200, 0)


def flat(width: int, height: int, pixel_format: str = "yuv420p") -> Image:
    image = av.VideoFrame(width, height, pixel_format)
    for plane, value in zip(planes_of(image), (120, 128, 128), strict=True):
        plane[:] = value << (bits_of(pixel_format) - 8)
    return image


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("region", [WHOLE, Region(0.25, 0, 0.75, 1)])
def test_a_line_lies_where_the_heat_has_its_value(level: float, region: Region) -> None:
    (contour,) = trace_contours(SLOPE, {level: GREEN}, region, (840, 120))
    inner = [x for x, y in np.concatenate(contour.lines)[:, 0] if 5 < y < 115 and x < 840 * region.right - 5]
    width = 840 * (region.right - region.left)
    center = 840 * region.left + width * (20 * level + 0.5) / 21
    np.testing.assert_allclose(inner, center, atol=width / 128)  # a cell in which lines are traced


def test_heat_that_does_not_reach_a_level_has_no_line() -> None:
    low, high = trace_contours(SLOPE * 0.5, {0.4: GREEN, 0.6: GREEN}, WHOLE, (840, 120))
    assert (len(low.lines), len(high.lines)) == (1, 0)


@pytest.mark.parametrize("pixel_format", PLANAR_FORMATS)
def test_lines_have_their_color_and_a_dark_edge(pixel_format: str) -> None:
    image = flat(840, 120, pixel_format)
    ContourPainter().draw(image, trace_contours(SLOPE, {0.4: GREEN}, WHOLE, (840, 120)))
    luma, blue, red = (plane[round(0.9 * plane.shape[0])].astype(int) for plane in planes_of(image))
    expected = np.rint(coding_of(image).encode_rgb(np.array(GREEN, np.float32)))
    scale = 1 << (bits_of(pixel_format) - 8)
    at = round(840 * 8.5 / 21)
    assert np.abs(luma[at - 2 : at + 3] - expected[0]).min() <= 3 * scale
    for row, value in ((blue, expected[1]), (red, expected[2])):
        column, gray = at * len(row) // 840, 128 * scale
        # The edge of a line may lie between two chroma samples.
        assert ((row[column - 2 : column + 3] - gray) / (value - gray)).max() > 0.6
    assert luma[at - 6 : at + 7].min() < 60 * scale
    assert (luma[:300] == 120 * scale).all()
    assert (luma[500:] == 120 * scale).all()


def test_values_do_not_lie_on_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three lines at the same place, the value of each goes to another end, or is left out."""
    places = []

    def record(sprite: Sprite, _planes: object, left: int, top: int) -> None:
        height, width = sprite.planes[0].keep.shape
        places.append((left, top, left + width, top + height))

    monkeypatch.setattr(Sprite, "blend", record)
    peak = np.zeros((9, 9), np.float32)
    peak[4, 4] = 1
    ContourPainter().draw(flat(320, 320), 3 * trace_contours(peak, {0.4: GREEN}, WHOLE, (320, 320)))
    assert len(places) == 3
    for one, other in itertools.combinations(places, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


@pytest.mark.parametrize("size", [(16, 16), (17, 33), (640, 16), (65, 49)])
@pytest.mark.parametrize("heat", [0.0, 0.5, 1.0])
def test_every_size_and_flat_heat(size: tuple[int, int], heat: float) -> None:
    maps = [np.full((7, 7), heat, np.float32)]
    drawn = VIEWS["contours"](OverlaySettings()).draw(flat(*size), Heat(maps, (), WHOLE))
    assert (drawn.width, drawn.height) == size


def test_several_classes_have_a_color_each() -> None:
    heat = Heat([SLOPE, SLOPE[:, ::-1]], ((255, 0, 0), (0, 0, 255)), WHOLE)
    drawn = VIEWS["contours"](OverlaySettings()).draw(flat(840, 120), heat)
    _, blue, red = (plane.astype(int) for plane in planes_of(drawn))
    assert red.max() > 200
    assert blue.max() > 200
