"""Images in other sizes, formats and codings: the same colors."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange
from media_factory import BT601, BT709, BT2020, COLORS, make_clip, make_image
from numpy.typing import NDArray

from streamcam.frames import ColorTags
from streamcam.media.images import (
    PLANAR_FORMATS,
    YuvCoding,
    bits_of,
    coding_of,
    image_from_rgb,
    planes_of,
    set_tags,
    tags_of,
)
from streamcam.media.scaling import FAITHFUL, Resampler

CODINGS = [YuvCoding(matrix, full) for matrix in (BT601, BT709, BT2020) for full in (False, True)]


def solid(coding: YuvCoding, rgb: tuple[int, int, int], pixel_format: str = "yuv420p") -> av.VideoFrame:
    """A tagged image of one color."""
    image = av.VideoFrame(64, 48, pixel_format)
    coding = dataclasses.replace(coding, depth=bits_of(pixel_format))
    yuv = np.clip(np.rint(coding.encode_rgb(np.array(rgb))), 0, coding.highest)
    for plane, value in zip(planes_of(image), yuv, strict=True):
        plane[:] = value
    color_range = ColorRange.JPEG if coding.full_range else ColorRange.MPEG
    set_tags(image, ColorTags(color_range, coding.matrix))
    return image


@pytest.mark.parametrize("coding", CODINGS, ids=str)
@pytest.mark.parametrize("color", COLORS)
@pytest.mark.parametrize("size", [(64, 48), (30, 21)])
def test_colors_come_out_as_they_went_in(coding: YuvCoding, color: str, size: tuple[int, int]) -> None:
    rgb = Resampler().to_rgb(solid(coding, COLORS[color]), *size, interpolation=FAITHFUL)
    assert rgb.shape == (size[1], size[0], 3)
    np.testing.assert_allclose(rgb, np.broadcast_to(COLORS[color], rgb.shape), atol=2)


@pytest.mark.parametrize("coding", CODINGS, ids=str)
@pytest.mark.parametrize("color", COLORS)
def test_networks_get_nearly_the_same_colors(coding: YuvCoding, color: str) -> None:
    rgb = Resampler().to_rgb(solid(coding, COLORS[color]), 30, 21)
    np.testing.assert_allclose(rgb, np.broadcast_to(COLORS[color], rgb.shape), atol=4)


@pytest.mark.parametrize("pixel_format", PLANAR_FORMATS)
@pytest.mark.parametrize("color", COLORS)
def test_every_layout_of_samples_shows_the_same_colors(pixel_format: str, color: str) -> None:
    for coding in CODINGS:
        image, wanted = solid(coding, COLORS[color], pixel_format), COLORS[color]
        people = Resampler().to_rgb(image, 30, 21, interpolation=FAITHFUL)
        np.testing.assert_allclose(people, np.broadcast_to(wanted, people.shape), atol=2)
        networks = Resampler().to_rgb(image, 30, 21)
        np.testing.assert_allclose(networks, np.broadcast_to(wanted, networks.shape), atol=4)


def test_untagged_hd_is_read_as_bt709() -> None:
    coding = YuvCoding(BT709, full_range=False)
    image = av.VideoFrame(64, 720, "yuv420p")
    for plane, value in zip(planes_of(image), np.rint(coding.encode_rgb(np.array((0, 255, 0)))), strict=True):
        plane[:] = value
    rgb = Resampler().to_rgb(image, 8, 8, interpolation=FAITHFUL)
    np.testing.assert_allclose(rgb, np.broadcast_to((0, 255, 0), rgb.shape), atol=2)


@pytest.mark.parametrize("size", [(64, 48), (30, 21)])
def test_how_bright_the_mastering_display_was_does_not_matter(size: tuple[int, int], tmp_path: Path) -> None:
    """A white sheet of paper is white, which is 10-bit code 573 on a PQ screen (203 nits, ITU-R BT.2408)."""

    def paint(_index: int, planes: Sequence[NDArray[Any]]) -> None:
        for plane, value in zip(planes, (573, 512, 512), strict=True):
            plane[:] = value

    display = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(40000000,50)"
    clip = make_clip(
        tmp_path / "hdr.mkv",
        frames=1,
        codec="libx265",
        pixel_format="yuv420p10le",
        color=ColorTags(1, 9, 9, 16),
        options={"x265-params": f"log-level=none:crf=4:max-cll=4000,1000:master-display={display}"},
        paint=paint,
    )
    with av.open(str(clip)) as video:
        image = next(video.decode(video=0))
    kinds = {kind.type.name for kind in image.side_data}
    assert {"MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"} <= kinds
    rgb = Resampler().to_rgb(image, *size)
    np.testing.assert_allclose(rgb, 255, atol=4)


def test_reading_an_image_leaves_its_tags_alone() -> None:
    image = make_image(64, 48)
    set_tags(image, ColorTags(0, 2, 9, 14))
    Resampler().to_rgb(image, 32, 32, interpolation=FAITHFUL)
    assert tags_of(image) == ColorTags(0, 2, 9, 14)


def test_rgb_survives_the_way_to_planar_and_back() -> None:
    red, green = np.meshgrid(np.linspace(0, 255, 64, dtype=np.uint8), np.linspace(0, 255, 48, dtype=np.uint8))
    rgb = np.stack([red, green, np.full_like(red, 90)], -1)
    resampler = Resampler()
    planar = resampler.to_planar(image_from_rgb(rgb), "yuv444p")
    assert (planar.format.name, tags_of(planar).color_range) == ("yuv444p", ColorRange.JPEG)
    assert coding_of(planar) == YuvCoding(BT601, full_range=True)
    back = resampler.to_rgb(planar, 64, 48, interpolation=FAITHFUL)
    assert np.abs(back.astype(int) - rgb).max() <= 2


def test_large_rgb_images_get_the_matrix_of_hd() -> None:
    planar = Resampler().to_planar(image_from_rgb(np.zeros((720, 64, 3), np.uint8)), "yuv444p")
    assert tags_of(planar).colorspace == BT709


@pytest.mark.parametrize("coding", CODINGS, ids=str)
def test_deeper_images_keep_their_code_values_and_tags(coding: YuvCoding) -> None:
    image = solid(coding, COLORS["olive"])
    deep = image.reformat(format="yuv420p10le")
    set_tags(deep, ColorTags(2 if coding.full_range else 1, coding.matrix, 9, 16))
    deep.pts = 5
    shallow = Resampler().to_planar(deep, "yuv420p")
    assert (shallow.format.name, shallow.pts) == ("yuv420p", 5)
    assert tags_of(shallow) == tags_of(deep)
    for found, wanted in zip(planes_of(shallow), planes_of(image), strict=True):
        np.testing.assert_allclose(found.astype(int), wanted, atol=1)


@pytest.mark.parametrize("full_range", [False, True])
def test_other_sizes_keep_values_tags_and_time(full_range: bool) -> None:
    image = solid(YuvCoding(BT709, full_range), COLORS["olive"])
    image.pts = 9
    resized = Resampler().to_coding(image, coding_of(image), tags_of(image), (31, 45))
    assert (resized.width, resized.height, resized.format.name, resized.pts) == (31, 45, "yuv420p", 9)
    assert tags_of(resized) == tags_of(image)
    for found, wanted in zip(planes_of(resized), planes_of(image), strict=True):
        np.testing.assert_allclose(found.astype(int), wanted[0, 0], atol=1)


@pytest.mark.parametrize("given", CODINGS, ids=str)
@pytest.mark.parametrize("wanted", CODINGS, ids=str)
def test_other_codings_show_the_same_color(given: YuvCoding, wanted: YuvCoding) -> None:
    target = solid(wanted, COLORS["olive"])
    found = Resampler().to_coding(solid(given, COLORS["olive"]), wanted, tags_of(target), (64, 48))
    assert tags_of(found) == tags_of(target)
    for plane, value in zip(planes_of(found), planes_of(target), strict=True):
        np.testing.assert_allclose(plane.astype(int), value, atol=2)


def test_an_image_that_needs_no_conversion_is_handed_back() -> None:
    image = make_image(64, 48)
    assert Resampler().to_coding(image, coding_of(image), ColorTags(), (64, 48)) is image
    assert Resampler().to_planar(image, "yuv420p") is image


def test_only_planar_formats_are_converted_to() -> None:
    with pytest.raises(ValueError, match=r"'nv12' is not one of yuv420p, yuv422p, yuv444p"):
        Resampler().to_planar(make_image(64, 48), "nv12")


def test_an_image_with_a_palette_is_tagged_as_what_it_becomes() -> None:
    indices = np.zeros((48, 64), np.uint8)
    palette = np.full((256, 4), (255, 200, 60, 60), np.uint8)
    image = av.VideoFrame.from_ndarray((indices, palette), format="pal8")  # type: ignore[arg-type]
    image.colorspace = 0  # AVCOL_SPC_RGB, as PNG in a video has it
    planar = Resampler().to_planar(image, "yuv444p")
    assert planar.colorspace == int(BT601)
