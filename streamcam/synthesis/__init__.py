"""Synthesis: images that a network makes, to show what its classes and channels respond to."""

from __future__ import annotations

from streamcam.synthesis.maximization import MaximizedImage, MaximizeSettings, maximize
from streamcam.synthesis.sheets import draw_sheet

__all__ = ["MaximizeSettings", "MaximizedImage", "draw_sheet", "maximize"]
