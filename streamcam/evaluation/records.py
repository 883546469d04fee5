"""Evaluations as files: JSON and CSV for programs, and the figures as a table for people."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

import streamcam
from streamcam.evaluation.metrics import METRICS
from streamcam.evaluation.results import EvaluationResult, Judged, MethodResult
from streamcam.evaluation.statistics import Estimate

_DIGITS = 5


def as_record(result: EvaluationResult) -> dict[str, Any]:
    """Return an evaluation as a JSON object; figures that there are not are null."""
    return {
        "streamcam": streamcam.__version__,
        "input": result.input,
        "model": result.model,
        "weights": result.weights,
        "precision": result.precision,
        "frames": result.frames,
        "shots": result.shots,
        "seed": result.seed,
        "roi": result.roi,
        "best": result.best,
        "advice": result.advice,
        "notes": list(result.notes),
        "metrics": {name: METRICS[name].better for name in result.metrics},
        "titles": {name: METRICS[name].title for name in result.metrics},
        "methods": [_method_record(method) for method in result.methods],
        "agreement": [[_number(value) for value in row] for row in result.agreement],
        "values": [_value_record(one) for one in result.judged],
    }


def _method_record(method: MethodResult) -> dict[str, Any]:
    return {
        "name": method.name,
        "target_layer": method.target_layer or None,
        "cost_s": _number(method.cost_s),
        "empty": method.empty,
        "figures": {name: _figure_record(figure) for name, figure in method.figures.items()},
        "randomization": {f"{share:g}": _number(value) for share, value in method.randomization.items()},
    }


def _figure_record(figure: Estimate) -> dict[str, Any]:
    return {
        "mean": _number(figure.mean),
        "low": _number(figure.low),
        "high": _number(figure.high),
        "count": figure.count,
    }


def _value_record(one: Judged) -> dict[str, Any]:
    return {
        "method": one.method,
        "frame": one.frame,
        "time_s": round(one.time_s, 6),
        "shot": one.shot,
        "class": one.class_index,
        "label": one.label,
        "probability": _number(one.probability),
        "cost_s": _number(one.cost_s),
        **{name: _number(value) for name, value in one.values.items()},
    }


def _number(value: float) -> float | None:
    return round(value, _DIGITS) if math.isfinite(value) else None


def as_csv(result: EvaluationResult) -> str:
    """Return every value of an evaluation as CSV: a line for each method, frame and class."""
    rows = [_value_record(one) for one in result.judged]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def describe_figure(figure: Estimate) -> str:
    """Describe a mean and half the width of its confidence interval; empty if there is none."""
    if math.isnan(figure.mean):
        return ""
    return f"{figure.mean:.3f} ±{(figure.high - figure.low) / 2:.3f}"
