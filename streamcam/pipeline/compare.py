"""Comparisons: renders whose images have several panes, explained in several ways."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from streamcam.panes import Comparison
from streamcam.pipeline.render import plan_render
from streamcam.pipeline.results import Progress, RenderResult
from streamcam.pipeline.settings import RenderSettings
from streamcam.pipeline.stream import ExplainedStream
from streamcam.sources import Location, Source

if TYPE_CHECKING:
    from streamcam.explain import Explainer


def compare(
    source: Location | Source,
    output: str | Path,
    explainer: Explainer | Sequence[Explainer],
    comparison: Comparison | None = None,
    *,
    settings: RenderSettings | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_start: Callable[[ExplainedStream], None] | None = None,
) -> RenderResult:
    """Explain every frame of a video or image in several ways, and write them side by side with the original.

    Args:
        source: The file to read.
        output: The file to make; its suffix chooses the kind. It appears when it is complete.
        explainer: Computes the maps; its settings hold for all panes, apart from what is compared. Several to
            compare their networks.
        comparison: What is compared; the usual methods if None, or the networks if there are several.
        settings: How the file is rendered, as for `streamcam.render`.
        on_progress: Called after every frame.
        on_start: Called once with the running stream, whose ``stop`` ends the render early and in order.

    Raises:
        StreamcamError: one of its children, as for `streamcam.render`, or if what is compared does not exist.
    """
    explainers = explainer if isinstance(explainer, Sequence) else [explainer]
    comparison = comparison or Comparison()
    if len(explainers) > 1 and not comparison.models:
        names = tuple(each.model.name for each in explainers)
        comparison = dataclasses.replace(comparison, models=names)
    with plan_render(source, output, settings, comparison) as plan:
        first, *others = explainers
        panes = first.in_panes(comparison, *others)
        return plan.run(panes, on_progress=on_progress, on_start=on_start)
