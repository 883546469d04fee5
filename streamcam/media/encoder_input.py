"""The last steps before an encoder: pixel format, size, clock, palette and field marks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

from av.error import BlockingIOError, EOFError
from av.filter import Graph
from av.video.frame import PictureType
from av.video.stream import VideoStream

from streamcam.frames import SourceInfo
from streamcam.media.codecs import encoder_row
from streamcam.media.encoders import Encoding
from streamcam.media.filters import filter_graph
from streamcam.media.images import Image, blank_like, image_from_rgb, planes_of
from streamcam.media.scaling import Resampler

_RGB_FORMATS = ("rgb24", "rgba", "bgra")


class EncoderFeed:
    """Converts images to an encoder's pixel format, size and clock."""

    def __init__(self, stream: VideoStream, encoding: Encoding, info: SourceInfo) -> None:
        """Prepare for images of one source.

        Args:
            stream: The output's stream; its size may lack the odd row or column.
            encoding: How the images are encoded.
            info: The source that they come from.
        """
        self._pixel_format = encoding.pixel_format
        self._size = (stream.width, stream.height)
        self._shift = round(info.begin_s / info.time_base)
        self._given = info.time_base
        self._clock = encoding.container.time_base or info.time_base
        self._last: int | None = None
        self._resampler = Resampler()
        self._palettes = PaletteMaker(info.time_base) if encoding.pixel_format == "pal8" else None
        self._marker: FieldMarker | None = None
        if info.top_field_first is not None and encoder_row(encoding.encoder).interlaced_options is not None:
            self._marker = FieldMarker(self._clock, top_field_first=info.top_field_first)

    def convert(self, image: Image, pts: int) -> list[Image]:
        """Convert one image. The images returned may come from an earlier one.

        Args:
            image: Planar YUV. Its time and type are overwritten, its pixels are not.
            pts: Its presentation time, in ticks of the source.
        """
        image.pts, image.time_base = pts - self._shift, self._given
        image.pict_type = PictureType.NONE  # a decoder's note of its own type would bind the encoder
        return [self._on_clock(converted) for converted in self._converted(image)]

    def ticks_of(self, duration: int) -> int:
        """Convert a duration from ticks of the source to the encoder's."""
        return max(1, round(duration * self._given / self._clock))

    def flush(self) -> list[Image]:
        """Return the images that are still held back at the end."""
        held = () if self._palettes is None else self._palettes.map(None)
        return [self._on_clock(image) for image in held]

    def _converted(self, image: Image) -> Iterable[Image]:
        if (image.width, image.height) != self._size:
            image = _cut(image, *self._size)
        if self._palettes is not None:
            return self._palettes.map(self._rgb(image))
        if self._pixel_format in _RGB_FORMATS:
            image = self._rgb(image)
        return [self._resampler.to_format(image, self._pixel_format)]

    def _on_clock(self, image: Image) -> Image:
        """Set the time in the encoder's ticks, no two alike."""
        if self._clock != self._given:
            ticks = round((image.pts or 0) * self._given / self._clock)
            self._last = ticks if self._last is None else max(ticks, self._last + 1)
            image.pts, image.time_base = self._last, self._clock
        return image if self._marker is None else self._marker.mark(image)

    def _rgb(self, image: Image) -> Image:
        converted = image_from_rgb(self._resampler.to_shown(image))
        converted.pts, converted.time_base = image.pts, self._given
        return converted


class FieldMarker:
    """Marks images as interlaced, with which field comes first. PyAV has no setter for that; a filter has."""

    def __init__(self, time_base: Fraction, *, top_field_first: bool) -> None:
        """Set the mark.

        Args:
            time_base: Seconds per tick of the images' pts.
            top_field_first: Whether the even rows are shown first.
        """
        self._time_base = time_base
        self._mode = "tff" if top_field_first else "bff"
        self._graph: Graph | None = None

    def mark(self, image: Image) -> Image:
        """Return a marked image that shares the pixels of this one."""
        if self._graph is None:
            self._graph = filter_graph(image, self._time_base, "setfield", self._mode)
        self._graph.vpush(image)
        return self._graph.vpull()


class PaletteMaker:
    """FFmpeg's palettegen and paletteuse: the best 256 colors for each image by itself."""

    def __init__(self, time_base: Fraction) -> None:
        """Prepare for images on one clock.

        Args:
            time_base: Seconds per tick of the images' pts.
        """
        self._time_base = time_base
        self._graph: Graph | None = None

    def map(self, image: Image | None) -> Iterator[Image]:
        """Take one RGB image, or None at the end, and yield the finished ones."""
        if self._graph is None:
            if image is None:
                return
            self._graph = _palette_graph(image, self._time_base)
        self._graph.vpush(image)
        while True:
            try:
                yield self._graph.vpull()
            except (BlockingIOError, EOFError):
                return


def _palette_graph(image: Image, time_base: Fraction) -> Graph:
    graph = Graph()
    graph.threads = 1
    source = graph.add_buffer(
        width=image.width, height=image.height, format=image.format, time_base=time_base
    )
    both = graph.add("split")
    palette = graph.add("palettegen", "stats_mode=single:reserve_transparent=0")
    mapping = graph.add("paletteuse", "new=1:dither=bayer:bayer_scale=4")
    source.link_to(both)
    both.link_to(palette, 0, 0)
    both.link_to(mapping, 1, 0)
    palette.link_to(mapping, 0, 1)
    mapping.link_to(graph.add("buffersink"))
    graph.configure()
    return graph


def _cut(image: Image, width: int, height: int) -> Image:
    fresh = blank_like(image, width=width, height=height)
    for target, source in zip(planes_of(fresh), planes_of(image), strict=True):
        rows, columns = target.shape
        target[:] = source[:rows, :columns]
    return fresh
