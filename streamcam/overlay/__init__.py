"""Overlay: blend heatmaps onto frames, and draw labels and boxes."""

from streamcam.overlay.colormaps import COLORMAPS
from streamcam.overlay.corners import LABEL_POSITIONS
from streamcam.overlay.layouts import LAYOUTS
from streamcam.overlay.overlay import Overlay
from streamcam.overlay.panes import PaneOverlay
from streamcam.overlay.settings import OverlaySettings

__all__ = ["COLORMAPS", "LABEL_POSITIONS", "LAYOUTS", "Overlay", "OverlaySettings", "PaneOverlay"]
