"""Showing a film at another rate: pictures are repeated or left out, never mixed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

from av.error import BlockingIOError, EOFError
from av.filter import Graph

from streamcam.pictures import Picture, filter_graph


def retimed(pictures: Iterable[Picture], time_base: Fraction, rate: Fraction) -> Iterator[Picture]:
    """Yield one picture for every 1/rate of a second, from the first one's time to the last one's end.

    Each is the one that was to be seen at that instant (FFmpeg's fps).

    Args:
        pictures: All of one size and format, in order of time.
        time_base: Seconds per tick of their pts.
        rate: Pictures per second.
    """
    graph: Graph | None = None
    for picture in pictures:
        if graph is None:
            graph = filter_graph(picture, time_base, "fps", f"fps={rate}:round=up")
        if not picture.duration:
            picture.duration = 1  # else the last one would not be shown at all
        graph.vpush(picture)
        yield from _finished(graph)
    if graph is not None:
        graph.vpush(None)
        yield from _finished(graph)


def _finished(graph: Graph) -> Iterator[Picture]:
    while True:
        try:
            yield graph.vpull()
        except (BlockingIOError, EOFError):
            return
