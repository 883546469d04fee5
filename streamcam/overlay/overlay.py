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
from streamcam.overlay.tinting import AGAINST_COLOR, FOR_COLOR, PALETTE, Tinter, split_by_sign


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

        One class is shown through the color map, several in a color each, and evidence for and against a
        class in two.

        Returns:
            A fresh image; the frame stays as it is.
        """
        image, region = stabilized.frame.image, stabilized.explanation.region
        heats = list(stabilized.heatmaps.values()) or [_NO_HEAT]
        colors = list[Rgb]()
        if stabilized.explanation.signed:
            colors = [FOR_COLOR]
            drawn = self._tinter.tint(image, split_by_sign(heats[0]), [FOR_COLOR, AGAINST_COLOR], region)
        elif len(heats) > 1:
            colors = [PALETTE[number % len(PALETTE)] for number in range(len(heats))]
            drawn = self._tinter.tint(image, heats, colors, region)
        else:
            drawn = self._blender.blend(image, heats[0], region)
        if self._settings.labels:
            self._panel.draw(drawn, _lines(stabilized.labels, stabilized.targets, colors))
        return drawn


def _lines(
    labels: Sequence[Prediction], shown: Sequence[Prediction], colors: Sequence[Rgb]
) -> list[LabelLine]:
    """The best classes, and those whose heat is shown where they are not among them."""
    explained = {target.index: target for target in shown}
    listed = {label.index: label for label in labels}
    listed |= {index: target for index, target in explained.items() if index not in listed}
    own_color = dict(zip(explained, colors, strict=bool(colors)))
    return [
        LabelLine(
            explained.get(index, prediction).label,
            prediction.probability,
            marked=index in explained,
            color=own_color.get(index),
        )
        for index, prediction in listed.items()
    ]
