"""Marking images as interlaced for the encoders that can say so in a file."""

from __future__ import annotations

from fractions import Fraction

from av.filter import Graph

from streamcam.media.images import Image, filter_graph

INTERLACED = {
    "libx264": {"flags": "+ildct+ilme"},
    "mpeg2video": {"flags": "+ildct+ilme"},
    "prores_ks": {"flags": "+ildct"},
}
"""Encoder → the options with which it takes images for interlaced ones."""

TOP_FIRST, BOTTOM_FIRST = 2, 3
"""AV_FIELD_TT and AV_FIELD_BB, as an encoder's context is told."""


class FieldMarker:
    """Says of every image which of its fields comes first; PyAV has no setter for that, a filter has."""

    def __init__(self, time_base: Fraction, *, top_field_first: bool) -> None:
        """Assign.

        Args:
            time_base: Seconds per tick of the images' pts.
            top_field_first: Whether the even rows are shown first.
        """
        self._time_base = time_base
        self._mode = "tff" if top_field_first else "bff"
        self._graph: Graph | None = None

    def marked(self, image: Image) -> Image:
        """Return the same image, marked; its pixels are shared."""
        if self._graph is None:
            self._graph = filter_graph(image, self._time_base, "setfield", self._mode)
        self._graph.vpush(image)
        return self._graph.vpull()
