"""One frame with its heat in, one finished image out."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from streamcam.explanations import Prediction, StabilizedFrame
from streamcam.media.images import Image
from streamcam.overlay.blending import HeatBlender
from streamcam.overlay.label_panel import LabelLine, LabelPanel
from streamcam.overlay.sprites import Rgb
from streamcam.overlay.tinting import AGAINST, FOR, PALETTE, Tinter, for_and_against


@dataclasses.dataclass(frozen=True, slots=True)
class OverlaySettings:
    """How the heat looks."""

    colormap: str = "turbo"
    """A name in `COLORMAPS`."""
    alpha: float = 0.45
    """Weight of the heat, from 0 (none) to 1 (only heat)."""
    labels: bool = True
    """Whether the predicted labels are drawn."""


_NO_HEAT = np.zeros((1, 1), np.float32)


class Overlay:
    """Draws heat and labels onto the frames of one video. Belongs to one thread."""

    def __init__(self, settings: OverlaySettings | None = None) -> None:
        """Make ready.

        Args:
            settings: How it is to look; the defaults if None.

        Raises:
            InvalidArgumentError: if a setting cannot be used.
        """
        self._settings = settings or OverlaySettings()
        self._blender = HeatBlender(self._settings.colormap, self._settings.alpha)
        self._tinter = Tinter(self._settings.alpha)
        self._panel = LabelPanel()

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about what was drawn so far, a sentence each."""
        missing = self._panel.missing
        if not missing:
            return ()
        return (f"no font here has the characters {' '.join(missing)}; name a font file in STREAMCAM_FONT",)

    def draw(self, stabilized: StabilizedFrame) -> Image:
        """Blend the heat of the classes explained, and draw the labels.

        One class is shown through the colour map, several in a colour each, and evidence for and against a
        class in two.

        Returns:
            A fresh image; the frame stays as it is.
        """
        image, region = stabilized.frame.image, stabilized.explanation.region
        heats = list(stabilized.heatmaps.values()) or [_NO_HEAT]
        colours = list[Rgb]()
        if stabilized.explanation.signed:
            colours = [FOR]
            drawn = self._tinter.tint(image, for_and_against(heats[0]), [FOR, AGAINST], region)
        elif len(heats) > 1:
            colours = [PALETTE[number % len(PALETTE)] for number in range(len(heats))]
            drawn = self._tinter.tint(image, heats, colours, region)
        else:
            drawn = self._blender.blend(image, heats[0], region)
        if self._settings.labels:
            self._panel.paint(drawn, _lines(stabilized.labels, stabilized.targets, colours))
        return drawn


def _lines(
    labels: Sequence[Prediction], shown: Sequence[Prediction], colours: Sequence[Rgb]
) -> list[LabelLine]:
    """The best classes, and those whose heat is shown where they are not among them."""
    explained = {target.index: target for target in shown}
    listed = {label.index: label for label in labels}
    listed |= {index: target for index, target in explained.items() if index not in listed}
    own_colour = dict(zip(explained, colours, strict=bool(colours)))
    return [
        LabelLine(
            explained.get(index, prediction).label,
            prediction.probability,
            marked=index in explained,
            colour=own_colour.get(index),
        )
        for index, prediction in listed.items()
    ]
