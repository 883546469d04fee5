"""The one method that asks nothing of a layer: it covers parts of the image and sees what is lost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch

from streamcam.explain.scorers import ImageScorer


def occlusion(image_scorer: ImageScorer, *, patch: int = 32, stride: int = 16) -> torch.Tensor:
    r"""Occlusion: how far the score falls when a patch covers a place.

    Zeiler and Fergus 2013, "Visualizing and Understanding Convolutional Networks",
    https://arxiv.org/abs/1311.2901, section 4.2, with :math:`X_{\setminus ij}` the image with a patch of
    the mean color (0, normalized) over place (i, j):

    .. math:: M_{ij} = y - f(X_{\setminus ij})

    The image is divided into equal cells, no larger than the stride, and the patch lies over the middle of
    each: so the map covers the image as that of a layer does. What reaches over the edge is cut off. A
    negative value is a place that speaks against the class. The target layer has no influence.

    Args:
        patch: Side of the square patch, in pixels of the network's input.
        stride: How far it moves, in pixels of the network's input; less where the side is no multiple of it.

    Returns:
        float32 (N, ceil(H / stride), ceil(W / stride)).
    """
    height, width = image_scorer.inputs.shape[2:]
    rows, columns = _covered(height, patch, stride), _covered(width, patch, stride)
    scores = [
        image_scorer.score_inputs(_occluded(image, rows, columns), number, len(rows) * len(columns)).view(
            len(rows), len(columns)
        )
        for number, image in enumerate(image_scorer.inputs)
    ]
    return image_scorer.baseline.view(-1, 1, 1) - torch.stack(scores)


def count_occlusions(size: tuple[int, int], options: Mapping[str, int | float]) -> int:
    """Return how often the network runs for one map.

    Args:
        size: (width, height) of its input in pixels.
        options: Those of `occlusion`.
    """
    return math.prod(math.ceil(side / options["stride"]) for side in size)


def _covered(length: int, patch: int, stride: int) -> list[slice]:
    """Return what a patch covers of one side of the image, for each cell."""
    cells = math.ceil(length / stride)
    starts = [math.floor((cell + 0.5) * length / cells - patch / 2 + 0.5) for cell in range(cells)]
    return [slice(max(start, 0), start + patch) for start in starts]


def _occluded(image: torch.Tensor, rows: list[slice], columns: list[slice]) -> Iterator[torch.Tensor]:
    for row in rows:
        for column in columns:
            covered = image.clone()
            covered[:, row, column] = 0
            yield covered
