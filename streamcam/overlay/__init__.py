"""Stage 3: colouring heat, blending it, drawing the labels."""

from streamcam.overlay.colormaps import COLORMAPS
from streamcam.overlay.compositing import LAYOUTS, Compositor
from streamcam.overlay.hud import Hud, HudState
from streamcam.overlay.overlay import Overlay, OverlaySettings

__all__ = ["COLORMAPS", "LAYOUTS", "Compositor", "Hud", "HudState", "Overlay", "OverlaySettings"]
