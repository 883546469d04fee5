"""Evaluations as pictures: the figures with their uncertainty, the sanity check, and the agreement."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamcam.errors import InvalidArgumentError, SinkError, map_errors
from streamcam.evaluation.metrics import METRICS
from streamcam.evaluation.results import EvaluationResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMATS = (".png", ".svg")
"""Suffixes of pictures."""

_COLUMNS = 4
_BETTER = {"higher": "higher is better", "lower": "lower is better", "neither": ""}


def check_plot(name: str) -> None:
    """Check that a picture of this name can be made, before anything is computed for it.

    Raises:
        InvalidArgumentError: if its suffix is no format, or matplotlib is not installed.
    """
    if Path(name).suffix.lower() not in FORMATS:
        raise InvalidArgumentError(f"`plot` {name!r} ends in none of {', '.join(FORMATS)}")
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise InvalidArgumentError(
            "plots need matplotlib: install it with pip install 'streamcam[plot]'"
        ) from error


def plot(result: EvaluationResult, name: str) -> None:
    """Draw an evaluation.

    Args:
        result: The evaluation.
        name: The file; its suffix, .png or .svg, chooses the format. One that is there is replaced.

    Raises:
        InvalidArgumentError: as for `check_plot`.
        SinkError: if it cannot be written.
    """
    check_plot(name)
    from matplotlib.figure import Figure  # not pyplot, which looks for a screen

    curves = any(method.randomization for method in result.methods)
    count = len(result.metrics) + curves + (len(result.methods) > 1)
    rows = math.ceil(count / _COLUMNS)
    figure = Figure(figsize=(3.4 * _COLUMNS, (1.4 + 0.22 * len(result.methods)) * rows + 0.9))
    figure.set_layout_engine("constrained")
    panels = list(figure.subplots(rows, _COLUMNS, squeeze=False).flat)
    for panel, metric in zip(panels, result.metrics, strict=False):
        _draw_metric(panel, result, metric)
    rest = panels[len(result.metrics) :]
    if curves:
        _draw_randomization(rest.pop(0), result)
    if len(result.methods) > 1:
        _draw_agreement(rest.pop(0), result)
    for panel in rest:
        panel.axis("off")
    figure.suptitle(
        f"{result.model} on {result.input}: {result.frames} frames of {result.shots} "
        f"shot{'s' if result.shots != 1 else ''}, 95 % confidence",
        fontsize=11,
    )
    with map_errors(OSError, to=lambda error: SinkError(f"{name!r} cannot be written: {error}")):
        figure.savefig(name, dpi=110)


def _draw_metric(panel: Axes, result: EvaluationResult, metric: str) -> None:
    row = METRICS[metric]
    for place, method in enumerate(result.methods):
        figure = method.figures[metric]
        if math.isnan(figure.mean):
            continue
        color = f"C{place % 10}"
        panel.plot([figure.low, figure.high], [place, place], color=color, linewidth=3, alpha=0.4)
        panel.plot([figure.mean], [place], "o", color=color, markersize=5)
    _name_rows(panel, result)
    panel.set_title(row.title, fontsize=9, loc="left")
    panel.set_xlabel(_BETTER[row.better], fontsize=7)
    panel.grid(axis="x", alpha=0.3)


def _draw_randomization(panel: Axes, result: EvaluationResult) -> None:
    for place, method in enumerate(result.methods):
        shares = [0.0, *method.randomization]
        values = [1.0, *method.randomization.values()]
        if len(shares) > 1:
            panel.plot(shares, values, color=f"C{place % 10}", marker="o", markersize=3, label=method.name)
    panel.set_title("Map left with random weights", fontsize=9, loc="left")
    panel.set_xlabel("share of layers, from the end", fontsize=7)
    panel.tick_params(labelsize=7)
    panel.grid(alpha=0.3)
    panel.legend(fontsize=6, loc="upper right")


def _draw_agreement(panel: Axes, result: EvaluationResult) -> None:
    panel.imshow(result.agreement, cmap="viridis", vmin=0, vmax=1, aspect="auto")
    for row, values in enumerate(result.agreement):
        for column, value in enumerate(values):
            shade = "black" if value > 0.6 else "white"
            panel.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=6, color=shade)
    _name_rows(panel, result)
    panel.set_xticks([])
    panel.set_title("Agreement (rank correlation)", fontsize=9, loc="left")


def _name_rows(panel: Axes, result: EvaluationResult) -> None:
    names: list[Any] = [method.name for method in result.methods]
    panel.set_yticks(range(len(names)), names, fontsize=7)
    panel.set_ylim(len(names) - 0.5, -0.5)
    panel.tick_params(axis="x", labelsize=7)
