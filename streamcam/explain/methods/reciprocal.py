r"""Methods that keep one place of the activations at a time and ask the network what it makes of that.

Symbols: A are the layer's activations, :math:`S_{ij}` a mask over places around place (i, j), f(A') the score
that the part of the network behind the layer gives to changed activations A'. Both functions take activations
as float32 (N, K, h, w) and return float32 (N, h, w): no gradients, one pass of the head for each place.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from streamcam.explain.scorers import Scorer

_ONE_PLACE = torch.ones(1, 1)
_GAUSSIAN = torch.tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]) / 16


def reciprocam(activations: torch.Tensor, scorer: Scorer) -> torch.Tensor:
    r"""Recipro-CAM: the score of each place of the layer alone.

    Byun and Lee 2022, "Recipro-CAM: Fast gradient-free visual explanations for convolutional neural
    networks", https://arxiv.org/abs/2209.14074, with :math:`S_{ij}` 1 at place (i, j) and 0 elsewhere:

    .. math:: M_{ij} = f(A \odot S_{ij}) - \min_{ab} f(A \odot S_{ab})

    The division by the largest value, with which the paper scales maps to 0..1, is left to what draws them.
    """
    return _score_places(activations, scorer, _ONE_PLACE)


def vit_reciprocam(activations: torch.Tensor, scorer: Scorer) -> torch.Tensor:
    r"""ViT-ReciproCAM: the score of each token and those around it.

    Byun and Lee 2023, "ViT-ReciproCAM: Gradient and Attention-Free Visual Explanations for Vision
    Transformer", https://arxiv.org/abs/2310.02588, with :math:`S_{ij}` a Gaussian of 3x3 places around
    (i, j), 1/4 in its middle, 1/8 beside it and 1/16 at its corners:

    .. math:: M_{ij} = f(A \odot S_{ij}) - \min_{ab} f(A \odot S_{ab})

    Class and register tokens stay as they are. The paper takes the tokens behind the first normalization of
    the last block, as ``auto`` does in most transformers.
    """
    return _score_places(activations, scorer, _GAUSSIAN)


def _score_places(activations: torch.Tensor, scorer: Scorer, kernel: torch.Tensor) -> torch.Tensor:
    size = activations.shape[2:]
    scores = torch.stack(
        [scorer.score_activations(_kept(planes, kernel), row) for row, planes in enumerate(activations)]
    )
    return (scores - scores.amin(dim=1, keepdim=True)).view(-1, *size)


def _kept(planes: torch.Tensor, kernel: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield the channels (K, h, w) seen through the kernel around each place, row by row."""
    rows, columns = planes.shape[1:]
    reach = kernel.shape[0] // 2
    for row in range(rows):
        for column in range(columns):
            mask = planes.new_zeros(rows + 2 * reach, columns + 2 * reach)
            mask[row : row + kernel.shape[0], column : column + kernel.shape[1]] = kernel.to(mask)
            yield planes * mask[reach : reach + rows, reach : reach + columns]
