"""Evaluations: how faithful methods are to what a network does, in figures, on somebody's own video."""

from __future__ import annotations

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
