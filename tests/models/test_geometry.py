"""How frames of every shape are fitted into a network's input: sizes and regions worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from streamcam.errors import UnknownNameError
from streamcam.frames import Region
from streamcam.models import FITS, InputSpec, fit_geometry
from streamcam.models.geometry import Geometry

SPEC = InputSpec(size=224, resize=256)

FULL = [
    ((1920, 1080), (384, 224)),  # 224 x 1.778 = 398 = 12.4 strides
    ((640, 360), (384, 224)),
    ((640, 480), (288, 224)),  # 299 = 9.3 strides
    ((1080, 1920), (224, 384)),
    ((500, 500), (224, 224)),
    ((240, 230), (224, 224)),  # 234 = 7.3 strides
    ((4000, 100), (896, 224)),  # held to 4:1
    ((100, 4000), (224, 896)),
    ((3, 2), (320, 224)),  # 336 = 10.5 strides: of two that are equally near, the even number
    ((1, 1), (224, 224)),
]


@pytest.mark.parametrize(("frame", "size"), FULL)
def test_full_keeps_the_whole_frame_at_its_own_shape(frame: tuple[int, int], size: tuple[int, int]) -> None:
    assert fit_geometry("full", frame, SPEC) == Geometry(size, size, (0, 0), Region())


@pytest.mark.parametrize(("side", "short"), [(224, 224), (299, 288), (240, 256), (384, 384), (10, 32)])
def test_full_brings_the_short_side_to_whole_strides(side: int, short: int) -> None:
    assert fit_geometry("full", (100, 100), InputSpec(side, side)).size == (short, short)


@pytest.mark.parametrize("frame", [(1920, 1080), (480, 640), (10, 1000), (7, 7)])
def test_stretch_squashes_the_whole_frame_into_the_square(frame: tuple[int, int]) -> None:
    assert fit_geometry("stretch", frame, SPEC) == Geometry((224, 224), (224, 224), (0, 0), Region())


CROP = [
    # The short side becomes 256: 1080 x 0.237. Of 455 columns the middle 224 stay, from the 116th on.
    ((1920, 1080), (455, 256), (-116, -16)),
    ((640, 480), (341, 256), (-59, -16)),
    ((1080, 1920), (256, 455), (-16, -116)),
    ((512, 512), (256, 256), (-16, -16)),
    ((64, 64), (256, 256), (-16, -16)),
    ((2560, 256), (2560, 256), (-1168, -16)),
]


@pytest.mark.parametrize(("frame", "scaled", "offset"), CROP)
def test_crop_cuts_the_square_in_the_middle(
    frame: tuple[int, int], scaled: tuple[int, int], offset: tuple[int, int]
) -> None:
    geometry = fit_geometry("crop", frame, SPEC)
    assert (geometry.scaled, geometry.size, geometry.offset) == (scaled, (224, 224), offset)
    region = geometry.region
    assert (region.left, region.top) == (-offset[0] / scaled[0], -offset[1] / scaled[1])
    assert (region.right - region.left) * scaled[0] == pytest.approx(224)
    assert (region.bottom - region.top) * scaled[1] == pytest.approx(224)
    assert 0 <= region.left < region.right <= 1
    assert 0 <= region.top < region.bottom <= 1


def test_crop_of_a_network_evaluated_without_a_margin_takes_the_whole_short_side() -> None:
    region = fit_geometry("crop", (400, 200), InputSpec(100, 100)).region
    assert region == Region(0.25, 0.0, 0.75, 1.0)


PAD = [
    ((1920, 1080), (224, 126), (0, 49)),
    ((640, 480), (224, 168), (0, 28)),
    ((1080, 1920), (126, 224), (49, 0)),
    ((300, 300), (224, 224), (0, 0)),
    ((4000, 10), (224, 1), (0, 111)),  # never less than a line
]


@pytest.mark.parametrize(("frame", "scaled", "offset"), PAD)
def test_pad_puts_the_whole_frame_in_the_middle(
    frame: tuple[int, int], scaled: tuple[int, int], offset: tuple[int, int]
) -> None:
    geometry = fit_geometry("pad", frame, SPEC)
    assert (geometry.scaled, geometry.size, geometry.offset) == (scaled, (224, 224), offset)


TALL = InputSpec((128, 256), 160)

OBLONG = [
    ("full", (1920, 1080), ((224, 128), (224, 128), (0, 0))),  # 227 = 7.1 strides
    ("stretch", (1920, 1080), ((128, 256), (128, 256), (0, 0))),
    # The margin of 160 / 128 makes it 320 high: 1920 x 320 / 1080.
    ("crop", (1920, 1080), ((569, 320), (128, 256), (-221, -32))),
    ("crop", (100, 400), ((160, 640), (128, 256), (-16, -192))),
    ("pad", (1920, 1080), ((128, 72), (128, 256), (0, 92))),
    ("pad", (100, 400), ((64, 256), (128, 256), (32, 0))),
]


@pytest.mark.parametrize(("fit", "frame", "expected"), OBLONG)
def test_inputs_need_not_be_square(fit: str, frame: tuple[int, int], expected: tuple[Any, ...]) -> None:
    geometry = fit_geometry(fit, frame, TALL)
    assert (geometry.scaled, geometry.size, geometry.offset) == expected


def test_a_padded_input_reaches_beyond_the_frame() -> None:
    region = fit_geometry("pad", (200, 100), InputSpec(100, 100)).region
    assert region == Region(0.0, -0.5, 1.0, 1.5)


def test_place_cuts_where_the_input_is_smaller() -> None:
    geometry = Geometry((6, 4), (2, 2), (-2, -1), Region())
    scaled = np.arange(24, dtype=np.uint8).reshape(4, 6, 1).repeat(3, axis=2)
    assert geometry.place(scaled, (0, 0, 0))[:, :, 0].tolist() == [[8, 9], [14, 15]]


def test_place_fills_where_the_input_is_larger() -> None:
    geometry = Geometry((2, 1), (2, 3), (0, 1), Region())
    placed = geometry.place(np.full((1, 2, 3), 9, np.uint8), (1, 2, 3))
    assert placed.tolist() == [[[1, 2, 3]] * 2, [[9, 9, 9]] * 2, [[1, 2, 3]] * 2]


def test_place_hands_on_what_fits() -> None:
    geometry = fit_geometry("stretch", (10, 20), SPEC)
    scaled = np.zeros((224, 224, 3), np.uint8)
    assert geometry.place(scaled, (0, 0, 0)) is scaled


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("frame", [(1, 1), (16, 9), (9, 16), (1, 100), (3841, 2161)])
def test_every_fit_places_every_frame(fit: str, frame: tuple[int, int]) -> None:
    geometry = fit_geometry(fit, frame, InputSpec(32, 36))
    width, height = geometry.scaled
    placed = geometry.place(np.zeros((height, width, 3), np.uint8), (9, 9, 9))
    assert placed.shape == (geometry.size[1], geometry.size[0], 3)


def test_an_unknown_fit_names_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="choose one of: crop, full, pad, stretch"):
        fit_geometry("squeeze", (1, 1), SPEC)
