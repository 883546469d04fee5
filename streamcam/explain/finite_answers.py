"""Networks that answer NaN, found out where figures are made of their answers."""

from __future__ import annotations

import numpy as np

from streamcam.errors import ModelError
from streamcam.explanations import Explanation


def has_finite_answers(explanation: Explanation) -> bool:
    """Return whether a network's answers are numbers."""
    return bool(np.isfinite(np.asarray(explanation.probabilities)).all())


def check_finite_answers(explanation: Explanation, model: str) -> None:
    """Check that a network's answers are numbers.

    Raises:
        ModelError: if one is infinite or NaN, naming the network and the frame.
    """
    if not has_finite_answers(explanation):
        raise ModelError(
            f"{model} answers NaN in frame {explanation.frame_index}; check its `weights`, or try "
            "`precision='fp32'`"
        )
