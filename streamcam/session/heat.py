"""The heat of a live session: kept from the last explanation, and moved on to newer frames."""

from __future__ import annotations

import dataclasses

from streamcam.explanations import StabilizedFrame
from streamcam.frames import Frame
from streamcam.localization import LocalizationSettings, Localizer
from streamcam.session.threads import Explained
from streamcam.temporal import PaneStabilizer, Stabilizer, TemporalSettings


class LiveHeat:
    """The heat to show for each frame. Belongs to one thread.

    Attributes:
        explained: The last explanation.
        current: The heat of the last frame; None before the first explanation.
    """

    def __init__(self, settings: TemporalSettings, localization: LocalizationSettings | None = None) -> None:
        """Start without heat.

        Args:
            settings: How maps are smoothed in time.
            localization: What is looked for in the heat; nothing if None.
        """
        self.explained: Explained | None = None
        self.current: StabilizedFrame | None = None
        self._settings = settings
        self._stabilizer: Stabilizer | PaneStabilizer = Stabilizer(settings)
        self._localizer = Localizer(localization or LocalizationSettings())
        self._frozen: Frame | None = None

    def add(self, explained: Explained) -> None:
        """Add a finished explanation."""
        if self._frozen is not None and explained.frame is not self._frozen:
            return  # it was being computed when the session was frozen
        before, self.explained = self.explained, explained
        # Maps of another method or layer have another scale; and a frozen frame has no past.
        if self._frozen is not None or before is None or before.facts != explained.facts:
            self._stabilizer = self._new_stabilizer()
        self._push(explained)

    def set_smoothing(self, smoothing_s: float) -> None:
        """Smooth with another time constant from now on, in seconds."""
        self._settings = dataclasses.replace(self._settings, smoothing_s=smoothing_s)
        self._stabilizer = self._new_stabilizer()
        if self.explained is not None:
            self._push(self.explained)

    def freeze(self, frame: Frame | None) -> None:
        """Accept only explanations of this frame; None to accept all again."""
        self._frozen = frame

    def of(self, frame: Frame) -> StabilizedFrame | None:
        """Return a frame's own heat, or the last one moved along with the image; None before the first."""
        if self.current is not None and self.current.frame is not frame:
            moved = self._stabilizer.propagate(frame)
            if moved is not None:
                self.current = self._localizer.locate(moved)
        return self.current

    def _new_stabilizer(self) -> Stabilizer | PaneStabilizer:
        """Return a stabilizer that knows no frames, for as many panes as the last explanation has."""
        others = () if self.explained is None else self.explained.explanation.others
        return PaneStabilizer([self._settings] * (1 + len(others))) if others else Stabilizer(self._settings)

    def _push(self, explained: Explained) -> None:
        for stabilized in self._stabilizer.push(explained.frame, explained.explanation):
            self.current = self._localizer.locate(stabilized)
