"""The heat of a live session: found again on newer frames."""

from __future__ import annotations

import pytest
from live_fakes import live_frame
from stage_fakes import explanation_of

from streamcam.localization import LocalizationSettings
from streamcam.session.heat import LiveHeat
from streamcam.session.state import ExplainerFacts
from streamcam.session.threads import Explained
from streamcam.temporal import TemporalSettings

FACTS = ExplainerFacts("fake", "fake", "nowhere", "torch", "fp32", ("cat", "dog"))


@pytest.mark.parametrize("mode", ["causal", "flow", "none"])
def test_frames_without_an_explanation_of_their_own_have_boxes_with_the_same_numbers(mode: str) -> None:
    heat = LiveHeat(TemporalSettings(mode=mode), LocalizationSettings(boxes=True, points=1))
    first, second = live_frame(2), live_frame(2)
    heat.add(Explained(first, explanation_of(0), FACTS))
    found = [heat.of(frame) for frame in (first, second)]
    for one in found:
        assert one is not None
        assert one.localization is not None
        assert [box.instance.track_id for box in one.localization.boxes] == [1]
        assert [peak.label for peak in one.localization.peaks] == ["cat"]


def test_nothing_is_looked_for_unless_it_is_asked_for() -> None:
    heat = LiveHeat(TemporalSettings(mode="causal"))
    frame = live_frame(2)
    heat.add(Explained(frame, explanation_of(0), FACTS))
    shown = heat.of(frame)
    assert shown is not None
    assert shown.localization is None
