"""The cost of a method, said before it starts."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from streamcam.explain.methods import METHODS, parse_method
from streamcam.models.probing import trial_size

if TYPE_CHECKING:
    from streamcam.explain.explainer import Explainer

_logger = logging.getLogger("streamcam.explain")


def announce_cost(explainer: Explainer) -> None:
    """Log how often the network runs for a map, where that is known and much.

    The record has the attribute ``cost``, for programs that show it.
    """
    name, given = parse_method(str(explainer.settings["method"]))
    row = METHODS[name]
    if row.count_runs is None:
        return
    options = {**row.options, **given}
    runs = row.count_runs(trial_size(explainer.model, explainer.fit), options)
    texts = ",".join(f"{key}={value}" for key, value in options.items())
    message = "%s runs the network %d times for each frame and class (%s)"
    _logger.info(message, name, runs, texts, extra={"cost": True})
