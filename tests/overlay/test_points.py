"""The strongest places of heat, as disks."""

from __future__ import annotations

import av
import numpy as np
import pytest

from streamcam.media.images import LAYERED_FORMATS, PLANAR_FORMATS, Image, bits_of, coding_of, planes_of
from streamcam.overlay.points import Point, PointPainter

AMBER = (255, 190, 60)


def flat_image(pixel_format: str) -> Image:
    image = av.VideoFrame(400, 200, pixel_format)
    for plane, value in zip(planes_of(image), (110, 128, 128, 0), strict=False):
        plane[:] = value << (bits_of(pixel_format) - 8)
    return image


@pytest.mark.parametrize("pixel_format", dict.fromkeys((*PLANAR_FORMATS, *LAYERED_FORMATS)))
def test_a_point_is_a_disk_with_a_dark_edge(pixel_format: str) -> None:
    """The radius is 3 pixels, and that of the edge 4."""
    image = flat_image(pixel_format)
    before = [plane.copy() for plane in planes_of(image)]
    PointPainter().draw(image, [Point(0.5, 0.5, AMBER)])
    expected = np.rint(coding_of(image).encode_rgb(np.array(AMBER, np.float32))).astype(int)
    for plane, value in zip(planes_of(image), expected, strict=False):
        assert plane[plane.shape[0] // 2, plane.shape[1] // 2] == value
    luma = planes_of(image)[0].astype(int)
    assert luma[100, 200 + 4] < before[0][100, 200 + 4]
    changed = np.argwhere(luma != before[0])
    assert np.abs(changed - (99.5, 199.5)).max() <= 7


def test_points_at_the_edges_are_clipped() -> None:
    image = flat_image("yuv420p")
    PointPainter().draw(image, [Point(0, 0, AMBER), Point(1, 1, AMBER), Point(0.5, 1, AMBER)])
    assert planes_of(image)[0][0, 0] == planes_of(image)[0][199, 200]


def test_without_points_nothing_changes() -> None:
    image = flat_image("yuv420p")
    PointPainter().draw(image, [])
    assert (planes_of(image)[0] == 110).all()
