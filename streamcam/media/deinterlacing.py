"""Making whole images of interlaced ones, whose odd and even rows show two instants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

from av.error import BlockingIOError, EOFError
from av.filter import Graph

from streamcam.media.images import Image, filter_graph

_WHOLE = "mode=send_frame:parity=auto:deint=interlaced"

_Shape = tuple[int, int, str]


class Deinterlacer:
    """FFmpeg's bwdif, for images that are marked as interlaced; others pass as they are.

    One image comes out for each that goes in, at the same time. It starts at the first interlaced
    image; from then on it holds one back, because it looks at the next.

    Attributes:
        has_worked: Whether an interlaced image has come.
    """

    def __init__(self, time_base: Fraction) -> None:
        """Assign.

        Args:
            time_base: Seconds per tick of the images' pts.
        """
        self._time_base = time_base
        self._graph: Graph | None = None
        self._shape: _Shape | None = None
        self.has_worked = False

    def deinterlaced(self, images: Iterable[Image]) -> Iterator[Image]:
        """Yield the same images, whole."""
        for image in images:
            if self._graph is None and not image.interlaced_frame:
                yield image
                continue
            self.has_worked = True
            shape = (image.width, image.height, image.format.name)
            if shape != self._shape:
                yield from self._drained()
                self._shape, self._graph = shape, filter_graph(image, self._time_base, "bwdif", _WHOLE)
            assert self._graph is not None
            self._graph.push(image)
            yield from self._finished()
        yield from self._drained()

    def _finished(self) -> Iterator[Image]:
        """Yield what the filter gives, back on the video's own clock: it counts in half ticks."""
        assert self._graph is not None
        while True:
            try:
                image = self._graph.vpull()
            except (BlockingIOError, EOFError):
                return
            if image.pts is not None and image.time_base is not None:
                image.pts = round(image.pts * image.time_base / self._time_base)
            image.time_base = self._time_base
            yield image

    def _drained(self) -> Iterator[Image]:
        if self._graph is not None:
            self._graph.vpush(None)
            yield from self._finished()
            self._graph = None


def is_top_field_first(image: Image) -> bool:
    """Tell whether the even rows of an interlaced image are shown before the odd ones.

    A codec's own word for all its images is wrong for some; this one's mark is read by FFmpeg's select.
    """
    graph = filter_graph(image, Fraction(1, 25), "select", "eq(interlace_type,TOPFIRST)")
    graph.vpush(image)
    try:
        graph.vpull()
    except BlockingIOError:
        return False
    return True
