"""Overlay: blend heatmaps onto frames, and draw labels and boxes."""

from streamcam.overlay.colormaps import COLORMAPS
from streamcam.overlay.overlay import Overlay, OverlaySettings

__all__ = ["COLORMAPS", "Overlay", "OverlaySettings"]
