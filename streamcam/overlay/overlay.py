"""One frame and its explanation in, one finished picture out."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from streamcam.frames import Explanation, FloatArray, Frame, Prediction
from streamcam.overlay.blending import HeatBlender
from streamcam.overlay.labels import LabelLine, LabelPanel
from streamcam.overlay.smoothing import Smoother, scale_to_unit
from streamcam.overlay.sprites import Rgb
from streamcam.overlay.tinting import AGAINST, FOR, PALETTE, Tinter, for_and_against
from streamcam.pictures import Picture

_ONLY = -(2**31)
"""The slot of a film in which one class at a time is explained; no class has that index."""


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
        self._tinter = Tinter(self._settings.alpha)
        self._smoothers = {_ONLY: Smoother(self._settings.smoothing_s)}
        self._panel = LabelPanel()

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about what was drawn so far, a sentence each."""
        missing = self._panel.missing
        if not missing:
            return ()
        return (f"no font here has the characters {' '.join(missing)}; name a font file in STREAMCAM_FONT",)

    def draw(self, frame: Frame, explanation: Explanation) -> Picture:
        """Blend the heat of the classes explained, and draw the labels.

        One class is shown through the colour map, several in a colour each, and evidence for and against a
        class in two.

        Returns:
            A fresh picture; the frame stays as it is.
        """
        maps = self._smoothed(explanation, frame.time_s)
        shown, colours = explanation.targets, list[Rgb]()
        if explanation.signed:  # two colours for one class: others have none left
            shown, colours = shown[:1], [FOR]
            heats = list(for_and_against(maps[0]))
            picture = self._tinter.tint(frame.image, heats, [FOR, AGAINST], explanation.region)
        elif len(maps) > 1:
            colours = [PALETTE[number % len(PALETTE)] for number in range(len(maps))]
            heats = [scale_to_unit(one) for one in maps]
            picture = self._tinter.tint(frame.image, heats, colours, explanation.region)
        else:
            picture = self._blender.blend(frame.image, scale_to_unit(maps[0]), explanation.region)
        if self._settings.labels:
            self._panel.paint(picture, _lines(explanation, shown, colours))
        return picture

    def _smoothed(self, explanation: Explanation, time_s: float) -> list[FloatArray]:
        """Smooth each class by itself; a single one is followed even where it is another in every frame."""
        several = len(explanation.targets) > 1
        slots = [target.index if several else _ONLY for target in explanation.targets]
        self._smoothers = {
            slot: self._smoothers.get(slot) or Smoother(self._settings.smoothing_s) for slot in slots
        }
        return [
            self._smoothers[slot].update(explanation.heatmaps[target.index], time_s)
            for slot, target in zip(slots, explanation.targets, strict=True)
        ]


def _lines(explanation: Explanation, shown: Sequence[Prediction], colours: Sequence[Rgb]) -> list[LabelLine]:
    """The best classes, and those whose heat is shown where they are not among them."""
    explained = {target.index: target for target in shown}
    listed = {prediction.index: prediction for prediction in (*explanation.predictions, *explained.values())}
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
