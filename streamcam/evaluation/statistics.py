"""Statistics of metrics: correlations, and means with their uncertainty."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
"""How many samples the bootstrap draws."""

CONFIDENCE = 0.95
"""Share of them within the interval."""


@dataclasses.dataclass(frozen=True, slots=True)
class Estimate:
    """A mean, and how sure it is."""

    mean: float
    """NaN if there are no values."""
    low: float
    """Lower end of its 95 % confidence interval."""
    high: float
    """Upper end."""
    count: int
    """Of how many values."""


def correlation(some: NDArray[np.floating], others: NDArray[np.floating]) -> float:
    """Return Pearson's correlation of two arrays of one shape; 0 if one of them is the same everywhere."""
    first, second = (np.asarray(each, np.float64).ravel() for each in (some, others))
    first, second = first - first.mean(), second - second.mean()
    size = math.sqrt(float(first @ first) * float(second @ second))
    return float(first @ second) / size if size > 0 else 0.0


def rank_correlation(some: NDArray[np.floating], others: NDArray[np.floating]) -> float:
    """Return Spearman's rank correlation of two arrays of one shape; 0 if one is the same everywhere."""
    return correlation(_ranks(some), _ranks(others))


def _ranks(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the rank of each value; equal ones share the mean of theirs."""
    _, places, counts = np.unique(values.ravel(), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[places], np.float64)


def bootstrap(values: Sequence[float], groups: Sequence[int], seed: int) -> Estimate:
    """Estimate the mean of values that come in groups, as frames come in shots.

    Groups are drawn with replacement, because values of one group are alike; where there is one group, its
    values are. Values that are NaN are left out.

    Args:
        values: The values.
        groups: The group of each.
        seed: Of the draws.
    """
    kept = [(group, value) for group, value in zip(groups, values, strict=True) if math.isfinite(value)]
    if not kept:
        return Estimate(math.nan, math.nan, math.nan, 0)
    by_group: dict[int, list[float]] = {}
    for number, (group, value) in enumerate(kept):
        key = group if len({group for group, _ in kept}) > 1 else number
        by_group.setdefault(key, []).append(value)
    sums = np.array([sum(group) for group in by_group.values()])
    counts = np.array([len(group) for group in by_group.values()])
    drawn = np.random.default_rng(seed).integers(0, len(sums), (RESAMPLES, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]).tolist()
    return Estimate(float(sums.sum() / counts.sum()), low, high, len(kept))
