"""Class activation maps: the explainer, its methods, and the backends that run the network.

Names are imported when they are first used: what was compiled before runs without torch.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from streamcam.lazy_names import import_lazily

# By default torch's threads wait in busy loops, which takes CPU time from every other stage. The setting
# that is there when torch is first imported counts.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Operations that torch lacks on Apple's GPUs run on the CPU.
os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")

if TYPE_CHECKING:
    from streamcam.explain.explainer import Explainer
    from streamcam.explain.methods import METHODS, Method
    from streamcam.explain.panes import PaneExplainer

__all__ = ["METHODS", "Explainer", "Method", "PaneExplainer"]

_HOMES = {
    "Explainer": "streamcam.explain.explainer",
    "METHODS": "streamcam.explain.methods",
    "Method": "streamcam.explain.methods",
    "PaneExplainer": "streamcam.explain.panes",
}
"""Public name → the module it comes from."""

if not TYPE_CHECKING:  # type checkers are to complain about names that are not there
    __getattr__ = import_lazily(__name__, _HOMES)
