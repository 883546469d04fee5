"""Class activation maps: the explainer, its methods, and the backends that run the network."""

import os

# By default torch's threads wait in busy loops, which takes CPU time from every other stage. The setting
# that is there when torch is first imported, just below, counts.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Operations that torch lacks on Apple's GPUs run on the CPU.
os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")

from streamcam.explain.explainer import Explainer
from streamcam.explain.methods import METHODS, Method
from streamcam.explain.panes import PaneExplainer

__all__ = ["METHODS", "Explainer", "Method", "PaneExplainer"]
