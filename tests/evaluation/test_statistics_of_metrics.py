"""Correlations, and means with their uncertainty."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from streamcam.evaluation.statistics import bootstrap, correlation, rank_correlation


def test_correlations_equal_those_of_scipy() -> None:
    generator = np.random.default_rng(0)
    some, others = generator.random((7, 9)), generator.random((7, 9)).round(1)  # with equal values
    expected = scipy.stats.pearsonr(some.ravel(), others.ravel()).statistic
    assert correlation(some, others) == pytest.approx(expected)
    expected = scipy.stats.spearmanr(some.ravel(), others.ravel()).statistic
    assert rank_correlation(some, others) == pytest.approx(expected)


def test_nothing_correlates_with_what_is_the_same_everywhere() -> None:
    assert correlation(np.arange(4.0), np.ones(4)) == 0
    assert rank_correlation(np.ones(4), np.arange(4.0)) == 0


def test_a_mean_is_as_unsure_as_its_shots_differ() -> None:
    alike = bootstrap([0.0, 1.0] * 20, [0] * 20 + [1] * 20, seed=0)  # both shots have the mean 0.5
    assert (alike.mean, alike.low, alike.high, alike.count) == (0.5, 0.5, 0.5, 40)
    apart = bootstrap([0.0] * 20 + [1.0] * 20, [0] * 20 + [1] * 20, seed=0)
    assert (apart.mean, apart.low, apart.high) == (0.5, 0.0, 1.0)


def test_frames_of_one_shot_stand_for_themselves() -> None:
    values = np.random.default_rng(1).normal(3, 1, 100).tolist()
    one = bootstrap(values, [5] * 100, seed=0)
    assert one.mean == pytest.approx(np.mean(values))
    half = 1.96 * float(np.std(values)) / 10
    assert one.low == pytest.approx(one.mean - half, abs=0.05)
    assert one.high == pytest.approx(one.mean + half, abs=0.05)
    assert bootstrap(values, [5] * 100, seed=0) == one


def test_values_that_are_none_are_left_out() -> None:
    assert bootstrap([1.0, math.nan, 3.0], [0, 0, 1], seed=0).count == 2
    none = bootstrap([math.nan], [0], seed=0)
    assert math.isnan(none.mean)
    assert none.count == 0
