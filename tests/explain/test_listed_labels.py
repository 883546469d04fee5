"""How many labels are listed, whatever is explained."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from media_factory import make_image
from torch import nn

from streamcam.errors import InvalidArgumentError
from streamcam.explain import Explainer
from streamcam.explanations import Explanation
from streamcam.frames import Frame
from streamcam.media.images import planes_of
from streamcam.models import Classifier, InputSpec
from streamcam.models.labels import numbered_labels
from streamcam.overlay import Overlay, OverlaySettings
from streamcam.sinks.sidecar import frame_record
from streamcam.temporal import Stabilizer, TemporalSettings, Tracker


def explainer_of(**settings: object) -> Explainer:
    network = nn.Sequential(nn.Conv2d(3, 6, 8, 8), nn.ReLU(), nn.Flatten(), nn.Linear(96, 5)).eval()
    model = Classifier("net", network, numbered_labels(5), InputSpec(32, 32), "none")
    return Explainer(model, fit="stretch", backend="torch", **settings)  # type: ignore[arg-type]


def new_frame() -> Frame:
    return Frame(make_image(320, 180), 0, 0, Fraction(1, 25), 0.0)


def tracked(explainer: Explainer) -> Explanation:
    frame, tracker = new_frame(), Tracker(TemporalSettings())
    tracker.observe(frame)
    (explanation,) = explainer.explain_frames([frame], tracker)
    return tracker.complete(frame, explanation)


@pytest.mark.parametrize("classes", [None, "top3", 2])
@pytest.mark.parametrize("top_k", [0, 1, 4])
def test_as_many_labels_are_listed_as_asked_for(top_k: int, classes: str | int | None) -> None:
    explanation = tracked(explainer_of(top_k=top_k, classes=classes))
    assert len(explanation.predictions) == len(explanation.smoothed_predictions) == top_k
    assert len(explanation.targets) == (3 if classes == "top3" else 1)
    record = frame_record(0, 0.0, explanation)
    assert len(record["predictions"]) == len(record.get("shown", [])) == top_k


def test_a_resumed_render_lists_as_many() -> None:
    ranks = [0.1, 0.2, 0.4, 0.2, 0.1]
    frame, first, second = new_frame(), Tracker(TemporalSettings()), Tracker(TemporalSettings())
    first.observe(frame)
    first.rank([frame], np.array([ranks], np.float32), numbered_labels(5), 3, listed=1)
    probabilities, stored = first.export_ranking(frame)
    assert probabilities is not None
    second.observe(frame)
    second.restore_ranking(frame, probabilities, stored, listed=1)
    explanation = explainer_of().explain_frames([frame])[0]
    completed = [tracker.complete(frame, explanation).smoothed_predictions for tracker in (first, second)]
    assert [[label.index for label in labels] for labels in completed] == [[2], [2]]
    assert len(stored) == 3


def test_no_labels_are_drawn_where_none_are_listed() -> None:
    frame, explanation = new_frame(), tracked(explainer_of(top_k=0))
    (stabilized,) = Stabilizer(TemporalSettings(smoothing_s=0, mode="causal")).push(frame, explanation)
    drawn = [
        planes_of(Overlay(OverlaySettings(alpha=0, labels=labels)).draw(stabilized))[0]
        for labels in (True, False)
    ]
    np.testing.assert_array_equal(*drawn)


def test_fewer_than_none_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="`top_k` is 0 or more, not -1"):
        explainer_of(top_k=-1)
