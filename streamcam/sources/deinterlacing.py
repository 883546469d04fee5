"""Making whole pictures of interlaced ones, whose odd and even rows show two instants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

from av.error import BlockingIOError, EOFError
from av.filter import Graph

from streamcam.pictures import Picture, filter_graph

_WHOLE = "mode=send_frame:parity=auto:deint=interlaced"

_Shape = tuple[int, int, str]


class Deinterlacer:
    """FFmpeg's bwdif, for pictures that are marked as interlaced; others pass as they are.

    One picture comes out for each that goes in, at the same time. It starts at the first interlaced
    picture; from then on it holds one back, because it looks at the next.

    Attributes:
        has_worked: Whether an interlaced picture has come.
    """

    def __init__(self, time_base: Fraction) -> None:
        """Assign.

        Args:
            time_base: Seconds per tick of the pictures' pts.
        """
        self._time_base = time_base
        self._graph: Graph | None = None
        self._shape: _Shape | None = None
        self.has_worked = False

    def deinterlaced(self, pictures: Iterable[Picture]) -> Iterator[Picture]:
        """Yield the same pictures, whole."""
        for picture in pictures:
            if self._graph is None and not picture.interlaced_frame:
                yield picture
                continue
            self.has_worked = True
            shape = (picture.width, picture.height, picture.format.name)
            if shape != self._shape:
                yield from self._drained()
                self._shape, self._graph = shape, filter_graph(picture, self._time_base, "bwdif", _WHOLE)
            assert self._graph is not None
            self._graph.push(picture)
            yield from self._finished()
        yield from self._drained()

    def _finished(self) -> Iterator[Picture]:
        """Yield what the filter gives, back on the film's own clock: it counts in half ticks."""
        assert self._graph is not None
        while True:
            try:
                picture = self._graph.vpull()
            except (BlockingIOError, EOFError):
                return
            if picture.pts is not None and picture.time_base is not None:
                picture.pts = round(picture.pts * picture.time_base / self._time_base)
            picture.time_base = self._time_base
            yield picture

    def _drained(self) -> Iterator[Picture]:
        if self._graph is not None:
            self._graph.vpush(None)
            yield from self._finished()
            self._graph = None


def is_top_field_first(picture: Picture) -> bool:
    """Tell whether the even rows of an interlaced picture are shown before the odd ones.

    A codec's own word for all its pictures is wrong for some; this one's mark is read by FFmpeg's select.
    """
    graph = filter_graph(picture, Fraction(1, 25), "select", "eq(interlace_type,TOPFIRST)")
    graph.vpush(picture)
    try:
        graph.vpull()
    except BlockingIOError:
        return False
    return True
