"""Where the heat of a frame lies: boxes around it and its strongest points, found in heatmaps alone."""

from __future__ import annotations

from streamcam.localization.localizer import Localizer
from streamcam.localization.settings import COMPONENTS, LocalizationSettings

__all__ = ["COMPONENTS", "LocalizationSettings", "Localizer"]
