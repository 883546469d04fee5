"""Images and gray videos of more than 8 bits a sample: which values are shown as black and as white."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from media_factory import make_clip
from numpy.typing import NDArray
from PIL import Image
from video_runs import read_video

from streamcam.errors import InvalidArgumentError, SourceError
from streamcam.media.images import planes_of
from streamcam.media.scaling import FAITHFUL, Resampler
from streamcam.sources import SourceSettings, open_source
from streamcam.sources.value_range import choose_range, stretch

STEPS = np.array([[0, 1, 2], [3, 4, 5]]).repeat(24, 0).repeat(24, 1)
"""48 rows of 72 pixels in six squares, numbered from 0 to 5: shown from black to white in steps of 51."""

FIFTHS = [0, 51, 102, 153, 204, 255]


def shades(path: Path, value_range: tuple[float, float] | None = None) -> list[int]:
    """Read how bright the six squares of each image are shown; red, green and blue must not differ."""
    with open_source(path, SourceSettings(range=value_range)) as source:
        frame = next(iter(source))
        rgb = Resampler().to_rgb(frame.image, 72, 48, interpolation=FAITHFUL)
    np.testing.assert_allclose(rgb[..., 0], rgb[..., 2], atol=2)
    return [int(rgb[12 + 24 * row, 12 + 24 * column, 1]) for row in range(2) for column in range(3)]


def notes_of(path: Path) -> tuple[str, ...]:
    with open_source(path) as source:
        list(source)
        return (*source.info.notes, *source.report().notes)


@pytest.mark.parametrize(
    ("name", "values", "limits"),
    [
        ("xray.png", STEPS.astype(np.uint16) * 800 + 60, "60 to 4060"),  # 12 bits in 16
        ("xray.tif", STEPS.astype(np.uint16) * 800 + 60, "60 to 4060"),
        ("thermal.tif", STEPS.astype(np.uint16) * 100 + 29000, "29000 to 29500"),  # hundredths of a kelvin
        ("scanner.tif", STEPS.astype(np.int16) * 600 - 1000, "-1000 to 2000"),  # Hounsfield units
        ("label.tif", STEPS.astype(np.int32) * 20000, "0 to 100000"),
        ("heights.tif", STEPS.astype(np.float32) * 12.5 - 3, "-3 to 59.5"),
        ("dim.tif", STEPS.astype(np.float32) * 0.01, "0 to 0.05"),
        ("nan.tif", np.where(STEPS == 0, np.nan, STEPS).astype(np.float32), "1 to 5"),
        ("color.png", np.stack([STEPS.astype(np.uint16) * 200] * 3, -1), "0 to 1000"),
        ("color.tif", np.stack([STEPS.astype(np.uint16) * 200] * 3, -1), "0 to 1000"),
        ("color32.tif", np.stack([STEPS.astype(np.float32) * 200] * 3, -1), "0 to 1000"),
    ],
)
def test_values_in_use_reach_from_black_to_white(
    name: str, values: NDArray[np.generic], limits: str, tmp_path: Path
) -> None:
    assert cv2.imwrite(str(tmp_path / name), values)
    expected = [0, 0, 64, 127, 191, 255] if name == "nan.tif" else FIFTHS
    np.testing.assert_allclose(shades(tmp_path / name), expected, atol=2)
    assert notes_of(tmp_path / name) == (
        f"values from {limits} are shown as black to white; `range` LOW,HIGH decides otherwise",
    )


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("scan.png", STEPS.astype(np.uint16) * 13107),
        ("dark.png", STEPS.astype(np.uint16) * 4000),  # 20000 of 65535 are in use
        ("even.png", np.full_like(STEPS, 3000, np.uint16)),
        ("share.tif", STEPS.astype(np.float32) / 5),
        ("color.png", np.stack([STEPS.astype(np.uint16) * 13107] * 3, -1)),
    ],
)
def test_a_range_in_use_is_kept(name: str, values: NDArray[np.generic], tmp_path: Path) -> None:
    assert cv2.imwrite(str(tmp_path / name), values)
    highest = 1 if values.dtype == np.float32 else 65535
    seen = values.reshape(48, 72, -1)[12::24, 12::24, 0].ravel()
    np.testing.assert_allclose(shades(tmp_path / name), seen / highest * 255, atol=2)
    reduced = () if highest == 1 else ("samples of 16 bits are reduced to 8",)
    assert notes_of(tmp_path / name) == reduced


def test_the_range_can_be_given(tmp_path: Path) -> None:
    assert cv2.imwrite(str(tmp_path / "xray.png"), STEPS.astype(np.uint16) * 800)
    # (800 n - 800) / 1600, within 0 and 1.
    np.testing.assert_allclose(shades(tmp_path / "xray.png", (800, 2400)), [0, 0, 127, 255, 255, 255], atol=2)


@pytest.mark.parametrize("value_range", [(5, 5), (9, 1), (0, float("nan")), (0, float("inf"))])
def test_a_range_that_is_none_is_refused(value_range: tuple[float, float]) -> None:
    with pytest.raises(InvalidArgumentError, match=r"`range` .* is not a range"):
        SourceSettings(range=value_range)


def test_a_range_is_for_deep_values(tmp_path: Path) -> None:
    Image.new("RGB", (64, 48)).save(tmp_path / "photo.png")
    with pytest.raises(InvalidArgumentError, match=r"photo.png' has samples of 8 bits; `range` is for"):
        open_source(tmp_path / "photo.png", SourceSettings(range=(0, 99)))
    make_clip(tmp_path / "clip.mp4", frames=1)
    with pytest.raises(InvalidArgumentError, match=r"clip.mp4' is no gray video of more than 8 bits"):
        open_source(tmp_path / "clip.mp4", SourceSettings(range=(0, 99)))


def test_a_negative_stays_one(tmp_path: Path) -> None:
    image = Image.fromarray(STEPS.astype(np.uint16) * 800)
    image.save(tmp_path / "film.tif", tiffinfo={262: 0})  # 0 is white
    np.testing.assert_allclose(shades(tmp_path / "film.tif"), FIFTHS[::-1], atol=2)


def test_nothing_to_show_is_said(tmp_path: Path) -> None:
    assert cv2.imwrite(str(tmp_path / "void.tif"), np.full((48, 72), np.nan, np.float32))
    with pytest.raises(SourceError, match=r"void.tif' shows nothing: none of its values is a finite number"):
        open_source(tmp_path / "void.tif")


def test_dead_pixels_do_not_set_the_range() -> None:
    values = np.tile(np.arange(400, 900, dtype=np.uint16), (100, 1))
    values[50, 50], values[60, 60] = 65535, 0
    limits, is_own = choose_range([values], (0, 65535))
    assert (limits, is_own) == ((400, 899), True)


def test_what_lies_outside_is_clipped() -> None:
    values = np.array([-np.inf, -5, 0, 50, 100, 300, np.inf, np.nan], np.float32)
    assert stretch(values, (0, 100)).tolist() == [0, 0, 0, 128, 255, 255, 255, 0]
    assert stretch(values, (0, 100), 1000).tolist() == [0, 0, 0, 500, 1000, 1000, 1000, 0]


def test_deep_photos_are_turned_as_the_camera_was(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned right
    upright = np.rot90(STEPS).astype(np.uint16) * 800
    Image.fromarray(upright).save(tmp_path / "scan.png", exif=exif)
    np.testing.assert_allclose(shades(tmp_path / "scan.png"), FIFTHS, atol=2)


def test_deep_transparency_is_white(tmp_path: Path) -> None:
    values = np.stack([np.zeros((48, 72), np.uint16)] * 3 + [STEPS.astype(np.uint16) * 13107], -1)
    assert cv2.imwrite(str(tmp_path / "logo.png"), values)
    np.testing.assert_allclose(shades(tmp_path / "logo.png"), FIFTHS[::-1], atol=2)


def test_a_sequence_has_one_range_so_that_it_does_not_flicker(tmp_path: Path) -> None:
    for number in range(20):
        cv2.imwrite(str(tmp_path / f"{number:02d}.png"), np.full((48, 72), 100 * number, np.uint16))
    with open_source(tmp_path / "%02d.png") as source:
        seen = [int(planes_of(frame.image)[0][0, 0]) for frame in source]
        assert source.report().notes == (
            "values from 0 to 1800 are shown as black to white; `range` LOW,HIGH decides otherwise",
        )
    np.testing.assert_allclose(seen, [min(255, 255 * number / 18) for number in range(20)], atol=1)


def make_gray16(path: Path, step: int, offset: int = 0) -> Path:
    """Make a lossless video of three images of the six squares, the last one twice as bright."""

    def paint(index: int, planes: object) -> None:
        planes[0][:] = (STEPS * step + offset) * (2 if index == 2 else 1)  # type: ignore[index]

    return make_clip(path, frames=3, size=(72, 48), codec="ffv1", pixel_format="gray16le", gop=1, paint=paint)


def lumas_of(path: Path, **reading: object) -> tuple[list[list[int]], tuple[str, ...]]:
    frames, info, _ = read_video(path, **reading)
    assert {frame.image.format.name for frame in frames} == {info.pixel_format}
    return [planes_of(frame.image)[0][12::24, 12::24].ravel().tolist() for frame in frames], info.notes


def test_gray_videos_of_12_bits_in_16_are_not_black(tmp_path: Path) -> None:
    lumas, notes = lumas_of(make_gray16(tmp_path / "thermal.mkv", 400))
    half = [0, 102, 205, 307, 409, 512]  # of 10 bits; the range is that of all images
    np.testing.assert_allclose(lumas, [half, half, [0, 205, 409, 614, 818, 1023]], atol=1)
    assert "values from 0 to 4000 are shown as black to white; `range` LOW,HIGH decides otherwise" in notes


def test_the_range_of_a_gray_video_can_be_given(tmp_path: Path) -> None:
    lumas, notes = lumas_of(make_gray16(tmp_path / "thermal.mkv", 400), range=(400, 1600), depth=8)
    np.testing.assert_allclose(lumas[0], [0, 0, 85, 170, 255, 255], atol=1)
    assert not any("range" in note for note in notes)


def test_a_gray_video_that_uses_its_range_is_kept(tmp_path: Path) -> None:
    lumas, notes = lumas_of(make_gray16(tmp_path / "scan.mkv", 6553), depth=8)
    full = lumas[2][-1] - lumas[2][0]
    assert full == pytest.approx(219, abs=1)
    np.testing.assert_allclose(np.array(lumas[0]) - lumas[0][0], np.arange(6) * full / 10, atol=2)
    assert not any("range" in note for note in notes)
