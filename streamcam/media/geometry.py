"""The geometry of images that PyAV does not give away: cropping, and where chroma lies."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator

import av
from av.error import FFmpegError
from av.video.stream import VideoStream

from streamcam.media.images import Image, blank_like, planes_of

_SEGMENT, _TRACKS, _TRACK, _VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0xE0
_TOP, _BOTTOM, _LEFT, _RIGHT = 0x54BB, 0x54AA, 0x54CC, 0x54DD
_COLOR, _CHROMA_ACROSS, _CHROMA_DOWN = 0x55B0, 0x55B7, 0x55B8
"""Ids of Matroska's elements (RFC 9559)."""


_CHROMA_LOCATIONS = {
    (1, 1): "topleft",
    (2, 1): "top",
    (2, 2): "center",
}
"""Position across and down, in Matroska's numbers → FFmpeg's word; all but the usual one, at the left, which
everybody assumes."""


@dataclasses.dataclass(frozen=True, slots=True)
class Cropping:
    """Rows and columns at the edges of a decoded image that are not shown."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    def apply(self, image: Image) -> Image:
        """Cut the edges off a planar image, without writing to it.

        Where pixels share color in pairs, an odd row or column more is kept above and on the left.

        Returns:
            The image itself where there is nothing to cut, or nothing would be left.
        """
        planes = planes_of(image)
        across = 1 if planes[1].shape[1] == image.width else 2
        down = 1 if planes[1].shape[0] == image.height else 2
        left, top = self.left // across * across, self.top // down * down
        width, height = image.width - left - self.right, image.height - top - self.bottom
        if self == NO_CROPPING or width <= 0 or height <= 0:
            return image
        fresh = blank_like(image, width=width, height=height)
        for target, source in zip(planes_of(fresh), planes, strict=True):
            row = top // (1 if source.shape[0] == image.height else 2)
            column = left // (1 if source.shape[1] == image.width else 2)
            target[:] = source[row : row + target.shape[0], column : column + target.shape[1]]
        return fresh


NO_CROPPING = Cropping()


@dataclasses.dataclass(frozen=True, slots=True)
class Geometry:
    """The geometry of a video's images, as its container and codec describe it."""

    cropping: Cropping = NO_CROPPING
    """Matroska's PixelCrop, or the clean aperture of MP4 and QuickTime."""
    chroma_location: str | None = None
    """Where samples of 4:2:0 chroma lie among those of luma, in FFmpeg's words; None for the usual
    place, at the left."""


def geometry_of(stream: VideoStream) -> Geometry:
    """Return what a video says of the geometry of its images.

    FFmpeg writes it into the header of a Matroska file, and there it is read.
    """
    written = io.BytesIO()
    try:
        with av.open(written, "w", format="matroska") as output:
            output.add_stream_from_template(stream)
            output.start_encoding()
            header = written.getvalue()
    except (FFmpegError, ValueError):  # a codec that Matroska does not hold
        return Geometry()
    for element in (_SEGMENT, _TRACKS, _TRACK, _VIDEO):
        header = next((content for kind, content in _elements(header) if kind == element), b"")
    video = dict(_elements(header))
    edges = (int.from_bytes(video.get(kind, b""), "big") for kind in (_TOP, _BOTTOM, _LEFT, _RIGHT))
    color = dict(_elements(video.get(_COLOR, b"")))
    across, down = (int.from_bytes(color.get(kind, b""), "big") for kind in (_CHROMA_ACROSS, _CHROMA_DOWN))
    return Geometry(Cropping(*edges), _CHROMA_LOCATIONS.get((across, down)))


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the id and content of each EBML element (RFC 8794); of the last one as far as it is there."""
    position = 0
    while position + 1 < len(data) and data[position]:
        length = 9 - data[position].bit_length()
        kind = int.from_bytes(data[position : position + length], "big")
        position += length
        if position >= len(data) or not data[position]:
            return
        length = 9 - data[position].bit_length()
        size = int.from_bytes(data[position : position + length], "big") & ((1 << 7 * length) - 1)
        is_unknown = size == (1 << 7 * length) - 1  # as of a segment that is still being written
        position += length
        end = len(data) if is_unknown else position + size
        yield kind, data[position:end]
        position = end
