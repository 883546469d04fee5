"""The heat of a live preview: kept from the last explanation, and carried on to newer images."""

from __future__ import annotations

import dataclasses

from streamcam.explanations import StabilizedFrame
from streamcam.frames import Frame
from streamcam.session.stages import Explained
from streamcam.temporal import Stabilizer, TemporalSettings


class LiveHeat:
    """What heat to show of each image. Belongs to one thread.

    Attributes:
        explained: The last explanation that was taken.
        current: The heat shown last.
    """

    def __init__(self, settings: TemporalSettings) -> None:
        """Make ready.

        Args:
            settings: How explanations are stabilized.
        """
        self.explained: Explained | None = None
        self.current: StabilizedFrame | None = None
        self._settings = settings
        self._steadier = Stabilizer(settings)
        self._frozen: Frame | None = None

    def take(self, explained: Explained) -> None:
        """Take a finished explanation."""
        if self._frozen is not None and explained.frame is not self._frozen:
            return  # it was under way when the image was frozen
        before, self.explained = self.explained, explained
        # Maps of another method or layer have another scale; and a frozen image has no past.
        if self._frozen is not None or before is None or before.facts != explained.facts:
            self._steadier = Stabilizer(self._settings)
        self._push(explained)

    def set_smoothing(self, seconds: float) -> None:
        """Steady with another time constant from now on."""
        self._settings = dataclasses.replace(self._settings, smoothing_s=seconds)
        self._steadier = Stabilizer(self._settings)
        if self.explained is not None:
            self._push(self.explained)

    def freeze(self, frame: Frame | None) -> None:
        """Take only explanations of this frame; None to take all again."""
        self._frozen = frame

    def of(self, frame: Frame) -> StabilizedFrame | None:
        """The heat to show of a frame: its own, or the last one's carried on; None before the first."""
        if self.current is not None and self.current.frame is not frame:
            carried = self._steadier.propagate(frame)
            if carried is not None:
                self.current = carried
        return self.current

    def _push(self, explained: Explained) -> None:
        for stabilized in self._steadier.push(explained.frame, explained.explanation):
            self.current = stabilized
