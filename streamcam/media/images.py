"""Planar YUV images: views of the planes of an ``av.VideoFrame`` as arrays, and its color coding."""

from __future__ import annotations

import dataclasses
import functools
import re

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from streamcam.frames import ColorTags
from streamcam.media.hdr import TRANSFERS, sdr_in_hdr

Image = av.VideoFrame
ByteArray = NDArray[np.uint8]
PlaneArray = NDArray[np.uint8] | NDArray[np.uint16]

DEEP = 10
"""Bits of a sample where there are more than 8; deeper images are brought to as many."""

CHROMAS = ("420", "422", "444")
"""The kinds of chroma subsampling, as 4:2:0 is usually typed, from the fewest samples to the most."""


def planar_format(chroma: str, depth: int, *, alpha: bool = False) -> str:
    """Name a planar pixel format.

    Args:
        chroma: One of `CHROMAS`.
        depth: Bits of a sample, 8 or `DEEP`.
        alpha: Whether it has a fourth plane of alpha.
    """
    name = f"yuv{'a' if alpha else ''}{chroma}p"
    return name if depth == 8 else f"{name}{depth}le"


PLANAR_FORMATS = tuple(planar_format(chroma, depth) for depth in (8, DEEP) for chroma in CHROMAS)
"""The pixel formats of `Frame.image`: planar, of 8 or 10 bits.

Full range is a tag, never one of FFmpeg's yuvj formats.
"""

LAYERED_FORMATS = tuple(planar_format(chroma, depth, alpha=True) for depth in (8, DEEP) for chroma in CHROMAS)
"""The pixel formats of `Frame.layered`: the same, with a fourth plane of alpha, which has full range."""

_FLOATS = re.compile(r"f(16|32)")
"""In the names of pixel formats whose samples are floats."""

HD_LINES = 720
"""Untagged images of at least this height are BT.709, lower ones BT.601."""

_KR_KB = {
    Colorspace.ITU709: (0.2126, 0.0722),
    Colorspace.ITU601: (0.299, 0.114),
    Colorspace.FCC: (0.30, 0.11),
    Colorspace.SMPTE240M: (0.212, 0.087),
    Colorspace.BT2020: (0.2627, 0.0593),
}
# AVColorSpace numbers that share a matrix with a member of swscale's list (5: BT.470BG, 6: SMPTE 170M,
# 10: BT.2020 constant luminance, which swscale treats as the non-constant one).
_SAME_MATRIX = {6: Colorspace.ITU601, 10: Colorspace.BT2020}


@dataclasses.dataclass(frozen=True, slots=True)
class YuvCoding:
    """How an image codes color."""

    matrix: Colorspace
    full_range: bool
    depth: int = 8
    """Bits of a sample."""
    hdr: str | None = None
    """The transfer function of high dynamic range, one of `TRANSFERS`; None for ordinary."""

    @property
    def highest(self) -> int:
        """The highest code value."""
        return (1 << self.depth) - 1

    @property
    def dtype(self) -> type[np.uint8] | type[np.uint16]:
        """Of a plane's samples."""
        return np.uint8 if self.depth == 8 else np.uint16

    def encode_rgb(self, rgb: NDArray[np.floating] | ByteArray) -> NDArray[np.float32]:
        """Turn RGB into this coding's Y, Cb and Cr.

        Args:
            rgb: (..., 3), 0 to 255, gamma-encoded as for a screen of ordinary range.

        Returns:
            float32 (..., 3) in code values, not rounded: ITU-R BT.601 / BT.709 / BT.2020, section
            "signal format".
        """
        if self.hdr is not None:
            rgb = sdr_in_hdr(np.asarray(rgb, np.float32), self.hdr)
        kr, kb = _KR_KB[self.matrix]
        red, green, blue = np.moveaxis(np.asarray(rgb, np.float32), -1, 0)
        luma = kr * red + (1 - kr - kb) * green + kb * blue
        cb = (blue - luma) / (2 * (1 - kb))
        cr = (red - luma) / (2 * (1 - kr))
        times = 1 << (self.depth - 8)  # code values to one of 8 bits
        if self.full_range:
            offsets, scales = (0, 128 * times, 128 * times), (self.highest / 255,) * 3
        else:
            offsets = (16 * times, 128 * times, 128 * times)
            scales = (219 * times / 255, 224 * times / 255, 224 * times / 255)
        yuv = np.stack([luma, cb, cr], -1) * np.array(scales) + np.array(offsets)
        return np.asarray(yuv, np.float32)


def coding_of(image: Image) -> YuvCoding:
    """Return how an image codes color: by its tags, or by its height where it has none."""
    tag = _SAME_MATRIX.get(image.colorspace, image.colorspace)
    if tag in _KR_KB:
        matrix = Colorspace(tag)
    else:
        matrix = Colorspace.ITU709 if image.height >= HD_LINES else Colorspace.ITU601
    is_full = image.color_range == ColorRange.JPEG or image.format.is_rgb
    full_range = is_full or image.format.name.startswith("yuvj")
    return YuvCoding(matrix, full_range, bits_of(image.format.name), TRANSFERS.get(image.color_trc))


def planes_of(image: Image) -> tuple[PlaneArray, ...]:
    """View an image's planes as arrays of (rows, columns), without copying and without row padding.

    Returns:
        uint8, or uint16 where samples have more than 8 bits.
    """
    dtype = np.dtype(np.uint8 if bits_of(image.format.name) == 8 else np.uint16)
    views = []
    for plane in image.planes:
        length = plane.line_size // dtype.itemsize
        rows = np.frombuffer(memoryview(plane), dtype)[: plane.height * length]
        views.append(rows.reshape(plane.height, length)[:, : plane.width])
    return tuple(views)


def packed_pixels(image: Image) -> ByteArray:
    """View a packed RGB image as uint8 (H, W, 3); copied only where its rows are padded."""
    plane = image.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8)[: image.height * plane.line_size]
    rows = rows.reshape(image.height, plane.line_size)[:, : image.width * 3]
    return rows.reshape(image.height, image.width, 3)


@functools.cache
def bits_of(pixel_format: str) -> int:
    """Return the number of bits of a sample of a pixel format."""
    return max(component.bits for component in av.VideoFormat(pixel_format).components)


@functools.cache
def chroma_of(pixel_format: str) -> str:
    """Return which of `CHROMAS` holds all colors of a pixel format; the least for gray."""
    layout = av.VideoFormat(pixel_format, 4, 4)
    if len(layout.components) < 3 and not layout.has_palette:
        return CHROMAS[0]
    if layout.chroma_width() == 4:
        return "444"
    return "422" if layout.chroma_height() == 4 else "420"


@functools.cache
def has_alpha(pixel_format: str) -> bool:
    """Return whether images of a pixel format can be transparent; the colors of a palette can."""
    layout = av.VideoFormat(pixel_format)
    return layout.has_palette or any(component.is_alpha for component in layout.components)


def tags_of(image: Image) -> ColorTags:
    """Read an image's color tags."""
    return ColorTags(image.color_range, image.colorspace, image.color_primaries, image.color_trc)


def opaque_format(layered: str) -> str:
    """Return which of `PLANAR_FORMATS` is one of `LAYERED_FORMATS` without its alpha."""
    return layered.replace("yuva", "yuv", 1)


def alpha_of(image: Image, depth: int) -> PlaneArray | None:
    """Read the alpha of an image, exactly: swscale is off by up to two levels.

    Args:
        image: The image.
        depth: Bits of a sample of the result, 8 or `DEEP`.

    Returns:
        Integers (H, W) of full range; None where it has none, or only in a palette, as floats, or with its
        bytes in the other order.
    """
    layout = image.format
    alpha = next((component for component in layout.components if component.is_alpha), None)
    if alpha is None or layout.has_palette or layout.is_big_endian or _FLOATS.search(layout.name):
        return None
    dtype = np.dtype(np.uint8 if alpha.bits == 8 else np.uint16)
    channels = sum(component.plane == alpha.plane for component in layout.components)
    plane = image.planes[alpha.plane]
    rows = np.frombuffer(memoryview(plane), dtype)[: image.height * plane.line_size // dtype.itemsize]
    pixels = rows.reshape(image.height, -1)[:, : image.width * channels].reshape(image.height, -1, channels)
    values: PlaneArray = pixels[..., 0 if layout.name.startswith("a") else -1]
    highest, most = (1 << alpha.bits) - 1, (1 << depth) - 1
    if highest == most:
        return values
    scaled: NDArray[np.float32] = np.rint(values * np.float32(most / highest))
    return scaled.astype(np.uint8) if depth == 8 else scaled.astype(np.uint16)


def split_alpha(image: Image) -> tuple[Image, PlaneArray]:
    """Split an image of one of `LAYERED_FORMATS` into a fresh opaque one, and its alpha, (H, W)."""
    opaque = blank_like(image, pixel_format=opaque_format(image.format.name))
    *colors, alpha = planes_of(image)
    for target, source in zip(planes_of(opaque), colors, strict=True):
        target[:] = source
    return opaque, alpha


def join_alpha(opaque: Image, alpha: PlaneArray) -> Image:
    """Give an image of one of `PLANAR_FORMATS` an alpha channel, (H, W), as a fresh image."""
    layered = blank_like(opaque, pixel_format=opaque.format.name.replace("yuv", "yuva", 1))
    for target, source in zip(planes_of(layered), (*planes_of(opaque), alpha), strict=True):
        target[:] = source
    return layered


def set_tags(image: Image, tags: ColorTags) -> None:
    """Write color tags onto a fresh image."""
    image.color_range = tags.color_range
    image.colorspace = tags.colorspace
    image.color_primaries = tags.color_primaries
    image.color_trc = tags.color_trc


def blank_image(width: int, height: int, pixel_format: str, tags: ColorTags) -> Image:
    """Allocate an image, its pixels not yet set.

    Args:
        width: In pixels.
        height: In pixels.
        pixel_format: FFmpeg's name of the format.
        tags: How it codes color.
    """
    fresh = av.VideoFrame(width, height, pixel_format)
    set_tags(fresh, tags)
    return fresh


def blank_like(
    image: Image, *, width: int | None = None, height: int | None = None, pixel_format: str | None = None
) -> Image:
    """Allocate a fresh image of the same size, format, tags and time, its pixels not yet set.

    A fresh image for every frame is what keeps the decoder safe: it still refers to the ones it gave out.

    Args:
        image: The image to go by.
        width: In pixels, where it is to differ.
        height: In pixels, where it is to differ.
        pixel_format: FFmpeg's name of the format, where it is to differ.
    """
    size = width or image.width, height or image.height
    fresh = blank_image(*size, pixel_format or image.format.name, tags_of(image))
    fresh.pts = image.pts
    if image.time_base is not None:
        fresh.time_base = image.time_base
    return fresh


def image_from_rgb(rgb: ByteArray) -> Image:
    """Wrap an RGB array as an image.

    Args:
        rgb: uint8 (H, W, 3), or (H, W, 4) with alpha.

    Raises:
        ValueError: if the array is of another shape or dtype.
    """
    if rgb.ndim != 3 or rgb.shape[2] not in (3, 4) or rgb.dtype != np.uint8 or 0 in rgb.shape:
        raise ValueError(f"an image is an RGB array, uint8 (H, W, 3), not {rgb.dtype} {rgb.shape}")
    pixel_format = "rgb24" if rgb.shape[2] == 3 else "rgba"
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format=pixel_format)
