r"""Metrics that take pixels away from an image, or put them in, in the order of their heat.

Symbols: x is the image, float32 (C, H, W), scaled as the network takes it, so that 0 is the mean color; h the
heat, float32 (H, W), from 0 to 1; p(x) the probability of the class. `score` returns p of each of several
images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from streamcam.evaluation.metrics.imputation import TOLERANCE, impute
from streamcam.frames import FloatArray

Score = Callable[[Iterable[FloatArray]], FloatArray]
"""Images, float32 (C, H, W) each → the probability of the class in each, float32 (number of images,)."""

STEPS = 16
"""In how many steps pixels are put in or taken away."""

PERCENTILES = (20, 40, 60, 80)
"""Percentiles of the heat at which pixels are removed, as in the definition of ARCC."""

NOISE = 0.01
"""Standard deviation of the noise upon imputed pixels, as in ROAD's published code."""


def insertion(
    heat: FloatArray,
    image: FloatArray,
    blurred: FloatArray,
    score: Score,
    probability: float,
    blurred_probability: float,
    *,
    steps: int = STEPS,
) -> float:
    r"""Insertion: the area under the probability while pixels are put in, the hottest first.

    Petsiuk et al. 2018, "RISE: Randomized Input Sampling for Explanation of Black-box Models",
    https://arxiv.org/abs/1806.07421, beginning with the blurred image as there.

    Returns:
        The mean of p over the share of pixels that are in, 0 to 1, by the trapezoidal rule.
    """
    between = score(_replaced(blurred, image, heat, steps))
    return _area([blurred_probability, *between.tolist(), probability])


def deletion(
    heat: FloatArray,
    image: FloatArray,
    score: Score,
    probability: float,
    blank_probability: float,
    *,
    steps: int = STEPS,
) -> float:
    r"""Deletion: the area under the probability while pixels take on the mean color, the hottest first.

    Petsiuk et al. 2018, as for `insertion`.
    """
    between = score(_replaced(image, np.zeros_like(image), heat, steps))
    return _area([probability, *between.tolist(), blank_probability])


def road_most(
    heat: FloatArray,
    image: FloatArray,
    score: Score,
    probability: float,
    *,
    noise: float = NOISE,
    tolerance: float = TOLERANCE,
) -> float:
    r"""ROAD, the most relevant first: the change of the probability when the hottest pixels are imputed.

    Rong et al. 2022, "A Consistent and Efficient Evaluation Strategy for Attribution Methods",
    https://arxiv.org/abs/2202.00449. As in pytorch-grad-cam: the mean of p(x') - p(x) over percentiles.
    """
    imputed = (_remove(image, heat, percentile, noise, tolerance) for percentile in PERCENTILES)
    return float(np.mean(score(imputed) - np.float32(probability)))


def road_least(
    heat: FloatArray,
    image: FloatArray,
    score: Score,
    probability: float,
    *,
    noise: float = NOISE,
    tolerance: float = TOLERANCE,
) -> float:
    """ROAD, the least relevant first: the change of the probability when the coldest pixels are imputed.

    Rong et al. 2022, as for `road_most`.
    """
    return road_most(1 - heat, image, score, probability, noise=noise, tolerance=tolerance)


def road(road_least: float, road_most: float) -> float:
    r"""ROAD, combined: half of what the two orders differ by, -0.5 to 0.5; 0 for a map that says nothing.

    Gildenblat et al., https://github.com/jacobgil/pytorch-grad-cam, `ROADCombined`.
    """
    return (road_least - road_most) / 2


def _remove(
    image: FloatArray, heat: FloatArray, percentile: int, noise: float, tolerance: float
) -> FloatArray:
    """Impute the pixels whose heat is at a percentile or above."""
    missing = heat >= np.percentile(heat, percentile)
    filled = impute(image, missing, tolerance=tolerance)
    if noise > 0:
        grain = np.random.default_rng(percentile).standard_normal(
            (len(image), int(missing.sum())), np.float32
        )
        filled[:, missing] += np.float32(noise) * grain
    return filled


def _replaced(start: FloatArray, end: FloatArray, heat: FloatArray, steps: int) -> Iterator[FloatArray]:
    """Yield a first image whose hottest pixels are those of a second one, more of them in each step."""
    order = np.argsort(-heat, axis=None, kind="stable")
    rank = np.empty(order.size, np.int64)
    rank[order] = np.arange(order.size)
    places: NDArray[np.int64] = rank.reshape(heat.shape)
    for step in range(1, steps):
        yield np.where(places < step * order.size // steps, end, start)


def _area(values: list[float]) -> float:
    """Return the area under evenly spaced values on a unit interval, by the trapezoidal rule."""
    return (sum(values) - (values[0] + values[-1]) / 2) / (len(values) - 1)
