"""Stage 3: smoothing maps in time, colouring and blending them, drawing the labels."""

from streamcam.overlay.colormaps import COLORMAPS
from streamcam.overlay.overlay import Overlay, OverlaySettings
from streamcam.overlay.smoothing import Smoother

__all__ = ["COLORMAPS", "Overlay", "OverlaySettings", "Smoother"]
