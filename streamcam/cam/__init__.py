"""Stage 2: class activation maps, the methods as pure functions and the engine that feeds them."""

from streamcam.cam.explainer import Explainer
from streamcam.cam.methods import METHODS, Method

__all__ = ["METHODS", "Explainer", "Method"]
