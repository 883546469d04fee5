"""Live, methods or layers stand side by side, explained from one run of the network."""

from __future__ import annotations

import dataclasses

import pytest
from live_fakes import live_frame
from stage_fakes import explanation_of

from streamcam.session.explainers import Explainers, build_from_model
from streamcam.session.heat import LiveHeat
from streamcam.session.state import ExplainRequest
from streamcam.session.threads import Explained
from streamcam.temporal import TemporalSettings


@pytest.fixture(scope="module")
def explainers() -> Explainers:
    model = {"name": "efficientnet_lite0"}
    return Explainers(build_from_model(model, backend="torch", precision="fp32"))


@pytest.mark.parametrize(
    ("panes", "names"),
    [
        ("methods", ["gradcam", "hirescam", "gradcam++", "eigencam"]),
        ("layers", ["features.0", "features.3", "features.5", "features"]),
    ],
)
def test_methods_and_layers_are_compared(explainers: Explainers, panes: str, names: list[str]) -> None:
    explainer = explainers(ExplainRequest("gradcam", panes=panes))
    assert (explainer.facts.panes, explainer.facts.method) == (panes, "gradcam")
    (explanation,) = explainer.explain_frames([live_frame(1)])
    assert [each.pane for each in (explanation, *explanation.others)] == names
    (alone,) = explainers(ExplainRequest("gradcam")).explain_frames([live_frame(1)])
    assert alone.others == ()


def test_heat_is_kept_for_as_many_panes_as_there_are(explainers: Explainers) -> None:
    heat = LiveHeat(TemporalSettings(mode="causal"))
    alone = explainers(ExplainRequest("gradcam")).facts
    compared = dataclasses.replace(alone, panes="methods")
    one, two, three = (dataclasses.replace(explanation_of(1), pane=name) for name in ("one", "two", "three"))
    several = dataclasses.replace(one, others=(two, three))
    for index, explanation, facts, others in (
        (0, explanation_of(0), alone, 0),
        (1, several, compared, 2),
        (2, explanation_of(2), alone, 0),
    ):
        heat.add(Explained(live_frame(index), explanation, facts))
        moved = heat.of(live_frame(index + 10))
        assert moved is not None
        assert len(moved.others) == others
        if others:
            names = [pane.explanation.pane for pane in (moved, *moved.others)]
            assert names == ["one", "two", "three"]
        heat.set_smoothing(0.5)
