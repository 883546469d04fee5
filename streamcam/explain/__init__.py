"""Stage 2: class activation maps, the methods as pure functions and the backend that feeds them."""

import os

# torch's threads wait for each other by running in circles, which takes the processor from every other
# stage. What counts is what is set when torch is first imported, just below.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# What torch has not yet written for Apple's GPUs, their processors do.
os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")

from streamcam.explain.explainer import Explainer
from streamcam.explain.methods import METHODS, Method

__all__ = ["METHODS", "Explainer", "Method"]
