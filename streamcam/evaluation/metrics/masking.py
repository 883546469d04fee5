r"""Metrics that show the network an image through its own map: x \odot h, the rest in the mean color.

Symbols as in `streamcam.evaluation.metrics.removal`.
"""

from __future__ import annotations

import numpy as np

from streamcam.evaluation.statistics import correlation
from streamcam.frames import FloatArray


def drop(probability: float, masked_probability: float) -> float:
    r"""Average drop: the share of the probability that is lost when only the heat is seen.

    Chattopadhyay et al. 2018, "Grad-CAM++", https://arxiv.org/abs/1710.11063:

    .. math:: \max(0, p(x) - p(x \odot h)) / p(x)

    pytorch-grad-cam's `DropInConfidence` leaves out the division; this is the paper's.
    """
    return max(0.0, probability - masked_probability) / probability if probability > 0 else float("nan")


def increase(probability: float, masked_probability: float) -> float:
    """Increase in confidence: 1 if the network is surer when it sees the image through the map, else 0.

    Chattopadhyay et al. 2018, as for `drop`; its mean over frames is the share of frames.
    """
    return float(masked_probability > probability)


def coherency(heat: FloatArray, masked_heat: FloatArray) -> float:
    r"""Coherency: whether the map stays as it is when the network sees the image through it, 0 to 1.

    Poppi et al. 2021, "Revisiting The Evaluation of Class Activation Mapping for Explainability",
    https://arxiv.org/abs/2104.10252: Pearson's correlation of both maps, scaled from -1..1 to 0..1. A map
    that vanishes correlates with nothing.
    """
    return (correlation(heat, masked_heat) + 1) / 2


def complexity(heat: FloatArray) -> float:
    """Complexity: how much of the image the map covers, the mean of the heat, 0 to 1.

    Poppi et al. 2021, as for `coherency`.
    """
    return float(np.mean(heat, dtype=np.float64))


def adcc(coherency: float, complexity: float, drop: float) -> float:
    """ADCC: the harmonic mean of coherency, 1 - complexity and 1 - average drop, 0 to 1.

    Poppi et al. 2021, as for `coherency`: of each image. openvino_xai takes the means over images first.
    """
    return _harmonic_mean(coherency, 1 - complexity, 1 - drop)


def arcc(coherency: float, complexity: float, road: float) -> float:
    """ARCC: the harmonic mean of coherency, 1 - complexity and twice the combined ROAD, 0 to 1.

    Domeniconi et al. 2026, "How to Evaluate and Refine your CAM", https://arxiv.org/abs/2605.14641.
    """
    return _harmonic_mean(coherency, 1 - complexity, min(max(2 * road, 0.0), 1.0))


def _harmonic_mean(*values: float) -> float:
    return len(values) / sum(1 / (value + 1e-8) for value in values)
