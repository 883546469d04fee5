"""Evaluations: how faithful methods are to what a network does, in figures, on somebody's own video.

Names are imported when they are first used: settings and metrics need no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamcam.lazy_names import import_lazily

if TYPE_CHECKING:
    from streamcam.evaluation.evaluation import evaluate
    from streamcam.evaluation.jury import EvaluationProgress
    from streamcam.evaluation.metrics import METRICS, Metric
    from streamcam.evaluation.results import EvaluationResult, MethodResult
    from streamcam.evaluation.settings import EvaluationSettings

__all__ = [
    "METRICS",
    "EvaluationProgress",
    "EvaluationResult",
    "EvaluationSettings",
    "MethodResult",
    "Metric",
    "evaluate",
]

_HOMES = {
    "EvaluationProgress": "streamcam.evaluation.jury",
    "EvaluationResult": "streamcam.evaluation.results",
    "EvaluationSettings": "streamcam.evaluation.settings",
    "METRICS": "streamcam.evaluation.metrics",
    "MethodResult": "streamcam.evaluation.results",
    "Metric": "streamcam.evaluation.metrics",
    "evaluate": "streamcam.evaluation.evaluation",
}
"""Public name → the module it comes from."""

if not TYPE_CHECKING:  # type checkers are to complain about names that are not there
    __getattr__ = import_lazily(__name__, _HOMES)
