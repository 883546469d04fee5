"""Drawing on images of 10 bits and of high dynamic range: the same look as on 8 bits, with finer steps."""

from __future__ import annotations

from collections.abc import Callable

import av
import numpy as np
import pytest

from streamcam.frames import ColorTags, Region
from streamcam.media.images import CHROMAS, Image, blank_like, planar_format, planes_of, set_tags, tags_of
from streamcam.media.scaling import FAITHFUL, Resampler
from streamcam.overlay.blending import colormap_blender
from streamcam.overlay.label_panel import LabelLine, LabelPanel
from streamcam.overlay.tinting import Tinter

SIZE = (192, 96)
WHOLE = Region()
HEAT = np.linspace(0, 1, 35, dtype=np.float32).reshape(5, 7)

CODINGS = [ColorTags(full, matrix, 1, 1) for full in (1, 2) for matrix in (5, 1, 9)]
PQ, HLG = ColorTags(1, 9, 9, 16), ColorTags(1, 9, 9, 18)


def with_heat(image: Image) -> Image:
    return colormap_blender("turbo", 0.5, "even").blend(image, HEAT, WHOLE)


def with_two_colors(image: Image) -> Image:
    return Tinter(0.6).tint(image, [HEAT, HEAT[::-1]], [(255, 64, 32), (40, 110, 255)], WHOLE)


def with_labels(image: Image) -> Image:
    fresh = blank_like(image)
    for target, source in zip(planes_of(fresh), planes_of(image), strict=True):
        target[:] = source
    LabelPanel().draw(fresh, [LabelLine("tabby", 0.6, marked=True), LabelLine("lynx", 0.3)])
    return fresh


DRAWINGS: list[Callable[[Image], Image]] = [with_heat, with_two_colors, with_labels]


def random_image(tags: ColorTags, chroma: str = "420") -> Image:
    """Random code values of 8 bits, none at the limits."""
    image = av.VideoFrame(*SIZE, planar_format(chroma, 8))
    random = np.random.default_rng(3)
    for plane in planes_of(image):
        plane[:] = random.integers(60, 190, plane.shape, np.uint8)
    set_tags(image, tags)
    return image


def deepened(image: Image) -> Image:
    fresh = blank_like(image, pixel_format=f"{image.format.name}10le")
    for target, source in zip(planes_of(fresh), planes_of(image), strict=True):
        target[:] = source.astype(np.uint16) * 4
    return fresh


@pytest.mark.parametrize("draw", DRAWINGS)
@pytest.mark.parametrize("tags", CODINGS, ids=str)
@pytest.mark.parametrize("chroma", CHROMAS)
def test_ten_bits_look_as_eight(draw: Callable[[Image], Image], tags: ColorTags, chroma: str) -> None:
    image = random_image(tags, chroma)
    shallow, deep = draw(image), draw(deepened(image))
    assert (deep.format.name, tags_of(deep)) == (planar_format(chroma, 10), tags)
    for found, given in zip(planes_of(deep), planes_of(shallow), strict=True):
        assert found.dtype == np.uint16
        # Tinting weighs 8 bits with 8 bits; and full range ends at 1023, not at 4 times 255.
        off = abs(found / 4 - given)
        assert np.quantile(off, 0.99) <= 2.6
        assert off.max() <= 8, "OpenCV rounds the edges of antialiased lines a little differently"
    assert len(np.unique(planes_of(deep)[0] % 4)) == 4, "all of the finer steps are used"


@pytest.mark.parametrize("draw", [with_heat, with_two_colors])
def test_no_heat_leaves_ten_bits_alone(draw: Callable[[Image], Image]) -> None:
    image = deepened(random_image(CODINGS[0]))
    blender, tinter = colormap_blender("turbo", 0, "even"), Tinter(0)
    plain = (
        blender.blend(image, HEAT, WHOLE)
        if draw is with_heat
        else tinter.tint(image, [HEAT, HEAT], [(255, 0, 0), (0, 0, 255)], WHOLE)
    )
    for found, given in zip(planes_of(plain), planes_of(image), strict=True):
        np.testing.assert_array_equal(found, given)


@pytest.mark.parametrize("tags", [PQ, HLG], ids=["PQ", "HLG"])
def test_high_dynamic_range_gets_the_colors_of_a_screen_of_ordinary_range(tags: ColorTags) -> None:
    """What is drawn on it, shown on such a screen, is what is drawn there."""

    def shown(tags: ColorTags) -> np.ndarray:  # type: ignore[type-arg]
        image = av.VideoFrame(*SIZE, "yuv420p10le")
        for plane, value in zip(planes_of(image), (64, 512, 512), strict=True):
            plane[:] = value
        set_tags(image, tags)
        drawn = with_labels(colormap_blender("turbo", 1, "even").blend(image, HEAT, WHOLE))
        assert tags_of(drawn) == tags
        return Resampler().to_rgb(drawn, *SIZE, interpolation=FAITHFUL).astype(int)

    ordinary, high = shown(ColorTags(1, 1, 1, 1)), shown(tags)
    difference = np.abs(high - ordinary)
    assert np.median(difference) <= 6
    assert np.percentile(difference, 95) <= 30  # saturated colors lose a little in BT.2020's coarser steps
    assert high[:40].max() >= 250, "labels are white"
