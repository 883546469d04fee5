"""Several explanations of each frame are stabilized as each would be alone."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
from media_factory import make_image
from stage_fakes import CAT, explanation_of

from streamcam.explanations import Explanation
from streamcam.frames import FloatArray, Frame
from streamcam.panes import Comparison
from streamcam.temporal import PaneStabilizer, Stabilizer, TemporalSettings, stabilize
from streamcam.temporal.flow import FlowEstimator

STRENGTHS = ([1.0, 0.5, 0.25, 0.0, 1.0], [0.0, 1.0, 0.0, 1.0, 0.0])
"""Heat of two panes over five frames."""


def explanation(index: int, strength: float) -> Explanation:
    heatmap = np.array([[strength, 0.1]], np.float32)
    return dataclasses.replace(explanation_of(index), heatmaps={CAT: heatmap})


def frames() -> list[Frame]:
    return [Frame(make_image(64, 48, index), index, index, Fraction(1, 10), 0.0) for index in range(5)]


def alone(strengths: list[float], settings: TemporalSettings) -> list[FloatArray]:
    explanations = [explanation(index, strength) for index, strength in enumerate(strengths)]
    pairs = zip(frames(), explanations, strict=True)
    return [each.heatmaps[CAT] for each in stabilize(pairs, Stabilizer(settings))]


def together(stabilizer: PaneStabilizer) -> list[list[FloatArray]]:
    explanations = [
        dataclasses.replace(explanation(index, first), others=(explanation(index, second),))
        for index, (first, second) in enumerate(zip(*STRENGTHS, strict=True))
    ]
    stabilized = list(stabilize(zip(frames(), explanations, strict=True), stabilizer))
    assert [each.frame.index for each in stabilized] == [0, 1, 2, 3, 4]
    panes = [(each, *each.others) for each in stabilized]
    return [[each.heatmaps[CAT] for each in pane] for pane in zip(*panes, strict=True)]


@pytest.mark.parametrize("mode", ["none", "causal", "flow-zero-phase"])
def test_each_pane_is_what_it_would_be_alone(mode: str) -> None:
    settings = TemporalSettings(mode=mode, smoothing_s=0.1)
    panes = together(PaneStabilizer.of_comparison(Comparison(methods=("a", "b")), settings))
    for pane, strengths in zip(panes, STRENGTHS, strict=True):
        np.testing.assert_array_equal(pane, alone(strengths, settings))


def test_smoothing_modes_wait_for_the_one_that_looks_ahead_furthest() -> None:
    modes = ("none", "zero-phase")
    panes = together(PaneStabilizer.of_comparison(Comparison(modes=modes), TemporalSettings(smoothing_s=0.1)))
    for pane, strengths, mode in zip(panes, STRENGTHS, modes, strict=True):
        np.testing.assert_array_equal(pane, alone(strengths, TemporalSettings(mode=mode, smoothing_s=0.1)))


def test_the_motion_between_two_thumbnails_is_estimated_once() -> None:
    start, end = (np.random.default_rng(seed).integers(0, 256, (54, 96), np.uint8) for seed in (0, 1))
    estimator = FlowEstimator()
    flow, back = estimator.estimate(start, end), estimator.estimate(end, start)
    assert estimator.estimate(start, end) is flow
    assert estimator.estimate(end, start) is back
    np.testing.assert_array_equal(estimator.estimate(start.copy(), end), flow)
