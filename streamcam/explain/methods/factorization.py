"""Methods that take activations apart into concepts: one pass, no gradients, no particular class."""

from __future__ import annotations

import itertools

import torch

MOST_CONCEPTS = 6
"""Projections try every set of concepts, and there are as many colors."""

_SWEEPS, _SWEEPS_AGAIN = 100, 5
"""Steps of a factorization, from nothing and from concepts that are known; it hardly improves after that."""

_UPDATES = 2
"""Updates of each factor in a step: the products that all of them share are most of the work."""

_TINY = 1e-12


def dff(activations: torch.Tensor, basis: torch.Tensor, *, concepts: int = 5) -> torch.Tensor:
    r"""Deep Feature Factorization: how much of each concept there is at each place.

    Collins, Achanta and Süsstrunk 2018, "Deep Feature Factorization For Concept Discovery",
    https://arxiv.org/abs/1806.10206: the activations of several images, A of shape (places, K) with negative
    values cut off, are about H W with both factors non-negative. The rows of W are the concepts, and each
    image's part of H is its maps. W is fitted once, on frames of a video; here each frame is projected:

    .. math:: H = \arg\min_{H \ge 0} \lVert \max(A, 0) - H W \rVert

    Args:
        activations: float32 (N, K, h, w).
        basis: The concepts W, float32 (C, K), not negative.
        concepts: C, how many of them are looked for.

    Returns:
        float32 (N, C, h, w).
    """
    places = activations.clamp(min=0).permute(0, 2, 3, 1)
    shares = project(places.reshape(-1, places.shape[-1]), basis[:concepts])
    return shares.view(*places.shape[:3], concepts).permute(0, 3, 1, 2)


def project(values: torch.Tensor, basis: torch.Tensor) -> torch.Tensor:
    """Solve non-negative least squares for each row of values exactly, by trying every set of concepts.

    The solution that uses a set is the plain least squares of that set; the best one without a negative
    coefficient is the answer.

    Args:
        values: float32 (P, K).
        basis: float32 (C, K), C at most `MOST_CONCEPTS`.

    Returns:
        Coefficients, float32 (P, C), not negative; NaN for values that are not finite.
    """
    finite = values.isfinite().all(dim=1, keepdim=True)
    gram = (basis @ basis.T).double()
    overlap = (values.nan_to_num(0, 0, 0) @ basis.T).double()
    best = torch.zeros_like(overlap)
    explained = torch.zeros_like(overlap[:, :1])
    for size in range(1, len(basis) + 1):
        for chosen in itertools.combinations(range(len(basis)), size):
            index = torch.tensor(chosen, device=basis.device)
            inverse = torch.linalg.pinv(gram[index][:, index], hermitian=True)
            coefficients = overlap[:, index] @ inverse
            gain = (coefficients * overlap[:, index]).sum(dim=1, keepdim=True)
            is_better = (coefficients >= 0).all(dim=1, keepdim=True) & (gain > explained)
            candidate = torch.zeros_like(overlap).index_copy(1, index, coefficients)
            best = torch.where(is_better, candidate, best)
            explained = torch.where(is_better, gain, explained)
    return torch.where(finite, best.float(), torch.nan)


def factorize(values: torch.Tensor, count: int, start: torch.Tensor | None = None) -> torch.Tensor:
    """Find the concepts of values: the factor W of a non-negative factorization H W.

    By accelerated hierarchical alternating least squares (Gillis and Glineur 2012,
    https://arxiv.org/abs/1107.5194), from a start without chance: the row that the concepts so far explain
    worst becomes the next one.

    Args:
        values: float32 (P, K), finite, not negative.
        count: C, number of concepts.
        start: Concepts to begin with, float32 (C, K): those that are found keep their order.

    Returns:
        float32 (C, K), not negative, each scaled so that its coefficients among the values reach about 1;
        zeros for concepts that nothing is left for.
    """
    basis = values.new_zeros(count, values.shape[1]) if start is None else start.clone()
    for concept in range(count):
        if basis[concept].norm() < _TINY:
            basis[concept] = _worst_explained(values, basis)
    shares = project(values, basis)
    for _ in range(_SWEEPS if start is None else _SWEEPS_AGAIN):
        _improve(shares, values @ basis.T, basis @ basis.T)
        _improve(basis.T, values.T @ shares, shares.T @ shares)
    shares = project(values, basis)
    return basis * shares.quantile(0.99, dim=0).unsqueeze(1)


def _worst_explained(values: torch.Tensor, basis: torch.Tensor) -> torch.Tensor:
    """Return the row whose difference from what the concepts make of it is largest."""
    rest = (values - project(values, basis) @ basis).norm(dim=1)
    worst = values[int(rest.argmax())]
    return worst if float(rest.max()) > _TINY else torch.zeros_like(worst)


def _improve(factor: torch.Tensor, overlap: torch.Tensor, gram: torch.Tensor) -> None:
    """Improve each column of a factor (P, C) in turn, the others as they are, in place."""
    for column in [*range(factor.shape[1])] * _UPDATES:
        step = overlap[:, column] - factor @ gram[:, column]
        factor[:, column] += step / gram[column, column].clamp(min=_TINY)
        factor[:, column].clamp_(min=0)
