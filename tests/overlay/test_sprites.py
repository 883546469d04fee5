"""Small images with transparency: their colors, their edges, and how they are blended."""

from __future__ import annotations

import numpy as np
import pytest
from av.video.reformatter import Colorspace

from streamcam.media.images import ByteArray, YuvCoding
from streamcam.overlay.sprites import Canvas, draw_rounded_rectangle, draw_triangle

FULL_601 = YuvCoding(Colorspace.ITU601, full_range=True)
FLAT = (200, 90, 160)
WHOLE = np.full((2, 2), 255, np.uint8)


def flat_planes(side: int) -> list[ByteArray]:
    """Make a square 4:2:0 image of one color."""
    sides = (side, side // 2, side // 2)
    return [np.full((plane, plane), value, np.uint8) for plane, value in zip(sides, FLAT, strict=True)]


class TestBlending:
    def test_opaque_color(self) -> None:
        canvas = Canvas(2, 2)
        canvas.fill(0, 0, 2, 2, (255, 0, 0))
        planes = flat_planes(8)
        canvas.to_sprite("yuv420p", FULL_601).blend(planes, 4, 2)
        luma, cb, cr = planes
        # BT.601: Y = 0.299 · 255, Cb = 128 - 76.245 / 1.772, Cr = 128 + 178.755 / 1.402, cut at 255.
        assert np.unique(luma[2:4, 4:6]) == [76]
        assert (cb[1, 2], cr[1, 2]) == (85, 255)
        changed = [int((plane != value).sum()) for plane, value in zip(planes, FLAT, strict=True)]
        assert changed == [4, 1, 1]

    def test_chroma_is_averaged_by_opacity(self) -> None:
        canvas = Canvas(2, 2)
        canvas.fill(0, 0, 1, 1, (255, 0, 0))
        luma, cb, cr = planes = flat_planes(2)
        canvas.to_sprite("yuv420p", FULL_601).blend(planes, 0, 0)
        assert luma.tolist() == [[76, 200], [200, 200]]
        # A quarter of red's 84.97 and 255.5, three quarters of the image's 90 and 160.
        assert (cb[0, 0], cr[0, 0]) == (89, 184)

    @pytest.mark.parametrize("opacity", [0.0, 0.25, 0.5, 0.7, 1.0])
    @pytest.mark.parametrize("value", [0, 255])
    def test_extremes_do_not_overflow(self, opacity: float, value: int) -> None:
        canvas = Canvas(2, 2)
        canvas.stamp(WHOLE, 0, 0, (value, value, value), opacity=opacity)
        planes = flat_planes(2)
        planes[0][:] = value
        canvas.to_sprite("yuv420p", FULL_601).blend(planes, 0, 0)
        assert np.unique(planes[0]) == [value]

    def test_one_color_over_another(self) -> None:
        canvas = Canvas(2, 2)
        canvas.stamp(WHOLE, 0, 0, (200, 200, 200), opacity=0.5)
        canvas.stamp(WHOLE, 0, 0, (40, 40, 40), opacity=0.5)
        planes = flat_planes(2)
        canvas.to_sprite("yuv420p", FULL_601).blend(planes, 0, 0)
        # (200 + 200) / 2 = 200, then (200 + 40) / 2.
        assert np.unique(planes[0]) == [120]


def test_a_stamp_is_cut_at_the_edges() -> None:
    canvas = Canvas(4, 4)
    canvas.stamp(WHOLE, 3, 3, (255, 255, 255))
    canvas.stamp(WHOLE, 0, 3, (255, 255, 255))
    keep = canvas.to_sprite("yuv444p", FULL_601).planes[0].keep
    assert [tuple(place) for place in np.argwhere(keep == 0)] == [(3, 0), (3, 1), (3, 3)]


class TestShapes:
    @pytest.mark.parametrize("radius", [1, 3, 6])
    def test_rounded_rectangle(self, radius: int) -> None:
        mask = draw_rounded_rectangle(20, 12, radius)
        assert mask.shape == (12, 20)
        assert np.array_equal(mask, mask[::-1])
        assert np.array_equal(mask, mask[:, ::-1])
        missing = (255 - mask.astype(float)).sum() / 255
        assert missing == pytest.approx((4 - np.pi) * radius**2, rel=0.1)

    def test_triangle_points_right(self) -> None:
        ink = (draw_triangle(12) > 127).sum(axis=0)
        assert ink[0] >= 11
        assert (np.diff(ink.astype(int)) <= 0).all()
        assert ink[-1] == 0
