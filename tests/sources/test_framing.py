from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from media_factory import make_clip, make_image, paint_noise
from video_runs import read_video

from streamcam.frames import ColorTags
from streamcam.media.images import planes_of, set_tags, tags_of
from streamcam.media.scaling import Resampler
from streamcam.sources.normalization import FrameFitter, add_bars, fitted_size


@pytest.mark.parametrize(
    ("size", "pixel_shape", "box", "box_pixel_shape", "inner"),
    [
        ((64, 48), 1, (64, 48), 1, (64, 48)),
        ((128, 96), 1, (64, 48), 1, (64, 48)),
        ((160, 90), 1, (640, 480), 1, (640, 360)),
        ((640, 480), 1, (640, 360), 1, (480, 360)),
        ((1440, 1080), Fraction(4, 3), (1920, 1080), 1, (1920, 1080)),  # both are 16:9
        ((720, 576), Fraction(64, 45), (720, 576), Fraction(16, 15), (720, 432)),  # 16:9 in 4:3
        ((720, 576), Fraction(16, 15), (1024, 576), 1, (768, 576)),
        ((1920, 1080), 1, (720, 576), Fraction(16, 15), (720, 432)),
        ((853, 480), 1, (1280, 720), 1, (1280, 720)),  # within a pixel or two: no bars
        ((1000, 10), 1, (64, 48), 1, (64, 2)),  # 0.64 rows are too few to see
        ((65, 47), 1, (65, 47), 1, (65, 47)),
    ],
)
def test_images_fill_their_box_undistorted(
    size: tuple[int, int],
    pixel_shape: Fraction,
    box: tuple[int, int],
    box_pixel_shape: Fraction,
    inner: tuple[int, int],
) -> None:
    assert fitted_size(size, Fraction(pixel_shape), box, Fraction(box_pixel_shape)) == inner


@pytest.mark.parametrize(("color_range", "black"), [(1, (16, 128, 128)), (2, (0, 128, 128))])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p", "yuv444p"])
def test_bars_are_black_and_the_image_is_whole(
    pixel_format: str, color_range: int, black: tuple[int, int, int]
) -> None:
    image = make_image(64, 32, pixel_format=pixel_format, paint=paint_noise)
    set_tags(image, ColorTags(color_range, 1, 1, 1))
    image.pts = 7
    framed = add_bars(image, (64, 48))
    assert (framed.width, framed.height, framed.pts, tags_of(framed)) == (64, 48, 7, tags_of(image))
    for found, given, value in zip(planes_of(framed), planes_of(image), black, strict=True):
        rows = found.shape[0]
        np.testing.assert_array_equal(found[rows // 6 : rows * 5 // 6], given)
        assert np.unique(found[: rows // 6]) == np.unique(found[rows * 5 // 6 :]) == value


def test_an_image_of_the_first_size_is_handed_on() -> None:
    framing = FrameFitter(Resampler())
    first, second = make_image(64, 48), make_image(64, 48)
    assert framing.fit(first, Fraction(1), 0) is first
    assert framing.fit(second, Fraction(1), 1) is second
    assert (framing.size, framing.pixel_shape, framing.change) == ((64, 48), 1, None)


def test_pixels_of_another_shape_are_a_change_too() -> None:
    framing = FrameFitter(Resampler())
    framing.fit(make_image(64, 48), Fraction(1), 0)
    wide = framing.fit(make_image(64, 48, 5), Fraction(4, 3), 2.5)
    assert (wide.width, wide.height) == (64, 48)
    assert framing.change is not None
    assert framing.change.startswith("the image changes from 64x48 to 64x48 (4:3 pixels) at 2.5 s; all of")
    assert [int(planes_of(wide)[0][row, 30]) for row in (2, 24, 45)] == [16, 112, 16]


def test_another_way_of_coding_color_becomes_the_first() -> None:
    framing = FrameFitter(Resampler())
    limited, full = make_image(64, 48), make_image(64, 48)
    set_tags(limited, ColorTags(1, 6, 6, 6))
    set_tags(full, ColorTags(2, 1, 1, 1))
    for plane, value in zip(planes_of(full), (255, 128, 128), strict=True):
        plane[:] = value
    framing.fit(limited, Fraction(1), 0)
    fitted = framing.fit(full, Fraction(1), 1)
    assert tags_of(fitted) == ColorTags(1, 6, 6, 6)
    assert [int(plane[5, 5]) for plane in planes_of(fitted)] == [235, 128, 128]


# Of videos


@pytest.mark.parametrize(
    ("given", "shape", "wanted", "bars"),
    [
        ((64, 48), None, (128, 96), 0),
        ((64, 48), None, (64, 36), 16),
        ((64, 48), Fraction(4, 3), (128, 72), 0),
        ((48, 64), None, (64, 64), 16),
    ],
)
def test_a_video_is_scaled_to_the_size_asked_for(
    given: tuple[int, int], shape: Fraction | None, wanted: tuple[int, int], bars: int, tmp_path: Path
) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=2, size=given, sample_aspect_ratio=shape)
    frames, info, report = read_video(clip, size=wanted)
    assert (info.width, info.height, info.sample_aspect_ratio) == (*wanted, 1)
    assert report.notes == ()
    for frame, gray in zip(frames, (32, 48), strict=True):
        luma = planes_of(frame.image)[0]
        assert luma.shape == wanted[::-1]
        assert int(np.sum(np.abs(luma[wanted[1] // 2].astype(int) - gray) > 3)) == bars
