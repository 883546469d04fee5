"""Composing what a window shows."""

from __future__ import annotations

import dataclasses

import av
import numpy as np
import pytest
from live_fakes import live_frame
from media_factory import gray_of
from numpy.typing import NDArray
from stage_fakes import explanation_of

from streamcam.explanations import StabilizedFrame
from streamcam.frames import Frame
from streamcam.media.images import PLANAR_FORMATS, bits_of, planes_of
from streamcam.overlay import OverlaySettings
from streamcam.session.compositor import Compositor

FULL = OverlaySettings(alpha=1.0, blend="even", labels=False)
HALF = OverlaySettings(alpha=0.5, labels=False)


def heat_of(frame: Frame) -> StabilizedFrame:
    explanation = explanation_of(frame.index)
    heats = {index: values / values.max() for index, values in explanation.heatmaps.items()}
    return StabilizedFrame(frame, heats, explanation.targets, explanation.predictions, explanation)


def luma(
    layout: str,
    size: tuple[int, int] | None,
    *,
    settings: OverlaySettings = HALF,
    bare: bool = False,
    frame_size: tuple[int, int] = (64, 48),
) -> NDArray[np.uint8]:
    frame = live_frame(2, frame_size)
    before = planes_of(frame.image)[0].copy()
    settings = dataclasses.replace(settings, layout=layout)
    image = Compositor().compose(frame, None if bare else heat_of(frame), settings, size)
    assert image is not frame.image
    planes_of(image)[0][0, 0] ^= 1  # whoever composes gets an image to write on
    assert (planes_of(frame.image)[0] == before).all()
    planes_of(image)[0][0, 0] ^= 1
    return planes_of(image)[0].copy()


GREY = gray_of(2)


def test_a_bare_image_fills_a_canvas_of_its_own_size() -> None:
    assert (luma("overlay", None, bare=True) == GREY).all()


def test_a_wider_canvas_has_black_at_the_sides() -> None:
    plane = luma("overlay", (128, 48), bare=True)
    assert plane.shape == (48, 128)
    assert (plane[:, :32] == 16).all()
    assert (plane[:, 32:96] == GREY).all()
    assert (plane[:, 96:] == 16).all()


def test_a_higher_canvas_has_black_above_and_below() -> None:
    plane = luma("overlay", (64, 96), bare=True)
    assert (plane[:24] == 16).all()
    assert (plane[24:72] == GREY).all()
    assert (plane[72:] == 16).all()


@pytest.mark.parametrize("pixel_format", PLANAR_FORMATS)
@pytest.mark.parametrize("size", [(128, 48), (64, 96)])
def test_colors_lie_where_the_image_lies(pixel_format: str, size: tuple[int, int]) -> None:
    frame = live_frame(2)
    image = av.VideoFrame(64, 48, pixel_format)
    for plane, value in zip(planes_of(image), (180, 90, 200), strict=True):
        plane[:] = value
    canvas = Compositor().compose(dataclasses.replace(frame, image=image), None, HALF, size=size)
    left, top = (size[0] - 64) // 2, (size[1] - 48) // 2
    black = (1 << (bits_of(pixel_format) - 8)) * np.array([16, 128, 128])
    for plane, value, empty in zip(planes_of(canvas), (180, 90, 200), black, strict=True):
        down, across = size[1] // plane.shape[0], size[0] // plane.shape[1]
        wanted = np.full(plane.shape, empty)
        wanted[top // down : (top + 48) // down, left // across : (left + 64) // across] = value
        np.testing.assert_array_equal(plane, wanted)


def test_views_lie_side_by_side_where_there_is_room() -> None:
    plane = luma("side-by-side", None)
    assert plane.shape == (48, 128)
    assert (plane[:, :64] == GREY).all()
    assert plane[:, 64:].std() > 5


def test_views_lie_above_each_other_in_a_high_window() -> None:
    plane = luma("side-by-side", (64, 96))
    assert (plane[:48] == GREY).all()
    assert plane[48:].std() > 5


def test_heat_alone_does_not_depend_on_the_image() -> None:
    alone = luma("heat", None)
    assert (alone == luma("overlay", None, settings=FULL)).all()
    assert (luma("heat", None, bare=True) == 16).all()


@pytest.mark.parametrize("size", [(1, 1), (17, 300), (333, 35), (640, 1)])
@pytest.mark.parametrize("layout", ["overlay", "side-by-side", "heat"])
def test_no_canvas_is_too_small_or_odd(layout: str, size: tuple[int, int]) -> None:
    plane = luma(layout, size, settings=OverlaySettings())
    assert plane.shape == (max(size[1] // 2 * 2, 16), max(size[0] // 2 * 2, 16))


def test_odd_images_are_shown() -> None:
    assert luma("overlay", None, frame_size=(65, 49), bare=True).shape == (49, 65)


def test_the_image_keeps_its_shape() -> None:
    plane = luma("overlay", (320, 200), bare=True)
    columns = np.flatnonzero((plane > 20).any(axis=0))
    rows = np.flatnonzero((plane > 20).any(axis=1))
    assert (len(rows), len(columns)) == (200, 266)


def test_panes_are_as_large_as_the_frame_and_fit_into_any_window() -> None:
    frame = live_frame(2, (320, 240))
    heat = heat_of(frame)
    panes = dataclasses.replace(heat, others=(heat, heat, heat))
    compositor = Compositor()
    for size in (None, (640, 200)):
        image = compositor.compose(frame, panes, dataclasses.replace(HALF, layout="side-by-side"), size)
        assert (image.width, image.height) == (size or (320, 240))
        assert not np.array_equal(
            planes_of(image)[0], planes_of(compositor.compose(frame, heat, HALF, size))[0]
        )
