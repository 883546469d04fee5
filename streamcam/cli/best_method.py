"""Choosing the most faithful method for a video, before it is rendered."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from streamcam.cli.loading import load_explainer, load_explainers
from streamcam.cli.output import say
from streamcam.errors import InvalidArgumentError

if TYPE_CHECKING:
    from streamcam.cli.progress import ProgressLine
    from streamcam.pipeline.explainers import NetworkExplainer
    from streamcam.pipeline.render import RenderPlan

BEST = "best"
"""The name that stands for the method that is chosen."""

_FRAMES, _FIRST_S = 6, 60.0
"""How many frames are looked at, of how much of the video: later shots would have to be decoded first."""


def load_with_best(
    plan: RenderPlan, model: dict[str, Any], explainer: dict[str, Any], line: ProgressLine, *, quiet: bool
) -> NetworkExplainer:
    """Evaluate a few methods on a few frames of a video, and load the explainer of the best one.

    The frames and everything else that is left to chance are the same each time, and so is the choice.

    Args:
        plan: The render.
        model: Arguments of `load_model`.
        explainer: Arguments of `Explainer`, whose method is `BEST`.
        line: Shows what is being done.
        quiet: Whether to say nothing of the choice.

    Raises:
        InvalidArgumentError: if the video can be read once only, or the network cannot be evaluated.
    """
    from streamcam.models.model_names import is_explainer_file

    if is_explainer_file(model["name"]):
        raise InvalidArgumentError(
            f"{model['name']!r} explains by the method that it was exported with, and `method={BEST}` "
            "chooses among several; leave out `method`, or name the network itself with `model`"
        )
    info = plan.info
    if info.path is None:
        raise InvalidArgumentError(
            f"`method={BEST}` looks at the video before it is rendered, and {info.name!r} is no single file; "
            f"name a method, or evaluate one and give {BEST}:FILE.json"
        )
    (usual,) = load_explainers(model, {**explainer, "method": "auto"}, line)
    from streamcam.evaluation import EvaluationProgress, EvaluationSettings, evaluate

    reading = plan.settings.source
    if not info.is_still:
        end_s = (reading.start_s or 0.0) + _FIRST_S
        reading = dataclasses.replace(reading, end_s=min(end_s, reading.end_s or end_s))
    settings = EvaluationSettings(metrics=("road",), frames=1 if info.is_still else _FRAMES, source=reading)
    where = "the image" if info.is_still else f"{_FRAMES} frames of the first {_FIRST_S:.0f} s"
    if not quiet:
        say(
            f"choosing a method: {', '.join(settings.methods)} explain {where}, and the network looks at 8 "
            "changed images for each map"
        )

    def show(progress: EvaluationProgress) -> None:
        line.begin(f"choosing a method: {progress.done} of {progress.total} steps")

    result = evaluate(info.path, usual, settings, on_progress=show)
    if not quiet:
        say(f"method: {result.best or 'the usual one'}. {result.advice}")
    return load_explainer(model, {**explainer, "method": result.best or "auto"}, line)
