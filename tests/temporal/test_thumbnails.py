"""Views: small, gray, whole, and the same for an image of any size."""

from __future__ import annotations

import av
import numpy as np
import pytest
from media_factory import make_image, paint_quadrants

from streamcam.media.images import planes_of
from streamcam.temporal.thumbnails import make_thumbnail


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        ((1920, 1080), (108, 192)),
        ((1080, 1920), (192, 108)),
        ((3840, 2160), (108, 192)),
        ((320, 180), (108, 192)),
        ((64, 48), (144, 192)),
        ((1000, 20), (64, 192)),
        ((16, 16), (192, 192)),
        ((17, 1), (64, 192)),
    ],
)
def test_the_long_side_is_the_same_for_all_images(size: tuple[int, int], shape: tuple[int, int]) -> None:
    view = make_thumbnail(make_image(*size))
    assert (view.shape, view.dtype) == (shape, np.uint8)


@pytest.mark.parametrize("size", [(1920, 1080), (640, 360), (97, 55)])
def test_each_place_has_the_luma_that_it_has_in_the_image(size: tuple[int, int]) -> None:
    view = make_thumbnail(make_image(*size, paint=paint_quadrants))
    rows, columns = view.shape
    corners = view[rows // 4 :: rows // 2, columns // 4 :: columns // 2][:2, :2]
    np.testing.assert_array_equal(corners, [[40, 80], [120, 160]])


def test_a_video_of_10_bits_has_the_view_of_its_copy_of_8() -> None:
    image = make_image(320, 180, 3)
    deep = av.VideoFrame(320, 180, "yuv420p10le")
    for plane, own in zip(planes_of(deep), planes_of(image), strict=True):
        plane[:] = own.astype(np.uint16) * 4 + 3
    np.testing.assert_array_equal(make_thumbnail(deep), make_thumbnail(image))
