"""The cost of a method, said before it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamcam.explain.methods import METHODS, parse_method
from streamcam.models.probing import trial_size

if TYPE_CHECKING:
    from streamcam.explain.explainer import Explainer


def describe_cost(explainer: Explainer) -> str | None:
    """Say how often the network runs for a map, where that is known and much; None elsewhere."""
    name, given = parse_method(str(explainer.settings["method"]))
    row = METHODS[name]
    if row.count_runs is None:
        return None
    options = {**row.options, **given}
    runs = row.count_runs(trial_size(explainer.model, explainer.fit), options)
    texts = ",".join(f"{key}={value}" for key, value in options.items())
    return f"{name} runs the network {runs} times for each frame and class ({texts})"
