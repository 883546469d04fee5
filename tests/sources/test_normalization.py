from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from media_factory import make_clip, make_image, paint_noise, paint_quadrants

from streamcam.frames import ColorTags
from streamcam.media.images import PLANAR_FORMATS, bits_of, image_from_rgb, planes_of, set_tags, tags_of
from streamcam.media.scaling import FAITHFUL, Resampler
from streamcam.media.side_data import Orientation
from streamcam.sources import open_source
from streamcam.sources.normalization import to_upright_planar, working_format
from streamcam.sources.transparency import ON_WHITE, put_on_white

# The quarters of the stored image are 40, 80 above and 120, 160 below. What is seen follows by hand.
TURNS = {
    "as stored": ({}, [[40, 80], [120, 160]]),
    "90 to the left": ({"rotation": 90}, [[80, 160], [40, 120]]),
    "180": ({"rotation": 180}, [[160, 120], [80, 40]]),
    "90 to the right": ({"rotation": 270}, [[120, 40], [160, 80]]),
    "mirrored": ({"hflip": True}, [[80, 40], [160, 120]]),
    "upside down and mirrored": ({"vflip": True}, [[120, 160], [40, 80]]),
    "90 to the left, then mirrored": ({"rotation": 90, "hflip": True}, [[160, 80], [120, 40]]),
    "90 to the right, then mirrored": ({"rotation": 270, "hflip": True}, [[40, 120], [80, 160]]),
}


def first_decoded(path: Path) -> av.VideoFrame:
    with av.open(str(path)) as container:
        return next(container.decode(video=0))


def quarters(image: av.VideoFrame) -> list[list[int]]:
    luma = planes_of(image)[0]
    rows, columns = luma.shape[0] // 4, luma.shape[1] // 4
    return [[int(luma[row, column]) for column in (columns, 3 * columns)] for row in (rows, 3 * rows)]


@pytest.mark.parametrize("turn", TURNS)
def test_images_are_turned_as_their_display_matrix_says(turn: str, tmp_path: Path) -> None:
    display, seen = TURNS[turn]
    clip = make_clip(tmp_path / "clip.mp4", frames=1, paint=paint_quadrants, **display)
    upright = to_upright_planar(first_decoded(clip), Resampler())
    sideways = display.get("rotation", 0) in (90, 270)
    assert (upright.width, upright.height) == ((48, 64) if sideways else (64, 48))
    np.testing.assert_allclose(quarters(upright), seen, atol=3)


def test_every_sample_is_turned_on_odd_sizes_too(tmp_path: Path) -> None:
    clip = make_clip(
        tmp_path / "clip.mkv", frames=1, size=(65, 47), codec="ffv1", rotation=90, paint=paint_noise
    )
    decoded = first_decoded(clip)
    turned = to_upright_planar(decoded, Resampler())
    for found, stored in zip(planes_of(turned), planes_of(decoded), strict=True):
        np.testing.assert_array_equal(found, np.rot90(stored))


def test_an_image_that_is_right_already_is_handed_on() -> None:
    image = make_image(64, 48)
    assert to_upright_planar(image, Resampler()) is image


@pytest.mark.parametrize("pixel_format", ["yuvj420p", "yuvj422p", "yuvj444p"])
def test_full_range_becomes_a_tag(pixel_format: str) -> None:
    image = av.VideoFrame(64, 48, pixel_format)
    for plane, value in zip(planes_of(image), (250, 10, 200), strict=True):
        plane[:] = value
    image.pts = 3
    upright = to_upright_planar(image, Resampler())
    wanted = (pixel_format.replace("j", ""), 2, 3)
    assert (upright.format.name, tags_of(upright).color_range, upright.pts) == wanted
    assert [int(plane[5, 5]) for plane in planes_of(upright)] == [250, 10, 200]


TRAVELS = {
    "yuv422p": "yuv422p",
    "yuv444p": "yuv444p",
    "yuv420p10le": "yuv420p10le",
    "yuv422p10le": "yuv422p10le",
    "yuv444p12le": "yuv444p10le",
    "yuv440p": "yuv444p",
    "yuv411p": "yuv422p",
    "yuv410p": "yuv420p",
    "nv12": "yuv420p",
    "nv16": "yuv422p",
    "p010le": "yuv420p10le",
    "p210le": "yuv422p10le",
    "yuva420p": "yuv420p",
    "yuva444p10le": "yuv444p10le",
}


@pytest.mark.parametrize("pixel_format", TRAVELS)
@pytest.mark.parametrize("color_range", [1, 2])
def test_other_layouts_and_depths_keep_their_values(pixel_format: str, color_range: int) -> None:
    image = make_image(64, 48)
    for plane, value in zip(planes_of(image), (90, 60, 200), strict=True):
        plane[:] = value
    image = image.reformat(format=pixel_format)
    set_tags(image, ColorTags(color_range, 1, 1, 1))
    assert to_upright_planar(image, Resampler()).format.name == TRAVELS[pixel_format]
    for travels in PLANAR_FORMATS:
        upright = to_upright_planar(image, Resampler(), pixel_format=travels)
        assert upright.format.name == travels
        assert tags_of(upright) == ColorTags(color_range, 1, 1, 1)
        is_deep = bits_of(travels) == 10
        values = [int(plane[5, 5]) / (4 if is_deep else 1) for plane in planes_of(upright)]
        np.testing.assert_allclose(values, [90, 60, 200], atol=1.5 if color_range == 2 else 1)


@pytest.mark.parametrize(
    ("decoded", "depth", "chroma", "travels"),
    [
        ("gray", None, None, "yuv420p"),
        ("gray10le", None, None, "yuv420p10le"),
        ("pal8", None, None, "yuv444p"),
        ("rgb24", None, None, "yuv444p"),
        ("gbrp16le", None, None, "yuv444p10le"),
        ("yuv422p10le", 8, None, "yuv422p"),
        ("yuv422p10le", None, "420", "yuv420p10le"),
        ("yuv420p", 10, "444", "yuv444p10le"),
    ],
)
def test_images_travel_with_all_their_samples_unless_others_are_wanted(
    decoded: str, depth: int | None, chroma: str | None, travels: str
) -> None:
    assert working_format(decoded, depth, chroma) == travels


@pytest.mark.parametrize("pixel_format", PLANAR_FORMATS)
def test_every_layout_is_turned_with_its_colors(pixel_format: str) -> None:
    image = make_image(64, 48, pixel_format=pixel_format)
    luma, cb, cr = planes_of(image)
    luma[:], cb[:], cr[:] = 100, 90, 70
    for plane, value in ((luma, 180), (cb, 200), (cr, 140)):
        plane[:, : plane.shape[1] // 2] = value  # the left half, which comes to lie below
    turned = to_upright_planar(image, Resampler(), Orientation(transposed=True, rows_flipped=True))
    assert (turned.width, turned.height, turned.format.name) == (48, 64, pixel_format)
    for plane, above, below in zip(planes_of(turned), (100, 90, 70), (180, 200, 140), strict=True):
        middle = plane.shape[0] // 2
        np.testing.assert_allclose(plane[: middle - 2].astype(int), above, atol=1)
        np.testing.assert_allclose(plane[middle + 2 :].astype(int), below, atol=1)


def test_rgb_becomes_full_range_yuv() -> None:
    red = np.zeros((48, 64, 3), np.uint8)
    red[..., 0] = 255
    upright = to_upright_planar(image_from_rgb(red), Resampler())
    assert tags_of(upright).color_range == 2
    # BT.601, full range: Y = 76.2, Cb = 85.0, Cr = 255.5.
    np.testing.assert_allclose([int(plane[5, 5]) for plane in planes_of(upright)], [76, 85, 255], atol=2)


@pytest.mark.parametrize("pixel_format", ["yuvj420p", "yuv444p", "nv12"])
def test_what_was_decoded_is_never_written_to(pixel_format: str) -> None:
    image = make_image(64, 48, pixel_format=pixel_format, paint=paint_noise)
    before = [plane.copy() for plane in planes_of(image)]
    to_upright_planar(image, Resampler(), Orientation(rows_flipped=True))
    for plane, kept in zip(planes_of(image), before, strict=True):
        np.testing.assert_array_equal(plane, kept)


def write_half_transparent(path: Path, codec: str, pixel_format: str, opacity: int = 128) -> Path:
    """Write red that shows `opacity` on the left and not at all on the right."""
    rgba = np.zeros((48, 64, 4), np.uint8)
    rgba[..., 0], rgba[:, :32, 3] = 200, opacity
    options = {"auto-alt-ref": "0", "lossless": "1"} if "vpx-vp9" in codec else {}
    with av.open(str(path), "w") as video:
        stream = video.add_stream(codec, rate=25, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixel_format
        for pts in range(2):
            image = av.VideoFrame.from_ndarray(rgba, format="rgba").reformat(format=pixel_format)
            image.pts = pts
            video.mux(stream.encode(image))
        video.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [
        ("clip.mkv", "ffv1", "yuva420p"),
        ("clip.mkv", "ffv1", "yuva444p10le"),
        ("clip.mov", "prores_ks", "yuva444p10le"),
        ("clip.mov", "qtrle", "argb"),
        ("clip.mov", "png", "rgba"),
        ("clip.webm", "libvpx-vp9", "yuva420p"),
    ],
)
def test_transparent_parts_of_a_video_are_white(
    name: str, codec: str, pixel_format: str, tmp_path: Path
) -> None:
    with open_source(write_half_transparent(tmp_path / name, codec, pixel_format)) as source:
        frames = list(source)
        assert source.report().notes == (ON_WHITE,)
    assert len(frames) == 2
    rgb = Resampler().to_rgb(frames[1].image, 64, 48, interpolation=FAITHFUL)
    # Half transparent: 200 * 128/255 + 255 * 127/255 = 227.4, and 127 where there is no red.
    np.testing.assert_allclose(rgb[24, 16], [227, 127, 127], atol=4)
    np.testing.assert_allclose(rgb[24, 48], [255, 255, 255], atol=4)


def test_opaque_images_are_not_touched_by_their_alpha() -> None:
    rgba = np.full((48, 64, 4), 255, np.uint8)
    opaque = av.VideoFrame.from_ndarray(rgba, format="rgba")
    assert put_on_white(opaque, Resampler(), "yuv444p") is opaque
    plain = make_image(64, 48)
    assert put_on_white(plain, Resampler(), "yuv420p") is plain
