from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace
from media_factory import BT601, BT709, BT2020, COLORS, make_image, paint_noise

from streamcam.frames import ColorTags
from streamcam.media.images import (
    PLANAR_FORMATS,
    YuvCoding,
    bits_of,
    blank_like,
    chroma_of,
    coding_of,
    image_from_rgb,
    packed_pixels,
    planar_format,
    planes_of,
    set_tags,
    tags_of,
)


# Worked out by hand from ITU-R BT.601 / BT.709 / BT.2020: Y = Kr R + (1 - Kr - Kb) G + Kb B,
# Cb = (B - Y) / (2 - 2 Kb), Cr = (R - Y) / (2 - 2 Kr), scaled to 16..235 and 16..240, or to 0..255.
@pytest.mark.parametrize(
    ("matrix", "full_range", "rgb", "yuv"),
    [
        (BT601, False, "white", (235, 128, 128)),
        (BT601, False, "black", (16, 128, 128)),
        (BT601, False, "red", (81.481, 90.203, 240)),
        (BT601, True, "white", (255, 128, 128)),
        (BT601, True, "black", (0, 128, 128)),
        (BT601, True, "red", (76.245, 84.972, 255.5)),
        (BT709, False, "white", (235, 128, 128)),
        (BT709, False, "red", (62.559, 102.336, 240)),
        (BT709, False, "blue", (31.812, 240, 117.730)),
        (BT709, True, "black", (0, 128, 128)),
        (BT709, True, "red", (54.213, 98.784, 255.5)),
        (BT2020, False, "red", (73.531, 96.723, 240)),
    ],
)
def test_rgb_is_coded_as_the_standards_say(
    matrix: Colorspace, full_range: bool, rgb: str, yuv: tuple[float, float, float]
) -> None:
    coded = YuvCoding(matrix, full_range).encode_rgb(np.array(COLORS[rgb], np.uint8))
    assert coded.dtype == np.float32
    np.testing.assert_allclose(coded, yuv, atol=0.001)


def test_rgb_of_any_shape_is_coded() -> None:
    assert YuvCoding(BT601, full_range=False).encode_rgb(np.zeros((2, 5, 3), np.uint8)).shape == (2, 5, 3)


@pytest.mark.parametrize(
    ("colorspace", "height", "matrix"),
    [
        (2, 719, BT601),
        (2, 720, BT709),
        (2, 1080, BT709),
        (0, 1080, BT709),  # "RGB", on an image that is not
        (3, 480, BT601),  # reserved
        (8, 480, BT601),  # YCgCo, which swscale does not know
        (1, 480, BT709),
        (5, 1080, BT601),
        (6, 1080, BT601),
        (4, 1080, Colorspace.FCC),
        (7, 1080, Colorspace.SMPTE240M),
        (9, 480, BT2020),
        (10, 480, BT2020),
    ],
)
def test_the_matrix_comes_from_the_tag_or_else_from_the_height(
    colorspace: int, height: int, matrix: Colorspace
) -> None:
    image = av.VideoFrame(64, height, "yuv420p")
    image.colorspace = colorspace
    assert coding_of(image) == YuvCoding(matrix, full_range=False)


@pytest.mark.parametrize(
    ("pixel_format", "color_range", "full_range"),
    [
        ("yuv420p", ColorRange.UNSPECIFIED, False),
        ("yuv420p", ColorRange.MPEG, False),
        ("yuv420p", ColorRange.JPEG, True),
        ("yuvj420p", ColorRange.UNSPECIFIED, True),
        ("rgb24", ColorRange.UNSPECIFIED, True),
    ],
)
def test_the_range_comes_from_the_tag_or_the_format(
    pixel_format: str, color_range: ColorRange, full_range: bool
) -> None:
    image = av.VideoFrame(64, 48, pixel_format)
    image.color_range = color_range
    assert coding_of(image).full_range is full_range


@pytest.mark.parametrize(
    ("pixel_format", "shapes"),
    [
        ("yuv420p", [(47, 65), (24, 33), (24, 33)]),
        ("yuv422p", [(47, 65), (47, 33), (47, 33)]),
        ("yuv444p", [(47, 65), (47, 65), (47, 65)]),
    ],
)
def test_planes_have_no_padding_and_are_not_copies(pixel_format: str, shapes: list[tuple[int, int]]) -> None:
    image = make_image(65, 47, pixel_format=pixel_format, paint=paint_noise)
    assert [plane.shape for plane in planes_of(image)] == shapes
    planes_of(image)[1][-1, -1] = 77
    assert planes_of(image)[1][-1, -1] == 77


def test_planar_formats_are_named_by_their_samples() -> None:
    assert (
        *("yuv420p", "yuv422p", "yuv444p"),
        *("yuv420p10le", "yuv422p10le", "yuv444p10le"),
    ) == PLANAR_FORMATS
    for name in PLANAR_FORMATS:
        assert planar_format(chroma_of(name), bits_of(name)) == name


@pytest.mark.parametrize("width", [64, 65])
def test_packed_pixels_come_without_padding(width: int) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (47, width, 3), np.uint8)
    np.testing.assert_array_equal(packed_pixels(image_from_rgb(rgb)), rgb)


def test_a_blank_image_is_fresh_and_has_the_same_tags_and_time() -> None:
    image = make_image(64, 48, pixel_format="yuv422p")
    set_tags(image, ColorTags(2, 9, 9, 16))
    image.pts, image.time_base = 1001, Fraction(1, 30000)
    before = planes_of(image)[0].copy()
    fresh = blank_like(image)
    for plane in planes_of(fresh):
        plane[:] = 0
    assert (fresh.width, fresh.height, fresh.format.name) == (64, 48, "yuv422p")
    assert (fresh.pts, fresh.time_base) == (1001, Fraction(1, 30000))
    assert tags_of(fresh) == ColorTags(2, 9, 9, 16)
    np.testing.assert_array_equal(planes_of(image)[0], before)


def test_a_blank_image_may_differ_in_size_and_format() -> None:
    fresh = blank_like(make_image(64, 48), width=48, height=64, pixel_format="yuv444p")
    assert (fresh.width, fresh.height, fresh.format.name) == (48, 64, "yuv444p")


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((48, 64), np.uint8),
        np.zeros((48, 64, 2), np.uint8),
        np.zeros((48, 64, 3), np.float32),
        np.zeros((0, 64, 3), np.uint8),
    ],
)
def test_only_rgb_arrays_become_images(array: np.ndarray) -> None:  # type: ignore[type-arg]
    with pytest.raises(ValueError, match=r"uint8 \(H, W, 3\), not"):
        image_from_rgb(array)


def test_arrays_that_lie_scattered_in_memory_become_images() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    np.testing.assert_array_equal(packed_pixels(image_from_rgb(rgb[:, ::-1])), rgb[:, ::-1])
