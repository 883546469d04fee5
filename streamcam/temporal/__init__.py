"""Between explaining and drawing: what makes single explanations hold together in time."""

from streamcam.temporal.following import Follower
from streamcam.temporal.settings import LIVE_MODE, MODES, SCALES, TemporalSettings, check_live
from streamcam.temporal.steadier import Steadier, steady

__all__ = [
    "LIVE_MODE",
    "MODES",
    "SCALES",
    "Follower",
    "Steadier",
    "TemporalSettings",
    "check_live",
    "steady",
]
