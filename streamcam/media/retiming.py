"""Showing a video at another rate: images are repeated or left out, never mixed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

from av.error import BlockingIOError, EOFError
from av.filter import Graph

from streamcam.media.images import Image, filter_graph


def retimed(images: Iterable[Image], time_base: Fraction, rate: Fraction) -> Iterator[Image]:
    """Yield one image for every 1/rate of a second, from the first one's time to the last one's end.

    Each is the one that was to be seen at that instant (FFmpeg's fps).

    Args:
        images: All of one size and format, in order of time.
        time_base: Seconds per tick of their pts.
        rate: Images per second.
    """
    graph: Graph | None = None
    for image in images:
        if graph is None:
            graph = filter_graph(image, time_base, "fps", f"fps={rate}:round=up")
        if not image.duration:
            image.duration = 1  # else the last one would not be shown at all
        graph.vpush(image)
        yield from _finished(graph)
    if graph is not None:
        graph.vpush(None)
        yield from _finished(graph)


def _finished(graph: Graph) -> Iterator[Image]:
    while True:
        try:
            yield graph.vpull()
        except (BlockingIOError, EOFError):
            return
