"""Drawing of a live session's frames with settings that change while it runs."""

from __future__ import annotations

import dataclasses
import functools

from streamcam.explanations import StabilizedFrame
from streamcam.frames import Frame
from streamcam.media.images import Image
from streamcam.overlay import Overlay, OverlaySettings, PaneOverlay
from streamcam.panes import PaneGrid
from streamcam.session.outputs import LiveFrame
from streamcam.session.wall_painter import WallPainter

_SMALLEST = 16
"""Smallest side of a canvas in pixels; smaller windows show a scaled-down canvas of this size."""


class Compositor:
    """Draws frames and their heat. Belongs to one thread."""

    def __init__(self) -> None:
        self._overlay = functools.lru_cache(maxsize=4)(Overlay)
        self._pane_overlay = functools.lru_cache(maxsize=2)(_pane_overlay)
        self._walls = functools.cache(lambda: WallPainter(lambda: Compositor().compose))

    def compose_live(self, live_frame: LiveFrame, size: tuple[int, int] | None = None) -> Image:
        """Draw what a session shows: its frame, or the tiles of several streams.

        Args:
            live_frame: What is shown.
            size: (width, height) of the canvas in pixels; None for what a frame's layout needs at its size,
                and for `streamcam.session.wall.CANVAS`.
        """
        if live_frame.tiles:
            return self._walls().draw(live_frame, None if size is None else (_even(size[0]), _even(size[1])))
        return self.compose(live_frame.frame, live_frame.heat, live_frame.state.view.overlay, size)

    def compose(
        self,
        frame: Frame,
        stabilized: StabilizedFrame | None,
        settings: OverlaySettings,
        size: tuple[int, int] | None = None,
    ) -> Image:
        """Draw one canvas.

        Args:
            frame: The frame to show.
            stabilized: Its heat; None to show the bare frame.
            settings: How frame and heat look.
            size: (width, height) of the canvas in pixels; None for what the layout needs at the frame's size.

        Returns:
            A fresh image, with black where no view lies.
        """
        canvas = None if size is None else (_even(size[0]), _even(size[1]))
        drawn = frame if stabilized is None else dataclasses.replace(stabilized, frame=frame)
        if stabilized is not None and stabilized.others:
            # As large as the frame, so that a recording keeps its size.
            canvas = canvas or (_even(frame.image.width), _even(frame.image.height))
            return self._pane_overlay(1 + len(stabilized.others), settings).draw(drawn, canvas)
        return self._overlay(settings).draw(drawn, canvas)

    def measure_caption(self, settings: OverlaySettings, image: Image) -> int:
        """Return how many rows at the lower edge the caption takes of a canvas that was drawn."""
        return self._overlay(settings).measure_caption(image.width, image.height)


def _pane_overlay(panes: int, settings: OverlaySettings) -> PaneOverlay:
    """Make the overlay of several panes, which show one image each."""
    return PaneOverlay(PaneGrid(panes), dataclasses.replace(settings, layout="overlay"))


def _even(length: float) -> int:
    return max(2 * int(length / 2), _SMALLEST)
