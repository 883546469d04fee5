"""Each way to show a frame and its heat, against values worked out by hand."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from streamcam.explanations import Explanation, Prediction, StabilizedFrame
from streamcam.frames import Frame, Region
from streamcam.media.images import PLANAR_FORMATS, Image, bits_of, coding_of, planes_of
from streamcam.overlay import Overlay
from streamcam.overlay.settings import OverlaySettings
from streamcam.overlay.tinting import AGAINST_COLOR, FOR_COLOR, split_by_sign
from streamcam.overlay.views import VIEWS, Heat

WHOLE = Region(0, 0, 1, 1)
NONE, FULL = np.zeros((3, 4), np.float32), np.ones((3, 4), np.float32)
COLOR = (180, 90, 200)
"""Y, Cb and Cr of the images here, in 8 bits."""


def flat(pixel_format: str = "yuv420p") -> Image:
    image = av.VideoFrame(64, 48, pixel_format)
    for plane, value in zip(planes_of(image), COLOR, strict=True):
        plane[:] = value << (bits_of(pixel_format) - 8)
    return image


def drawn(view: str, image: Image, *maps: NDArray[np.float32], region: Region = WHOLE) -> list[np.ndarray]:
    """Draw a view, and return its planes in 8-bit values."""
    before = [plane.copy() for plane in planes_of(image)]
    colors = (FOR_COLOR, AGAINST_COLOR)[: len(maps)] if len(maps) > 1 else ()
    result = VIEWS[view](OverlaySettings()).draw(image, Heat(maps, colors, region))
    for plane, same in zip(planes_of(image), before, strict=True):
        np.testing.assert_array_equal(plane, same)
    return [plane / 2.0 ** (bits_of(image.format.name) - 8) for plane in planes_of(result)]


def assert_flat(
    planes: list[np.ndarray], values: tuple[float, float, float], tolerance: float = 0.5001
) -> None:
    for plane, value in zip(planes, values, strict=True):
        np.testing.assert_allclose(plane, value, atol=tolerance)


@pytest.mark.parametrize("pixel_format", PLANAR_FORMATS)
@pytest.mark.parametrize("view", ["mask", "spotlight", "original"])
def test_what_the_network_used_is_shown_as_it_was_filmed(view: str, pixel_format: str) -> None:
    assert_flat(drawn(view, flat(pixel_format), FULL), COLOR)


DARK = (16 + 0.15 * 164, 128 - 0.15 * 38, 128 + 0.15 * 72)
DIM = (16 + 0.7 * 164, 128 - 0.7 * 38, 128 + 0.7 * 72)


@pytest.mark.parametrize("pixel_format", PLANAR_FORMATS)
@pytest.mark.parametrize(("view", "values"), [("mask", DARK), ("spotlight", DIM), ("original", COLOR)])
def test_the_rest_is_darker(view: str, values: tuple[float, float, float], pixel_format: str) -> None:
    assert_flat(drawn(view, flat(pixel_format), NONE), values)


@pytest.mark.parametrize(("view", "values"), [("mask", DARK), ("spotlight", DIM)])
def test_what_the_network_did_not_see_is_the_rest(view: str, values: tuple[float, float, float]) -> None:
    planes = drawn(view, flat(), FULL, region=Region(0.25, 0, 0.75, 1))
    for plane, inside, outside in zip(planes, COLOR, values, strict=True):
        quarter = plane.shape[1] // 4
        np.testing.assert_allclose(plane[:, quarter:-quarter], inside)
        np.testing.assert_allclose(plane[:, :quarter], outside, atol=0.5001)
        np.testing.assert_allclose(plane[:, -quarter:], outside, atol=0.5001)


@pytest.mark.parametrize("view", ["mask", "spotlight"])
def test_any_of_several_classes_counts_and_evidence_against_too(view: str) -> None:
    left = np.array([[1, 0]], np.float32)
    assert_flat(drawn(view, flat(), left, 1 - left), COLOR)
    for_it, against = split_by_sign(np.array([[1, -1]], np.float32))
    assert_flat(drawn(view, flat(), for_it, against), COLOR)


def test_a_spotlight_blurs_the_rest() -> None:
    image = flat()
    luma = planes_of(image)[0]
    luma[::2], luma[1::2] = 40, 200
    assert drawn("spotlight", image, NONE)[0].std() < 1
    np.testing.assert_array_equal(drawn("spotlight", image, FULL)[0], luma)


def test_a_mask_follows_the_ramp() -> None:
    """Half of the strength that counts as full heat lets half of the light through that a mask takes."""
    half = np.full((3, 4), 0.3, np.float32)
    share = 0.15 + 0.85 / 2
    values = (16 + share * 164, 128 - share * 38, 128 + share * 72)
    assert_flat(drawn("mask", flat(), half), values, tolerance=1)  # heat is rounded to 256 steps


@pytest.mark.parametrize("pixel_format", PLANAR_FORMATS)
@pytest.mark.parametrize(("time_s", "middle"), [(0, 32), (1, 32 - 25.6 * 0.5**0.5), (6, 57.6), (10, 6.4)])
def test_a_swipe_shows_both_beside_a_white_line(time_s: float, middle: float, pixel_format: str) -> None:
    settings = OverlaySettings(alpha=1.0)
    heat = Heat([FULL], (), WHOLE, time_s=time_s)
    image = flat(pixel_format)
    swipe, overlay = (planes_of(VIEWS[name](settings).draw(image, heat)) for name in ("swipe", "overlay"))
    left = 2 * round((middle - 1) / 2)
    white = coding_of(image).encode_rgb(np.full(3, 255))
    for found, original, hot, value in zip(swipe, planes_of(image), overlay, white, strict=True):
        step = 64 // found.shape[1]
        begin, end = left // step, (left + 2) // step
        np.testing.assert_array_equal(found[:, :begin], original[:, :begin])
        np.testing.assert_allclose(found[:, begin:end], value, atol=0.51)
        np.testing.assert_array_equal(found[:, end:], hot[:, end:])
        assert (hot != original).all()


def test_a_swipe_follows_the_time_of_its_frame() -> None:
    """Not the number of frames drawn before: a render that is resumed goes on where it was."""
    frames = [Frame(flat(), number, number, Fraction(1), 0.0) for number in range(3)]
    explanation = Explanation(0, {0: FULL}, (Prediction(0, "cat", 1.0),), (), "made up", "nowhere", WHOLE)
    stabilized = [StabilizedFrame(frame, {0: FULL}, explanation.targets, (), explanation) for frame in frames]
    overlay = Overlay(OverlaySettings(layout="swipe", labels=False))
    first, _, last = (planes_of(overlay.draw(one))[0] for one in stabilized)
    again = planes_of(Overlay(OverlaySettings(layout="swipe", labels=False)).draw(stabilized[2]))[0]
    assert (first != last).any()
    np.testing.assert_array_equal(last, again)


def test_a_frame_without_heat() -> None:
    for name, make in VIEWS.items():
        image = flat()
        bare = make(OverlaySettings()).draw_bare(image)
        assert bare is not image
        values = (16, 128, 128) if name == "heat" else COLOR
        assert_flat([plane.astype(float) for plane in planes_of(bare)], values)
