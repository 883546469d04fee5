"""Metrics of what a map should follow and what it should not: noise, motion, and the network's weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streamcam.evaluation.statistics import correlation, rank_correlation
from streamcam.frames import FloatArray

SAMPLES = 4
"""How many noisy images are tried."""

RADIUS = 0.1
"""How far noise moves a value of the network's input at most: about six gray levels, as a camera's noise."""


def sensitivity(raw_map: FloatArray, noisy_maps: Sequence[FloatArray]) -> float:
    r"""Max-sensitivity: the largest change of the map under noise that nobody sees, as a share of the map.

    Yeh et al. 2019, "On the (In)fidelity and Sensitivity of Explanations", https://arxiv.org/abs/1901.09392:

    .. math:: \max_{\|\delta\|_\infty \le r} \|M(x + \delta) - M(x)\|_2 / \|M(x)\|_2

    The paper has no denominator, captum has this one, and quantus divides by the norm of the image: without
    one, methods whose maps have other units could not be compared.
    """
    size = float(np.linalg.norm(raw_map))
    return max(float(np.linalg.norm(noisy - raw_map)) for noisy in noisy_maps) / size


def stability(warped_map: FloatArray, upsampled_map: FloatArray) -> float:
    """Stability: whether heat stays on what it was on, from one frame to the next, -1 to 1.

    Pearson's correlation of the last frame's map, moved along the optical flow, with the frame's own.
    """
    return correlation(warped_map, upsampled_map)


def randomization(raw_map: FloatArray, random_maps: Sequence[FloatArray]) -> float:
    """Randomization: how much of the map is left when the network's weights are random, -1 to 1.

    Adebayo et al. 2018, "Sanity Checks for Saliency Maps", https://arxiv.org/abs/1810.03292: Spearman's rank
    correlation with the maps of networks whose weights are random from the top down, averaged over how many
    of them are. A map that vanishes correlates with nothing.
    """
    return float(np.mean([rank_correlation(raw_map, other) for other in random_maps]))
