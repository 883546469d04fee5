"""Stage 3: colouring heat, blending it, drawing the labels."""

from streamcam.overlay.colormaps import COLORMAPS
from streamcam.overlay.overlay import Overlay, OverlaySettings

__all__ = ["COLORMAPS", "Overlay", "OverlaySettings"]
