"""The order of listed classes: never against the numbers that are shown."""

from __future__ import annotations

import dataclasses
import math

from live_fakes import live_frame
from stage_fakes import CAT, DOG, explanation_of

from streamcam.explanations import Prediction
from streamcam.temporal import Stabilizer, TemporalSettings
from streamcam.temporal.listing import order_listed


def listed(*probabilities: float) -> list[Prediction]:
    return [Prediction(index, f"class {index}", share) for index, share in enumerate(probabilities)]


def indices(predictions: tuple[Prediction, ...]) -> list[int]:
    return [each.index for each in predictions]


def test_a_larger_number_stands_above_a_smaller_one() -> None:
    assert indices(order_listed(listed(0.03, 0.04, 0.3))) == [2, 1, 0]


def test_the_same_number_changes_nothing() -> None:
    ranked = listed(0.301, 0.304, 0.009, 0.002)  # 30 %, 30 %, <1 %, <1 %
    assert indices(order_listed(ranked)) == [0, 1, 2, 3]
    before = order_listed(listed(0.29, 0.31, 0.001, 0.02))
    assert indices(before) == [1, 0, 3, 2]
    assert indices(order_listed(ranked, before)) == [1, 0, 3, 2]
    assert indices(order_listed(ranked[::-1], before)) == [1, 0, 3, 2]


def test_numbers_of_a_regressor_stay_as_they_are_ranked() -> None:
    values = [Prediction(0, "steering", math.nan, 0.5), Prediction(1, "speed", math.nan, 7.0)]
    assert indices(order_listed(values)) == [0, 1]


def test_a_class_that_is_held_is_explained_but_not_listed_above_a_larger_number() -> None:
    held = dataclasses.replace(
        explanation_of(0),
        smoothed_predictions=(Prediction(CAT, "cat", 0.4), Prediction(DOG, "dog", 0.45)),
    )
    (shown,) = Stabilizer(TemporalSettings(mode="causal")).push(live_frame(0), held)
    assert [each.label for each in shown.labels] == ["dog", "cat"]
    assert [each.label for each in shown.targets] == ["cat"]
