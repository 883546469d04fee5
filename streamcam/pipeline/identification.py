"""Passing what frames are made with to evidence files, of one explanation of each frame or of several."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, cast

from streamcam.pipeline.settings import RenderSettings
from streamcam.sinks import EvidenceSink, PaneSink, Sink

if TYPE_CHECKING:
    from streamcam.explain import PaneExplainer
    from streamcam.pipeline.explainers import AnyExplainer, AnyModel, LoneExplainer


def models_of(
    explainer: AnyExplainer,
) -> Iterator[AnyModel]:
    """Yield the network of each pane, or the only one."""
    if hasattr(explainer, "comparison"):
        panes = cast("PaneExplainer", explainer)
        yield from (panes.model(number) for number in range(panes.comparison.grid().panes))
    else:
        yield explainer.model


def identify_evidence(
    sinks: Iterable[Sink],
    explainer: AnyExplainer,
    settings: RenderSettings,
    output: str | None,
) -> None:
    """Pass what the frames are made with, and what shows them, to evidence files."""
    plain = {name: dataclasses.asdict(value) for name, value in settings.of_images().items()}
    models = list(models_of(explainer))
    for sink in sinks:
        if isinstance(sink, EvidenceSink):
            alone = cast("LoneExplainer", explainer)
            sink.identify(alone.identity(), plain, models[0].labels, settings.command, output)
        elif isinstance(sink, PaneSink) and isinstance(sink.sink, EvidenceSink):
            panes = cast("PaneExplainer", explainer)
            modes = panes.comparison.modes
            mode = modes[panes.comparison.panes()[sink.pane].mode] if modes else settings.temporal.mode
            own = {**plain, "temporal": {**plain["temporal"], "mode": mode}}
            labels = models[sink.pane].labels
            sink.sink.identify(panes.identity(sink.pane), own, labels, settings.command)
