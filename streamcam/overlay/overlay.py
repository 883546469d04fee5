"""One frame and its explanation in, one finished picture out."""

from __future__ import annotations

import dataclasses

from streamcam.frames import Explanation, Frame
from streamcam.overlay.blending import HeatBlender
from streamcam.overlay.labels import LabelLine, LabelPanel
from streamcam.overlay.smoothing import Smoother, scale_to_unit
from streamcam.pictures import Picture


@dataclasses.dataclass(frozen=True, slots=True)
class OverlaySettings:
    """How the heat looks."""

    colormap: str = "turbo"
    """A name in `COLORMAPS`."""
    alpha: float = 0.45
    """Weight of the heat, from 0 (none) to 1 (only heat)."""
    smoothing_s: float = 0.4
    """Time constant of the smoothing in seconds; 0 turns it off."""
    labels: bool = True
    """Whether the predicted labels are drawn."""


class Overlay:
    """Draws explanations onto the frames of one film, in order. Belongs to one thread."""

    def __init__(self, settings: OverlaySettings | None = None) -> None:
        """Make ready.

        Args:
            settings: How it is to look; the defaults if None.

        Raises:
            InvalidArgumentError: if a setting cannot be used.
        """
        self._settings = settings or OverlaySettings()
        self._blender = HeatBlender(self._settings.colormap, self._settings.alpha)
        self._smoother = Smoother(self._settings.smoothing_s)
        self._panel = LabelPanel()

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about what was drawn so far, a sentence each."""
        missing = self._panel.missing
        if not missing:
            return ()
        return (f"no font here has the characters {' '.join(missing)}; name a font file in STREAMCAM_FONT",)

    def draw(self, frame: Frame, explanation: Explanation) -> Picture:
        """Blend the heat of the first class explained, and draw the labels.

        Returns:
            A fresh picture; the frame stays as it is.
        """
        shown = explanation.targets[0]
        smoothed = self._smoother.update(explanation.heatmaps[shown.index], frame.time_s)
        picture = self._blender.blend(frame.image, scale_to_unit(smoothed), explanation.region)
        if self._settings.labels:
            self._panel.paint(picture, _lines(explanation))
        return picture


def _lines(explanation: Explanation) -> list[LabelLine]:
    """The best classes, and the one explained where it is not among them."""
    shown = explanation.targets[0]
    listed = list(explanation.predictions)
    if shown.index not in {prediction.index for prediction in listed}:
        listed.append(shown)
    return [
        LabelLine(prediction.label, prediction.probability, marked=prediction.index == shown.index)
        for prediction in listed
    ]
