"""Between explaining and drawing: what makes single explanations hold together in time."""

from streamcam.temporal.smoothing import Smoother
from streamcam.temporal.steadier import Steadier, TemporalSettings, steady

__all__ = ["Smoother", "Steadier", "TemporalSettings", "steady"]
