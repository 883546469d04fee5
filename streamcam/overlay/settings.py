"""Settings of the overlay."""

from __future__ import annotations

import dataclasses


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
    """Whether to draw a bar of the color map's colors; other colors are named beside the labels."""
    labels: bool = True
    """Whether to draw the predicted labels."""
    boxes: bool = True
    """Whether to draw boxes, outlines and labels of detected objects, and of heat where it was localized."""
