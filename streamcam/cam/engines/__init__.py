"""What runs the backbone: torch itself, or an inference engine with only the head left in torch."""

from streamcam.cam.engines.choice import ENGINES, EngineRequest, choose_engine
from streamcam.cam.engines.graphs import recordings_for
from streamcam.cam.engines.split_network import EngineMismatchError, SplitNetwork

__all__ = [
    "ENGINES",
    "EngineMismatchError",
    "EngineRequest",
    "SplitNetwork",
    "choose_engine",
    "recordings_for",
]
