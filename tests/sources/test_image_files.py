"""Image files, alone and as numbered sequences."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pillow_heif
import pytest
from av.video.reformatter import ColorRange
from media_factory import make_clip
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin, features
from video_runs import rendered

from streamcam.errors import InvalidArgumentError, SourceError, SourceNotFoundError
from streamcam.frames import SourceReport
from streamcam.media.images import planes_of
from streamcam.media.scaling import FAITHFUL, Resampler
from streamcam.sinks import open_sink
from streamcam.sources import Source, SourceSettings, SyntheticSource, is_image, open_source
from streamcam.sources.pixels import read_stored
from streamcam.sources.transparency import ON_WHITE

QUARTERS = np.array([[40, 80], [120, 160]], np.uint8).repeat(24, 0).repeat(32, 1)
"""64x48 pixels, the quarters 40, 80 above and 120, 160 below."""


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """Read an image as a source gives it, turned back into RGB."""
    with open_source(path) as source:
        (frame,) = source
        return Resampler().to_rgb(frame.image, source.info.width, source.info.height, interpolation=FAITHFUL)


def quarters_of(rgb: NDArray[np.uint8]) -> list[list[int]]:
    rows, columns = rgb.shape[0] // 4, rgb.shape[1] // 4
    return [[int(rgb[row, column, 0]) for column in (columns, 3 * columns)] for row in (rows, 3 * rows)]


def test_an_image_is_a_video_of_one_frame(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(QUARTERS).save(path)
    with open_source(path) as source:
        info = source.info
        frames = list(source)
        assert source.report() == SourceReport(frames_read=1)
    assert (info.name, info.path, info.width, info.height) == (str(path), path, 64, 48)
    assert info.is_still
    assert (info.frame_count, info.begin_s) == (1, 0)
    (frame,) = frames
    assert (frame.index, frame.pts, frame.time_s) == (0, 0, 0)
    assert frame.image.format.name == "yuv444p"
    assert frame.image.color_range == info.color.color_range == ColorRange.JPEG


@pytest.mark.parametrize(
    ("suffix", "options"),
    [(".png", {}), (".bmp", {}), (".tif", {}), (".webp", {"lossless": True}), (".jpg", {"quality": 95})],
)
def test_every_kind_keeps_its_colors(suffix: str, options: dict[str, object], tmp_path: Path) -> None:
    red, green = np.meshgrid(np.arange(0, 256, 4, dtype=np.uint8), np.arange(0, 240, 5, dtype=np.uint8))
    rgb = np.stack([red, green, np.full_like(red, 90)], -1)
    path = tmp_path / f"photo{suffix}"
    Image.fromarray(rgb).save(path, **options)
    with Image.open(path) as opened:
        stored = np.asarray(opened.convert("RGB")).astype(int)
    assert is_image(path)
    assert np.abs(read_rgb(path) - stored).max() <= 2


# From the EXIF standard: 1 as stored, 2 mirrored, 3 turned by 180, 4 upside down and mirrored, 5 mirrored
# along the diagonal, 6 to be turned right, 7 mirrored along the other diagonal, 8 to be turned left.
@pytest.mark.parametrize(
    ("orientation", "seen"),
    [
        (1, [[40, 80], [120, 160]]),
        (2, [[80, 40], [160, 120]]),
        (3, [[160, 120], [80, 40]]),
        (4, [[120, 160], [40, 80]]),
        (5, [[40, 120], [80, 160]]),
        (6, [[120, 40], [160, 80]]),
        (7, [[160, 80], [120, 40]]),
        (8, [[80, 160], [40, 120]]),
    ],
)
def test_photos_are_turned_as_the_camera_was(orientation: int, seen: list[list[int]], tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(QUARTERS).save(tmp_path / "photo.jpg", quality=95, exif=exif)
    rgb = read_rgb(tmp_path / "photo.jpg")
    assert rgb.shape == ((64, 48, 3) if orientation >= 5 else (48, 64, 3))
    np.testing.assert_allclose(quarters_of(rgb), seen, atol=3)


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    rgba = np.zeros((48, 64, 4), np.uint8)
    rgba[:24, :32] = (200, 0, 0, 255)
    rgba[:24, 32:] = (200, 0, 0, 0)
    rgba[24:, :32] = (200, 0, 0, 128)
    rgba[24:, 32:] = (0, 0, 0, 255)
    Image.fromarray(rgba).save(tmp_path / "logo.png")
    # Half transparent: 200 * 128/255 + 255 * 127/255 = 227.4.
    np.testing.assert_allclose(quarters_of(read_rgb(tmp_path / "logo.png")), [[200, 255], [227, 0]], atol=2)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "CMYK"])
def test_every_mode_is_read(mode: str, tmp_path: Path) -> None:
    path = tmp_path / ("photo.jpg" if mode == "CMYK" else "photo.png")
    Image.fromarray(QUARTERS).convert("RGB").convert(mode).save(path, quality=95)
    np.testing.assert_allclose(quarters_of(read_rgb(path)), [[40, 80], [120, 160]], atol=3)


def test_black_and_white_is_read(tmp_path: Path) -> None:
    Image.fromarray(QUARTERS > 100).save(tmp_path / "fax.png")
    np.testing.assert_allclose(quarters_of(read_rgb(tmp_path / "fax.png")), [[0, 0], [255, 255]], atol=2)


@pytest.mark.parametrize(("transparency", "seen"), [(None, (200, 0, 0)), (0, (255, 255, 255))])
def test_palettes_are_read(transparency: int | None, seen: tuple[int, int, int], tmp_path: Path) -> None:
    image = Image.new("P", (64, 48), 0)
    image.putpalette([200, 0, 0, 0, 200, 0])
    image.save(tmp_path / "logo.png", transparency=transparency)
    np.testing.assert_allclose(read_rgb(tmp_path / "logo.png")[0, 0], seen, atol=2)


def test_deep_grays_keep_their_brightness(tmp_path: Path) -> None:
    deep = QUARTERS.astype(np.uint16) * 257
    assert cv2.imwrite(str(tmp_path / "scan.png"), deep)
    assert cv2.imwrite(str(tmp_path / "scan.tiff"), deep)
    for name in ("scan.png", "scan.tiff"):
        np.testing.assert_allclose(quarters_of(read_rgb(tmp_path / name)), [[40, 80], [120, 160]], atol=2)


def test_deep_colors_keep_their_brightness(tmp_path: Path) -> None:
    deep = np.stack([QUARTERS.astype(np.uint16) * 257] * 3, -1)
    assert cv2.imwrite(str(tmp_path / "scan.png"), deep)
    np.testing.assert_allclose(quarters_of(read_rgb(tmp_path / "scan.png")), [[40, 80], [120, 160]], atol=2)


def test_an_image_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    whole = io.BytesIO()
    Image.fromarray(QUARTERS).save(whole, "JPEG")
    (tmp_path / "photo.jpg").write_bytes(whole.getvalue()[:-200])
    with pytest.raises(SourceError, match=r"photo.jpg' cannot be decoded as an image .*[Tt]runcated"):
        open_source(tmp_path / "photo.jpg")


def test_heic_photos_in_tiles_are_read_whole(tmp_path: Path) -> None:
    """As phones take them: the decoder's own images are no larger than a tile."""
    wide = QUARTERS.repeat(16, 0).repeat(20, 1)  # 1280x768
    ramp = np.stack([wide] * 3, -1)
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    image = pillow_heif.from_pillow(Image.fromarray(ramp[::-1, ::-1]))
    image.save(tmp_path / "photo.heic", quality=95, tile_size=256, exif=exif.tobytes())
    assert pillow_heif.open_heif(tmp_path / "photo.heic").info["tiling"]
    rgb = read_rgb(tmp_path / "photo.heic")
    assert rgb.shape == (768, 1280, 3)
    np.testing.assert_allclose(quarters_of(rgb), [[40, 80], [120, 160]], atol=3)


def test_avif_photos_are_images(tmp_path: Path) -> None:
    Image.fromarray(QUARTERS).convert("RGB").save(tmp_path / "photo.avif", quality=95)
    with open_source(tmp_path / "photo.avif") as source:
        assert source.info.is_still
    np.testing.assert_allclose(quarters_of(read_rgb(tmp_path / "photo.avif")), [[40, 80], [120, 160]], atol=3)


def test_what_heic_and_avif_need_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = Image.fromarray(QUARTERS).convert("RGB")
    pillow_heif.from_pillow(photo).save(tmp_path / "photo.heic")
    photo.save(tmp_path / "photo.avif")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setattr(features, "check", lambda _name: False)
    with pytest.raises(SourceError, match=r'is a HEIC image, .* pip install "streamcam\[heic\]"'):
        open_source(tmp_path / "photo.heic")
    with pytest.raises(SourceError, match=r"is an AVIF image, which needs a newer Pillow"):
        open_source(tmp_path / "photo.avif")


@pytest.mark.parametrize("head", [b"\xff\xd8\xff\xe0 and no more", b"\x89PNG\r\n\x1a\n" + b"x" * 90, b"BM?"])
def test_what_only_begins_like_an_image_is_refused(head: bytes, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(head)
    with pytest.raises(SourceError, match=r"photo.png' cannot be decoded as an image"):
        open_source(tmp_path / "photo.png")


def test_pages_are_frames(tmp_path: Path) -> None:
    """But not the smaller copies that pyramids hold."""
    pages = [
        Image.new("L", size, value) for size, value in (((64, 48), 40), ((64, 48), 120), ((32, 24), 200))
    ]
    for page in pages:
        reduced = TiffImagePlugin.ImageFileDirectory_v2()
        reduced[254] = int(page.width == 32)
        page.encoderinfo = {"tiffinfo": reduced}
    pages[0].save(tmp_path / "scan.tif", save_all=True, append_images=pages[1:])
    with open_source(tmp_path / "scan.tif", SourceSettings(rate=Fraction(5))) as source:
        assert (source.info.frame_count, source.info.path) == (2, None)
        assert source.info.files == (tmp_path / "scan.tif",)
        frames = list(source)
        assert [round(float(planes_of(frame.image)[0].mean())) for frame in frames] == [40, 120]
        assert [frame.time_s for frame in frames] == [0, 0.2]
        assert source.report().notes == ()
    with open_source(tmp_path / "scan.tif", SourceSettings(start_s=0.04)) as source:
        assert len(list(source)) == 1


@pytest.mark.parametrize("mode", ["gray", "color"])
def test_pages_of_16_bits_have_one_range(tmp_path: Path, mode: str) -> None:
    shape = (48, 64) if mode == "gray" else (48, 64, 3)
    values = [np.full(shape, value, np.uint16) for value in (0, 20000, 40000, 65535)]
    assert cv2.imwritemulti(str(tmp_path / "scan.tif"), values)
    with open_source(tmp_path / "scan.tif") as source:
        lumas = [float(planes_of(frame.image)[0].mean()) for frame in source]
    assert lumas == pytest.approx([0, 20000 / 257, 40000 / 257, 255], abs=1)


def test_pages_and_alpha_that_are_left_out_are_noted(tmp_path: Path) -> None:
    pages = [Image.new("RGB", (64, 48), color) for color in ("red", "blue", "green")]
    pages[0].save(tmp_path / "scan.tif", save_all=True, append_images=pages[1:])
    Image.new("RGBA", (64, 48), (200, 0, 0, 128)).save(tmp_path / "1.png")
    Image.new("RGBA", (64, 48), (200, 0, 0, 128)).save(tmp_path / "2.png")
    assert read_stored(tmp_path / "scan.tif").notes == ("the file holds 3 pages; the first is used",)
    assert open_source(tmp_path / "1.png").info.notes == (ON_WHITE,)
    with open_source(tmp_path / "%d.png") as source:
        assert len(list(source)) == 2
        assert source.report().notes == (ON_WHITE,)


def test_an_image_has_no_time_to_trim(tmp_path: Path) -> None:
    Image.fromarray(QUARTERS).save(tmp_path / "photo.png")
    with pytest.raises(InvalidArgumentError, match=r"is an image; leave out `start_s` and `end_s`"):
        open_source(tmp_path / "photo.png", SourceSettings(start_s=0.5, end_s=1))


def test_the_content_tells_an_image_not_the_name(tmp_path: Path) -> None:
    Image.fromarray(QUARTERS).save(tmp_path / "photo.png")
    (tmp_path / "photo.png").rename(tmp_path / "photo.mp4")
    assert is_image(tmp_path / "photo.mp4")
    make_clip(tmp_path / "clip.mp4", frames=2).rename(tmp_path / "clip.jpg")
    assert not is_image(tmp_path / "clip.jpg")
    with open_source(tmp_path / "clip.jpg") as source:
        assert len(list(source)) == 2


# --- sequences ----------------------------------------------------------------------------------------------


def write_sequence(folder: Path, numbers: Iterable[int]) -> Path:
    """Write images whose gray is ten times their number."""
    for number in numbers:
        Image.new("L", (8, 6), 10 * number).save(folder / f"{number:03d}.png")
    return folder / "%03d.png"


def grays(source: Source) -> list[int]:
    return [int(planes_of(frame.image)[0][0, 0]) for frame in source]


def test_a_sequence_is_read_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    pattern = write_sequence(tmp_path, [10, 9, 8, 11])
    with open_source(pattern) as source:
        assert (source.info.rate, source.info.frame_count, source.info.duration_s) == (25, 4, 0.16)
        assert grays(source) == [80, 90, 100, 110]
        assert source.report().whole
        assert source.report().notes == ()


def test_a_part_of_a_sequence_at_another_rate(tmp_path: Path) -> None:
    settings = SourceSettings(start_s=0.2, end_s=0.5, rate=Fraction(10))
    with open_source(write_sequence(tmp_path, range(1, 9)), settings) as source:
        frames = list(source)
    assert [int(planes_of(frame.image)[0][0, 0]) for frame in frames] == [30, 40, 50]
    assert [frame.time_s for frame in frames] == pytest.approx([0.2, 0.3, 0.4])
    assert source.info.begin_s == 0.2


def test_gaps_and_damage_in_a_sequence_are_reported(tmp_path: Path) -> None:
    pattern = write_sequence(tmp_path, [1, 2, 5, 6])
    (tmp_path / "005.png").write_bytes(b"no image")
    with open_source(pattern) as source:
        assert grays(source) == [10, 20, 60]
    report = source.report()
    assert (report.frames_read, report.packets_damaged) == (3, 1)
    assert report.notes == ("the numbers of the images have gaps: 2 are missing",)


def test_images_of_another_size_are_fitted_into_the_first_ones(tmp_path: Path) -> None:
    pattern = write_sequence(tmp_path, [1, 2])
    Image.new("L", (16, 6), 200).save(tmp_path / "002.png")
    with open_source(pattern) as source:
        assert {(frame.image.width, frame.image.height) for frame in source} == {(8, 6)}
    assert "the image changes from 8x6 to 16x6 at 0.0 s" in source.report().notes[0]


@pytest.mark.parametrize("name", ["%05d.png", "none/%d.png"])
def test_a_sequence_without_images(name: str, tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match=r"no images '.*%"):
        open_source(tmp_path / name)


def test_a_part_without_images(tmp_path: Path) -> None:
    with pytest.raises(
        SourceError, match=r"has 2 images, none of them in the part asked for; check `start_s`"
    ):
        open_source(write_sequence(tmp_path, [1, 2]), SourceSettings(start_s=9))


def test_what_streamcam_writes_can_be_read_again(tmp_path: Path) -> None:
    with open_sink(tmp_path / "%05d.png", SyntheticSource(width=32, height=18).info) as sink:
        for frame in SyntheticSource(width=32, height=18, frame_count=3):
            sink.write(rendered(frame.image))
        sink.finish()
    with open_source(tmp_path / "%05d.png") as source:
        assert len(list(source)) == 3
