"""Settings of the overlay."""

from __future__ import annotations

import dataclasses

from streamcam.errors import InvalidArgumentError, unknown_name
from streamcam.overlay.corners import LABEL_POSITIONS, Corner

SMALLEST_LABELS, LARGEST_LABELS = 0.5, 4.0
"""Ends of `OverlaySettings.label_size`."""


@dataclasses.dataclass(frozen=True, slots=True)
class OverlaySettings:
    """Settings of the overlay."""

    layout: str = "overlay"
    """How a frame is shown: a name in `streamcam.overlay.LAYOUTS`."""
    colormap: str = "turbo"
    """Name of a color map in `COLORMAPS`."""
    alpha: float = 0.45
    """Weight of full heat, from 0 (none) to 1 (only heat)."""
    blend: str = "ramp"
    """How the weight follows the strength of the heat: "ramp" lets it rise smoothly, so that what is not
    heated stays as it was filmed; "even" is the same weight everywhere, as in the papers."""
    legend: bool = False
    """Whether to draw a bar of the color map's colors, or one of each class's where there are several."""
    labels: bool = True
    """Whether to draw the predicted labels."""
    label_size: float = 1.0
    """Size of all text on the image, as a factor of what suits the image's size; 0.5 to 4."""
    label_position: str = "top-left"
    """Corner of the label panel: a name in `streamcam.overlay.LABEL_POSITIONS`."""
    caption: str = ""
    """Words at the lower edge that say what is shown; lines that are too long are broken."""
    opacity_from_confidence: bool = False
    """Whether the weight of heat is multiplied by the probability of the class that it is of."""
    boxes: bool = True
    """Whether to draw boxes, outlines and labels of detected objects, and of heat where it was localized."""

    @property
    def corner(self) -> Corner:
        """The corner of the label panel.

        Raises:
            UnknownNameError: if there is no such position.
        """
        if self.label_position not in LABEL_POSITIONS:
            raise unknown_name("label position", self.label_position, LABEL_POSITIONS)
        return LABEL_POSITIONS[self.label_position]

    def check_text(self) -> None:
        """Check the settings of text.

        Raises:
            InvalidArgumentError: if one of them cannot be used.
        """
        if not SMALLEST_LABELS <= self.label_size <= LARGEST_LABELS:
            raise InvalidArgumentError(
                f"`label_size` is a factor from {SMALLEST_LABELS:g} to {LARGEST_LABELS:g}, not "
                f"{self.label_size:g}"
            )
        _ = self.corner
