"""Images in other sizes, formats and ways of coding color, by FFmpeg's swscale from their own planes."""

from __future__ import annotations

import dataclasses

import numpy as np
from av.video.reformatter import (
    ColorPrimaries,
    ColorRange,
    Colorspace,
    ColorTrc,
    Interpolation,
    VideoReformatter,
)

from streamcam.frames import ColorTags
from streamcam.media.hdr import TRANSFERS
from streamcam.media.images import (
    DEEP,
    LAYERED_FORMATS,
    PLANAR_FORMATS,
    ByteArray,
    Image,
    PlaneArray,
    YuvCoding,
    alpha_of,
    bits_of,
    blank_like,
    coding_of,
    image_from_rgb,
    packed_pixels,
    planes_of,
    set_tags,
    split_alpha,
    tags_of,
)

FAITHFUL = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
"""How to resample images for people: colors are right to 2 levels of 255.

The default, for networks, averages areas: in less than a third of the time, and with colors up to 4 levels
off.
"""


_SCREEN: dict[str, int] = {
    "dst_color_trc": ColorTrc.IEC61966_2_1,
    "dst_color_primaries": ColorPrimaries.BT709,
}
"""Of ordinary range, in swscale's words."""


class Resampler:
    """Turns images into other sizes and formats. Belongs to one thread.

    One for every thread and kept: swscale's set-up for one pair of shapes is reused from frame to frame.
    """

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._first_reformatter = VideoReformatter()  # of two steps; each keeps one set-up
        self._screen_reformatter = VideoReformatter()

    def to_rgb(
        self,
        image: Image,
        width: int,
        height: int,
        *,
        interpolation: Interpolation = Interpolation.AREA,
    ) -> ByteArray:
        """Resample an image of any format to RGB, as a screen of ordinary range shows it.

        Of high dynamic range (PQ, HLG) what is brighter than a white sheet of paper is cut off.

        Args:
            image: The image.
            width: Of the result, in pixels.
            height: Of the result, in pixels.
            interpolation: How swscale goes about it; see `FAITHFUL`.

        Returns:
            uint8 (height, width, 3), in memory that nothing else refers to.
        """
        shown: dict[str, int] = {}
        if image.color_trc in TRANSFERS:
            # Scaled first: to change the transfer function takes much longer.
            image, shown = self._hdr_view(image, (width, height), interpolation), _SCREEN
        coding = dataclasses.replace(coding_of(image), full_range=True)
        size = (width, height)
        resampled = _resampled(self._reformatter, image, size, "rgb24", coding, interpolation, **shown)
        return packed_pixels(resampled)

    def to_shown(self, image: Image) -> ByteArray:
        """Convert an image to RGB as people see it, at its own size, with its alpha if it has some.

        Args:
            image: The image, of one of `PLANAR_FORMATS` or `LAYERED_FORMATS`.

        Returns:
            uint8 (H, W, 3), or (H, W, 4) with alpha, in memory that nothing else refers to.
        """
        if image.format.name not in LAYERED_FORMATS:
            return self.to_rgb(image, image.width, image.height, interpolation=FAITHFUL)
        opaque, alpha = split_alpha(image)
        opacity = alpha.astype(np.float32) * (255 / coding_of(image).highest)
        return np.dstack([self.to_shown(opaque), np.rint(opacity).astype(np.uint8)])

    def to_screen(self, image: Image, width: int, height: int) -> Image:
        """Resample an image to what browsers take video for: 4:2:0, BT.709, limited range.

        Args:
            image: The image, of any format.
            width: Of the result, in pixels; even.
            height: Of the result, in pixels; even.

        Returns:
            A yuv420p image; the given one where it is like that already.
        """
        if image.color_trc in TRANSFERS:
            image = image_from_rgb(self.to_rgb(image, width, height))
        coding = YuvCoding(Colorspace.ITU709, full_range=False)
        return _resampled(
            self._screen_reformatter, image, (width, height), "yuv420p", coding, Interpolation.AREA
        )

    def _hdr_view(self, image: Image, size: tuple[int, int], interpolation: Interpolation) -> Image:
        deep = f"yuv444p{DEEP}le"
        scaled = _resampled(self._first_reformatter, image, size, deep, coding_of(image), interpolation)
        # Fresh, as it is to be tagged; and without a word of the mastering display, which swscale would
        # reckon with: the brighter that was, the darker all would become.
        view = blank_like(scaled)
        for target, source in zip(planes_of(view), planes_of(scaled), strict=True):
            target[:] = source
        # swscale wants to know the primaries; HDR has no others in practice.
        set_tags(view, dataclasses.replace(tags_of(image), color_primaries=int(ColorPrimaries.BT2020)))
        return view

    def to_planar(self, image: Image, pixel_format: str) -> Image:
        """Convert an image to one of `PLANAR_FORMATS`, keeping its size, matrix and range.

        RGB images become full-range YUV with the matrix that their height asks for.

        Returns:
            The image itself where it has that format.
        """
        if pixel_format not in PLANAR_FORMATS:
            raise ValueError(f"{pixel_format!r} is not one of {', '.join(PLANAR_FORMATS)}")
        return self.to_format(image, pixel_format)

    def to_format(self, image: Image, pixel_format: str) -> Image:
        """Convert an image to another pixel format, whatever it is; YUV keeps matrix and range.

        Returns:
            The image itself where it has that format.
        """
        if image.format.name == pixel_format:
            return image
        return self._convert(image, (image.width, image.height), pixel_format, coding_of(image))

    def to_size(self, image: Image, width: int, height: int) -> Image:
        """Resample a planar image to another size, keeping its format, matrix and range.

        Its tags say both: what was left to be guessed from the height would change with the height.
        """
        coding = coding_of(image)
        tags = dataclasses.replace(tags_of(image), colorspace=int(coding.matrix))
        return self.to_coding(image, coding, tags, (width, height))

    def to_coding(self, image: Image, coding: YuvCoding, tags: ColorTags, size: tuple[int, int]) -> Image:
        """Bring a planar image to a size and to a way of coding color, keeping its format.

        Args:
            image: The image.
            coding: How the result codes color.
            tags: What says so; they are written onto the result where anything had to be done.
            size: (width, height) in pixels.

        Returns:
            The image itself where nothing had to be done.
        """
        converted = self._convert(image, size, image.format.name, coding)
        if converted is not image:
            set_tags(converted, tags)
        return converted

    def _convert(self, image: Image, size: tuple[int, int], pixel_format: str, coding: YuvCoding) -> Image:
        converted = _resampled(self._reformatter, image, size, pixel_format, coding, FAITHFUL)
        if converted is image:  # nothing to do; and the decoder's own image stays untouched
            return image
        tags = tags_of(image)
        if coding.full_range:
            tags = dataclasses.replace(tags, color_range=int(ColorRange.JPEG))
        if image.format.is_rgb or image.format.has_palette:  # its tag says RGB; the result is YUV
            tags = dataclasses.replace(tags, colorspace=int(coding.matrix))
        if pixel_format in LAYERED_FORMATS and size == (image.width, image.height):
            alpha = self._alpha_of(image, bits_of(pixel_format))
            if alpha is not None:
                planes_of(converted)[3][:] = alpha
        set_tags(converted, tags)
        converted.pts = image.pts
        if image.time_base is not None:
            converted.time_base = image.time_base
        return converted

    def _alpha_of(self, image: Image, depth: int) -> PlaneArray | None:
        """Read the alpha of an image exactly; None where only swscale can."""
        readable = "rgba" if image.format.has_palette else image.format.name
        if image.format.is_big_endian:
            readable = f"{readable.removesuffix('be')}le"
        size, coding = (image.width, image.height), coding_of(image)
        return alpha_of(_resampled(self._first_reformatter, image, size, readable, coding, FAITHFUL), depth)


def _resampled(
    reformatter: VideoReformatter,
    image: Image,
    size: tuple[int, int],
    pixel_format: str,
    coding: YuvCoding,
    interpolation: Interpolation,
    **shown: int,
) -> Image:
    """Resample an image; the only place where swscale is called.

    Args:
        reformatter: Keeps the set-up.
        image: The image.
        size: (width, height) of the result in pixels.
        pixel_format: Of the result.
        coding: Its matrix and range.
        interpolation: How swscale goes about it.
        shown: The screen that the result is for, where that is another.

    Returns:
        The image itself where nothing had to be done.
    """
    given = coding_of(image)
    return reformatter.reformat(
        image,
        *size,
        pixel_format,
        src_colorspace=given.matrix,
        dst_colorspace=coding.matrix,
        interpolation=interpolation,
        src_color_range=_range_of(given),
        dst_color_range=_range_of(coding),
        threads=1,
        **shown,
    )


def _range_of(coding: YuvCoding) -> ColorRange:
    return ColorRange.JPEG if coding.full_range else ColorRange.MPEG
