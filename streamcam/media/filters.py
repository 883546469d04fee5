"""FFmpeg's filters for images: deinterlacing, another frame rate, field order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

from av.error import BlockingIOError, EOFError
from av.filter import Graph

from streamcam.media.images import Image

_DEINTERLACE = "mode=send_frame:parity=auto:deint=interlaced"

_Shape = tuple[int, int, str]


def filter_graph(image: Image, time_base: Fraction, name: str, arguments: str) -> Graph:
    """Set up one of FFmpeg's filters for images of one size and format.

    Args:
        image: First image, whose size and format all have.
        time_base: Seconds per tick of their pts.
        name: Name of the filter.
        arguments: Its options, as FFmpeg writes them.

    Returns:
        A graph to push images into and to pull them from; it belongs to one thread.
    """
    graph = Graph()
    graph.threads = 1
    source = graph.add(
        "buffer",
        video_size=f"{image.width}x{image.height}",
        pix_fmt=image.format.name,
        time_base=str(time_base),
        pixel_aspect="1/1",
        colorspace=str(image.colorspace),
        range=str(image.color_range),
    )
    graph.link_nodes(source, graph.add(name, arguments), graph.add("buffersink")).configure()
    return graph


class Deinterlacer:
    """FFmpeg's bwdif, for images that are marked as interlaced; others pass as they are.

    One image comes out for each that goes in, at the same time. It starts at the first interlaced image;
    from then on it holds one back, because it looks at the next.

    Attributes:
        has_worked: Whether there was an interlaced image.
    """

    def __init__(self, time_base: Fraction) -> None:
        """Prepare for one stream.

        Args:
            time_base: Seconds per tick of the images' pts.
        """
        self._time_base = time_base
        self._graph: Graph | None = None
        self._shape: _Shape | None = None
        self.has_worked = False

    def deinterlace(self, images: Iterable[Image]) -> Iterator[Image]:
        """Yield the same images, deinterlaced."""
        for image in images:
            if self._graph is None and not image.interlaced_frame:
                yield image
                continue
            self.has_worked = True
            shape = (image.width, image.height, image.format.name)
            if shape != self._shape:
                yield from self._drain()
                self._shape, self._graph = shape, filter_graph(image, self._time_base, "bwdif", _DEINTERLACE)
            assert self._graph is not None
            self._graph.push(image)
            yield from self._pull()
        yield from self._drain()

    def _pull(self) -> Iterator[Image]:
        """Yield what the filter has finished, back on the video's own clock: it counts in half ticks."""
        assert self._graph is not None
        for image in _pull_all(self._graph):
            if image.pts is not None and image.time_base is not None:
                image.pts = round(image.pts * image.time_base / self._time_base)
                image.duration = round(image.duration * image.time_base / self._time_base)
            image.time_base = self._time_base
            yield image

    def _drain(self) -> Iterator[Image]:
        if self._graph is not None:
            self._graph.vpush(None)
            yield from self._pull()
            self._graph = None


def is_top_field_first(image: Image) -> bool:
    """Return whether the even rows of an interlaced image are shown before the odd ones.

    What a codec says of all its images is wrong for some; the mark of this one is read by FFmpeg's select.
    """
    graph = filter_graph(image, Fraction(1, 25), "select", "eq(interlace_type,TOPFIRST)")
    graph.vpush(image)
    return next(_pull_all(graph), None) is not None


def retime(images: Iterable[Image], time_base: Fraction, rate: Fraction) -> Iterator[Image]:
    """Change the frame rate by repeating or leaving out images (FFmpeg's fps); none are mixed.

    Args:
        images: Images of one size and format, in order of time.
        time_base: Seconds per tick of their pts.
        rate: Images per second.

    Yields:
        One image for every 1/rate of a second, from the first one's time to the last one's end: the one that
        is shown at that instant.
    """
    graph: Graph | None = None
    for image in images:
        if graph is None:
            graph = filter_graph(image, time_base, "fps", f"fps={rate}:round=up")
        if not image.duration:
            image.duration = 1  # else the last one would not be shown at all
        graph.vpush(image)
        yield from _pull_all(graph)
    if graph is not None:
        graph.vpush(None)
        yield from _pull_all(graph)


def _pull_all(graph: Graph) -> Iterator[Image]:
    """Yield what a graph has finished."""
    while True:
        try:
            yield graph.vpull()
        except (BlockingIOError, EOFError):
            return
