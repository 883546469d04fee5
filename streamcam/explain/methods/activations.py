"""Methods that look at a layer's activations alone: one pass, no gradients, and no particular class.

Every function takes activations as float32 (N, K, h, w) and returns float32 (N, h, w).
"""

from __future__ import annotations

import torch

_SQUARINGS, _STEPS = 8, 32
"""A power of 8192: of two eigenvalues that differ by a five-hundredth, the smaller is left with e^-16."""

_TINY = 1e-30


def eigencam(activations: torch.Tensor) -> torch.Tensor:
    r"""Eigen-CAM: the first principal component of the activations over the places.

    Muhammad and Yeasin 2020, "Eigen-CAM: Class Activation Map using Principal Components",
    https://arxiv.org/abs/2008.00299: with :math:`A = U S V^T` for A centered, of shape (h w, K),

    .. math:: M = A v_1
    """
    return _first_component(activations)


def eigengradcam(activations: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    r"""Eigen-CAM of activations times gradients, which makes it speak of the class.

    After https://arxiv.org/abs/2008.00299, as in https://github.com/jacobgil/pytorch-grad-cam: the first
    principal component of :math:`G^k_{ij} A^k_{ij}`.
    """
    return _first_component(gradients * activations)


def kpcacam(activations: torch.Tensor) -> torch.Tensor:
    r"""KPCA-CAM: the first component of kernel PCA, which follows curved structure too.

    Karmani et al. 2024, "KPCA-CAM: Visual Explainability of Deep Computer Vision Models using Kernel PCA",
    https://arxiv.org/abs/2410.00267, with the sigmoid kernel over the places' centered features:

    .. math:: K_{pq} = \tanh(a_p \cdot a_q / K + 1), \quad M = \sqrt{\lambda_1} u_1
    """
    places = _in_float64(_centered_places(activations))
    kernel = torch.tanh(places @ places.transpose(1, 2) / activations.shape[1] + 1)
    means = kernel.mean(dim=1, keepdim=True)
    centered = kernel - means - means.transpose(1, 2) + kernel.mean(dim=(1, 2), keepdim=True)
    values, vectors = torch.linalg.eigh(centered)
    component = vectors[:, :, -1] * values[:, -1:].clamp(min=0).sqrt()
    # The largest entry is positive, as in scikit-learn's KernelPCA.
    largest = component.gather(1, component.abs().argmax(dim=1, keepdim=True))
    signed: torch.Tensor = component * torch.where(largest < 0, -1.0, 1.0)
    return signed.float().to(activations.device).view(-1, *activations.shape[2:])


def fem(activations: torch.Tensor, *, sigmas: float = 2.0) -> torch.Tensor:
    r"""FEM: channels weighted by how much of the image excites them unusually.

    Fuad et al. 2020, "Features Understanding in 3D CNNs for Actions Recognition in Video",
    https://hal.science/hal-02963298: with mean :math:`\mu_k` and standard deviation :math:`\sigma_k`,

    .. math:: M = \sum_k w_k A^k, \quad w_k = \frac{1}{Z} \sum_{ij} [A^k_{ij} > \mu_k + s \sigma_k]

    Args:
        sigmas: s, how many standard deviations are unusual.
    """
    means = activations.mean(dim=(2, 3), keepdim=True)
    deviations = activations.std(dim=(2, 3), keepdim=True, correction=0)
    weights = (activations > means + sigmas * deviations).float().mean(dim=(2, 3))
    return torch.einsum("nk,nkij->nij", weights, activations)


def _centered_places(features: torch.Tensor) -> torch.Tensor:
    """Return (N, h * w, K) with mean 0 over the places."""
    places = features.flatten(2).transpose(1, 2)
    return places - places.mean(dim=1, keepdim=True)


def _in_float64(values: torch.Tensor) -> torch.Tensor:
    """Return values in float64, on the processor where their device does not have that."""
    return (values.cpu() if values.device.type == "mps" else values).double()


def _first_component(features: torch.Tensor) -> torch.Tensor:
    """Project every place on the first principal axis.

    The axis has no sign of its own: it is chosen so that the map's largest value is positive.
    """
    places = _in_float64(_centered_places(features))
    across = places.transpose(1, 2)
    # Of the smaller product: a singular value decomposition takes several times as long.
    if places.shape[1] <= places.shape[2]:
        axis = across @ _leading_eigenvector(places @ across)
        axis = axis / axis.norm(dim=1, keepdim=True).clamp(min=_TINY)
    else:
        axis = _leading_eigenvector(across @ places)
    projection = (places @ axis).squeeze(2)
    largest = projection.gather(1, projection.abs().argmax(dim=1, keepdim=True))
    signed: torch.Tensor = projection * torch.where(largest < 0, -1.0, 1.0)
    return signed.float().to(features.device).view(-1, *features.shape[2:])


def _leading_eigenvector(matrix: torch.Tensor) -> torch.Tensor:
    """Return the eigenvector of the largest eigenvalue, by products alone, which every backend computes.

    Power iteration, with a power of the matrix, which squaring makes. Where the two largest eigenvalues
    hardly differ, no axis is the principal one.

    Args:
        matrix: Symmetric, without negative eigenvalues, (N, n, n).

    Returns:
        (N, n, 1), of length 1; zeros for a matrix of zeros.
    """
    for _ in range(_SQUARINGS):
        matrix = matrix / matrix.norm(dim=(1, 2), keepdim=True).clamp(min=_TINY)
        matrix = matrix @ matrix
    longest = matrix.norm(dim=1).argmax(dim=1)
    column = longest.view(-1, 1, 1).expand(-1, matrix.shape[1], 1)
    vector = matrix.gather(2, column)
    for _ in range(_STEPS):
        vector = matrix @ (vector / vector.norm(dim=1, keepdim=True).clamp(min=_TINY))
    normalized: torch.Tensor = vector / vector.norm(dim=1, keepdim=True).clamp(min=_TINY)
    return normalized
