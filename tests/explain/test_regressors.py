"""Regressors: networks whose numbers are shown as they are."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from media_factory import make_image
from torch import nn

from streamcam.empty_maps import WAY_TO_HIDDEN
from streamcam.evidence import TableEncoder, from_tables
from streamcam.explain import Explainer
from streamcam.explanations import Explanation, Prediction, StabilizedFrame
from streamcam.frames import Frame
from streamcam.models import Classifier, InputSpec
from streamcam.overlay.overlay import _list_labels
from streamcam.sinks.sidecar import frame_record
from streamcam.temporal import Stabilizer, TemporalSettings, Tracker

IMAGE = np.full((32, 32, 3), 255, np.uint8)
IMAGE[:, :16] = 0


class Brightness(nn.Module):
    """Answers how much of the image is white, times each factor."""

    def __init__(self, *factors: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 8, 8, bias=False)
        nn.init.constant_(self.conv.weight, 1 / 192)
        self.factors = torch.tensor(factors)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.conv(batch).mean((2, 3)) * self.factors


def explainer_of(*factors: float, labels: tuple[str, ...] = ("value",), **settings: object) -> Explainer:
    spec = InputSpec(32, 32, (0.0,) * 3, (1.0,) * 3)
    model = Classifier("net", Brightness(*factors).eval(), labels, spec, "none", **settings)  # type: ignore[arg-type]
    return Explainer(model, fit="stretch", backend="torch")


@pytest.mark.parametrize("factor", [6.42, 642.0, -6.42])
def test_the_number_is_shown_and_explained(factor: float) -> None:
    explainer = explainer_of(factor)
    (explanation,) = explainer.explain(IMAGE)
    (prediction,) = explanation.predictions
    assert (prediction.index, prediction.label) == (0, "value")
    assert prediction.value == pytest.approx(factor / 2, rel=1e-4)
    assert math.isnan(prediction.probability)
    heat = explanation.heatmaps[0]
    expected = np.zeros((4, 4)) if factor < 0 else np.tile([0, 0, 1, 1], (4, 1))
    np.testing.assert_allclose(heat / (heat.max() or 1), expected, atol=1e-6)
    assert explainer.notes[0] == (
        "net returns one number, which is shown as it is, as a regressor's; for a classifier's "
        "use `activation='sigmoid'` if it is a logit, `activation='none'` if it is a probability; "
        "`activation='value'` confirms a regressor"
    )
    assert f">{format(factor / 2, '.3g')}<" in explanation._repr_html_()


class Contrast(Brightness):
    """Answers how much brighter the right half is than three times the left half."""

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        left, right = self.conv(batch).chunk(2, dim=-1)
        return (right.mean((2, 3)) - 3 * left.mean((2, 3))) * self.factors


@pytest.mark.parametrize(("signed", "noted"), [(False, True), (True, False)])
def test_a_value_with_mostly_negative_evidence_is_noted_once(signed: bool, noted: bool) -> None:
    spec = InputSpec(32, 32, (0.0,) * 3, (1.0,) * 3)
    model = Classifier("net", Contrast(1.0).eval(), ("tilt",), spec, "none", activation="value")
    explainer = Explainer(model, method="hirescam", fit="stretch", backend="torch", signed=signed)
    even = np.full((32, 32, 3), 255, np.uint8)
    for _ in range(2):
        (explanation,) = explainer.explain(even)
    assert explanation.hidden == pytest.approx(0.0 if signed else 0.75, abs=1e-3)
    assert explainer.notes == ([WAY_TO_HIDDEN] if noted else [])


def test_a_named_number_needs_no_note() -> None:
    explainer = explainer_of(2.0, labels=("age",))
    assert explainer.explain(IMAGE)[0].predictions[0].label == "age"
    assert explainer.notes == []


def test_a_regressor_that_was_confirmed_needs_no_note() -> None:
    assert explainer_of(2.0, activation="value").notes == []


def test_several_numbers_are_values_where_that_is_asked_for() -> None:
    (explanation,) = explainer_of(3.0, 7.0, labels=("x", "y"), activation="value").explain(IMAGE)
    assert [(prediction.label, prediction.value) for prediction in explanation.predictions] == [
        ("y", pytest.approx(3.5, rel=1e-4)),
        ("x", pytest.approx(1.5, rel=1e-4)),
    ]
    (explanation,) = explainer_of(3.0, 7.0, labels=("x", "y")).explain(IMAGE)
    assert explanation.predictions[0].value is None
    assert explanation.predictions[0].probability == pytest.approx(1 / (1 + math.exp(-2)), rel=1e-4)


def tracked(explainer: Explainer) -> tuple[Frame, Explanation, Tracker]:
    frame = Frame(make_image(32, 32), 0, 0, Fraction(1, 25), 0.0)
    tracker = Tracker(TemporalSettings())
    tracker.observe(frame)
    (explanation,) = explainer.explain_frames([frame], tracker)
    return frame, tracker.complete(frame, explanation), tracker


def test_a_video_s_numbers_reach_the_sidecar_the_labels_and_a_resumed_render() -> None:
    explainer = explainer_of(6.42)
    frame, explanation, _ = tracked(explainer)
    (smoothed,) = explanation.smoothed_predictions
    assert smoothed.value == explanation.predictions[0].value
    record = frame_record(0, 0.0, explanation)
    value = float(f"{smoothed.value:.4g}")
    assert record["predictions"] == record["shown"] == [{"index": 0, "label": "value", "value": value}]
    stabilized = Stabilizer(TemporalSettings(smoothing_s=0, mode="causal")).push(frame, explanation)[0]
    assert isinstance(stabilized, StabilizedFrame)
    (line,) = _list_labels(stabilized.labels, stabilized.targets, [])
    assert line.probability is None
    assert line.value == smoothed.value
    (restored,) = from_tables(TableEncoder().encode([explanation]))
    assert restored.probabilities is not None
    assert restored.probabilities.tolist() == [explanation.predictions[0].value]
    assert [shown.value for shown in restored.smoothed_predictions] == [smoothed.value]


def test_a_resumed_ranking_keeps_values() -> None:
    frame = Frame(make_image(32, 32), 0, 0, Fraction(1, 25), 0.0)
    tracker = Tracker(TemporalSettings())
    tracker.observe(frame)
    stored = (Prediction.of(0, "value", 3.21, is_value=True),)
    tracker.restore_ranking(frame, np.array([3.21], np.float32), stored)
    (restored,) = tracker.export_ranking(frame)[1]
    assert restored.value == pytest.approx(3.21)


def test_a_custom_target_has_no_percentage() -> None:
    target = Prediction(-1, "brightness", math.nan)
    cat = Prediction(3, "cat", 0.5)
    lines = _list_labels((cat,), (target,), [])
    assert [line.score for line in lines] == ["50 %", ""]


def test_a_number_that_is_not_finite_says_so() -> None:
    (explanation,) = explainer_of(math.nan).explain(IMAGE)
    assert explanation.emptiness == "not finite"
    assert ">NaN<" in explanation._repr_html_()
