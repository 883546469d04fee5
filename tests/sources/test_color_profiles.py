"""Color profiles of images: shown in the sRGB of ordinary screens."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms

from streamcam.media.scaling import FAITHFUL, Resampler
from streamcam.sources import open_source

_P3_PRIMARIES = [
    (0.515121, 0.241196, -0.001053),
    (0.291977, 0.692245, 0.041885),
    (0.157104, 0.066574, 0.784073),
]
"""XYZ of Display P3's red, green and blue, adapted to D50, as its ICC profile lists them."""


def _tag(kind: bytes, content: bytes) -> bytes:
    data = kind + bytes(4) + content
    return data + bytes(-len(data) % 4)


def _fixed(*numbers: float) -> bytes:
    return struct.pack(f">{len(numbers)}i", *(round(number * 65536) for number in numbers))


def p3_profile() -> bytes:
    """Build an ICC profile (version 2) of Display P3: its primaries, and sRGB's curve in 1024 points."""
    curve = np.linspace(0, 1, 1024)
    curve = np.where(curve <= 0.04045, curve / 12.92, ((curve + 0.055) / 1.055) ** 2.4)
    curves = _tag(b"curv", struct.pack(">I1024H", 1024, *np.rint(curve * 65535).astype(int).tolist()))
    name = b"Display P3\0"
    tags = {
        b"desc": _tag(b"desc", struct.pack(">I", len(name)) + name + bytes(78)),
        b"cprt": _tag(b"text", b"none\0"),
        b"wtpt": _tag(b"XYZ ", _fixed(0.9642, 1.0, 0.8249)),
        **{
            key: _tag(b"XYZ ", _fixed(*xyz))
            for key, xyz in zip((b"rXYZ", b"gXYZ", b"bXYZ"), _P3_PRIMARIES, strict=True)
        },
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curves),
    }
    offset, table, body = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for key, data in tags.items():
        table += key + struct.pack(">II", offset + len(body), len(data))
        body += data
    size = offset + len(body)
    head = (
        struct.pack(">I4sI4s4s4s", size, bytes(4), 0x02100000, b"mntr", b"RGB ", b"XYZ ")
        + bytes(12)
        + b"acsp"
    )
    head = head.ljust(68, b"\0") + _fixed(0.9642, 1.0, 0.8249)
    return head.ljust(128, b"\0") + table + body


def srgb_of_p3(rgb: tuple[int, int, int]) -> list[float]:
    """Convert by the matrices of the two standards (SMPTE EG 432-1, IEC 61966-2-1)."""
    encoded = np.array(rgb) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    matrix = [[1.2249, -0.2247, 0], [-0.0420, 1.0419, 0], [-0.0197, -0.0786, 1.0979]]
    shown = np.clip(matrix @ linear, 0, 1)
    encoded = np.where(shown <= 0.0031308, shown * 12.92, 1.055 * shown ** (1 / 2.4) - 0.055)
    return (encoded * 255).tolist()


def shown(path: Path) -> tuple[list[int], tuple[str, ...]]:
    with open_source(path) as source:
        frame = next(iter(source))
        rgb = Resampler().to_rgb(frame.image, frame.image.width, frame.image.height, interpolation=FAITHFUL)
        return rgb[20, 20].tolist(), (*source.info.notes, *source.report().notes)


@pytest.mark.parametrize("color", [(200, 60, 60), (60, 180, 60), (120, 130, 140), (250, 240, 20)])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".avif", ".heic"])
def test_photos_in_display_p3_are_shown_in_srgb(
    suffix: str, color: tuple[int, int, int], tmp_path: Path
) -> None:
    path = tmp_path / f"photo{suffix}"
    image = Image.new("RGB", (64, 48), color)
    if suffix == ".heic":
        pillow_heif.from_pillow(image).save(path, quality=-1, icc_profile=p3_profile())
    else:
        options = {".webp": {"lossless": True}, ".avif": {"quality": 100}}.get(suffix, {})
        image.save(path, icc_profile=p3_profile(), **options)
    rgb, notes = shown(path)
    np.testing.assert_allclose(rgb, srgb_of_p3(color), atol=4 if suffix in (".avif", ".heic") else 2)
    assert notes == ("colors are converted from 'Display P3' to sRGB",)


def test_colors_of_16_bits_are_converted_too(tmp_path: Path) -> None:
    deep = np.full((48, 64, 3), (60, 60, 200), np.uint16) * 257  # blue, green, red
    deep[:8] = 65535
    coded = cv2.imencode(".png", deep)[1].tobytes()
    chunk = b"iCCPP3\0\0" + zlib.compress(p3_profile())
    profile = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "scan.png").write_bytes(coded[:33] + profile + coded[33:])  # behind the header
    rgb, notes = shown(tmp_path / "scan.png")
    np.testing.assert_allclose(rgb, srgb_of_p3((200, 60, 60)), atol=2)
    assert notes == (
        "colors are converted from 'Display P3' to sRGB",
        "samples of 16 bits are reduced to 8",
    )


def test_transparent_colors_are_converted_too(tmp_path: Path) -> None:
    Image.new("RGBA", (64, 48), (200, 60, 60, 255)).save(tmp_path / "logo.png", icc_profile=p3_profile())
    np.testing.assert_allclose(shown(tmp_path / "logo.png")[0], srgb_of_p3((200, 60, 60)), atol=2)


def test_animations_are_converted_too(tmp_path: Path) -> None:
    images = [Image.new("RGB", (64, 48), color) for color in ((200, 60, 60), (60, 60, 200))]
    images[0].save(
        tmp_path / "dance.webp",
        save_all=True,
        append_images=images[1:],
        lossless=True,
        icc_profile=p3_profile(),
    )
    rgb, notes = shown(tmp_path / "dance.webp")
    np.testing.assert_allclose(rgb, srgb_of_p3((200, 60, 60)), atol=3)
    assert "colors are converted from 'Display P3' to sRGB" in notes


@pytest.mark.parametrize("has_profile", [True, False])
def test_srgb_stays_as_it_is(has_profile: bool, tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() if has_profile else None
    Image.new("RGB", (64, 48), (200, 60, 60)).save(tmp_path / "photo.png", icc_profile=profile)
    rgb, notes = shown(tmp_path / "photo.png")
    np.testing.assert_allclose(rgb, (200, 60, 60), atol=1)
    assert notes == ()


@pytest.mark.parametrize("profile", [b"no profile at all", p3_profile()[:300]])
def test_a_broken_profile_is_noted(profile: bytes, tmp_path: Path) -> None:
    Image.new("RGB", (64, 48), (200, 60, 60)).save(tmp_path / "photo.png", icc_profile=profile)
    rgb, notes = shown(tmp_path / "photo.png")
    np.testing.assert_allclose(rgb, (200, 60, 60), atol=2)
    assert notes == ("the image's color profile cannot be read; its colors are taken for sRGB",)


def test_a_profile_for_other_images_is_noted(tmp_path: Path) -> None:
    Image.new("CMYK", (64, 48), (0, 0, 0, 128)).save(tmp_path / "print.jpg", icc_profile=p3_profile())
    assert shown(tmp_path / "print.jpg")[1] == (
        "the image's color profile cannot be read; its colors are taken for sRGB",
    )
