"""The overlay stage: draws heatmaps, labels and boxes onto frames."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from streamcam.explanations import Instance, Prediction, StabilizedFrame
from streamcam.media.images import Image
from streamcam.overlay.blending import HeatBlender
from streamcam.overlay.boxes import PLAIN_COLOR, BoxPainter, ColoredInstance
from streamcam.overlay.label_panel import ACCENT, LabelLine, LabelPanel
from streamcam.overlay.sprites import Rgb
from streamcam.overlay.tinting import AGAINST_COLOR, FOR_COLOR, PALETTE, Tinter, split_by_sign


@dataclasses.dataclass(frozen=True, slots=True)
class OverlaySettings:
    """Settings of the overlay."""

    colormap: str = "turbo"
    """Name of a color map in `COLORMAPS`."""
    alpha: float = 0.45
    """Weight of full heat, from 0 (none) to 1 (only heat)."""
    blend: str = "ramp"
    """How the weight follows the strength of the heat: "ramp" lets it rise smoothly, so that what is not
    heated stays as it was filmed; "even" is the same weight everywhere, as in the papers."""
    labels: bool = True
    """Whether to draw the predicted labels."""
    boxes: bool = True
    """Whether to draw boxes, masks and labels of detected objects."""


_LEGEND = (
    LabelLine("for", None, marked=True, color=FOR_COLOR),
    LabelLine("against", None, marked=True, color=AGAINST_COLOR),
)
"""Lines below the classes of a signed map."""

_NO_HEAT = np.zeros((1, 1), np.float32)


class Overlay:
    """Draws heatmaps, labels and boxes onto the frames of one video. Not thread-safe."""

    def __init__(self, settings: OverlaySettings | None = None) -> None:
        """Check and apply the settings.

        Args:
            settings: What to draw; the defaults if None.

        Raises:
            InvalidArgumentError: if a setting cannot be used.
        """
        self._settings = settings or OverlaySettings()
        self._blender = HeatBlender(self._settings.colormap, self._settings.alpha, self._settings.blend)
        self._tinter = Tinter(self._settings.alpha)
        self._boxes = BoxPainter()
        self._panel = LabelPanel()

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the user about the frames drawn so far, one sentence each."""
        missing = dict.fromkeys((*self._panel.missing, *self._boxes.missing))
        if not missing:
            return ()
        characters = " ".join(missing)
        return (f"No font here has the characters {characters}; name a font file in STREAMCAM_FONT",)

    def draw(self, stabilized: StabilizedFrame) -> Image:
        """Draw heatmaps, boxes and labels onto a frame.

        A single class is shown through the color map, several classes in one color each, and evidence for and
        against a class in two colors.

        Args:
            stabilized: The frame with everything to draw.

        Returns:
            A fresh image; the frame is not changed.
        """
        image, region = stabilized.frame.image, stabilized.explanation.region
        heatmaps = list(stabilized.heatmaps.values()) or [_NO_HEAT]
        colors = list[Rgb]()
        if stabilized.explanation.signed:
            colors = [FOR_COLOR]
            evidence = split_by_sign(heatmaps[0])
            drawn = self._tinter.tint(image, evidence, [FOR_COLOR, AGAINST_COLOR], region)
        elif len(heatmaps) > 1:
            colors = [PALETTE[number % len(PALETTE)] for number in range(len(heatmaps))]
            drawn = self._tinter.tint(image, heatmaps, colors, region)
        else:
            drawn = self._blender.blend(image, heatmaps[0], region)
        if self._settings.boxes and stabilized.instances:
            self._boxes.draw(drawn, _color_instances(stabilized.instances, stabilized.targets, colors))
        if self._settings.labels:
            signed = stabilized.explanation.signed
            lines = _list_labels(stabilized.labels, stabilized.targets, [] if signed else colors)
            self._panel.draw(drawn, [*lines, *_LEGEND] if signed else lines)
        return drawn


def _color_instances(
    instances: Sequence[Instance], targets: Sequence[Prediction], colors: Sequence[Rgb]
) -> list[ColoredInstance]:
    """Give each object its class's color; objects of explained classes come last, and so on top."""
    class_colors = _class_colors(targets, colors)
    colored = [
        ColoredInstance(instance, class_colors.get(instance.class_index) or ACCENT)
        if instance.class_index in class_colors
        else ColoredInstance(instance, PLAIN_COLOR)
        for instance in instances
    ]
    return sorted(colored, key=lambda one: one.instance.class_index in class_colors)


def _list_labels(
    labels: Sequence[Prediction], targets: Sequence[Prediction], colors: Sequence[Rgb]
) -> list[LabelLine]:
    """List the most probable classes, and the explained ones that are not among them."""
    explained = {target.index: target for target in targets}
    listed = {label.index: label for label in labels}
    listed |= {index: target for index, target in explained.items() if index not in listed}
    class_colors = _class_colors(targets, colors)
    return [
        LabelLine(
            explained.get(index, prediction).label,
            None if index < 0 or prediction.value is not None else prediction.probability,
            value=prediction.value,
            marked=index in explained,
            color=class_colors.get(index),
        )
        for index, prediction in listed.items()
    ]


def _class_colors(targets: Sequence[Prediction], colors: Sequence[Rgb]) -> dict[int, Rgb | None]:
    """Map each explained class to its color; to None if a single class is shown through the color map."""
    if not colors:
        return dict.fromkeys(target.index for target in targets)
    return dict(zip((target.index for target in targets), colors, strict=True))
