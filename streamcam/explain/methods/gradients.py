r"""Methods that weigh a layer's activations with gradients of the objective: one pass, head gradients only.

Symbols: :math:`A^k_{ij}` are the activations of channel k at place (i, j), :math:`Z = h w` the number of
places, :math:`G^k_{ij} = \partial y / \partial A^k_{ij}` the gradients of the objective y. Every function
takes both as float32 (N, K, h, w) and returns float32 (N, h, w). What is negative in a map speaks against
the class; the backend cuts it off unless it is asked for.
"""

from __future__ import annotations

import torch

from streamcam.errors import ModelError

_TINY = 1e-7


def _weighted(weights: torch.Tensor, activations: torch.Tensor) -> torch.Tensor:
    """Sum channels with one weight each: (N, K) and (N, K, h, w) → (N, h, w)."""
    return torch.einsum("nk,nkij->nij", weights, activations)


def cam(activations: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    r"""CAM: channels weighted by the classifier's own weights.

    Zhou et al. 2016, "Learning Deep Features for Discriminative Localization",
    https://arxiv.org/abs/1512.04150, equation 2:

    .. math:: M = \sum_k w_k A^k

    Behind global average pooling and one linear layer, the gradient is :math:`w_k / Z` at every place, so
    the weights are read off it; where it is not the same everywhere, the head is another one.

    Raises:
        ModelError: if the head is not global average pooling and one linear layer.
    """
    weights = gradients.mean(dim=(2, 3), keepdim=True)
    places = gradients.shape[2] * gradients.shape[3]
    if not torch.allclose(gradients, weights.expand_as(gradients), rtol=1e-3, atol=1e-9):
        raise ModelError(
            "method 'cam' needs global average pooling and one linear layer behind the target layer, and "
            "this network has another head there; use gradcam or hirescam"
        )
    return _weighted(weights[:, :, 0, 0] * places, activations)


def gradcam(activations: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    r"""Grad-CAM: channels weighted by their mean gradient.

    Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
    Localization", https://arxiv.org/abs/1610.02391, equations 1 and 2:

    .. math:: M = \sum_k \alpha_k A^k, \quad \alpha_k = \frac{1}{Z} \sum_{ij} G^k_{ij}
    """
    return _weighted(gradients.mean(dim=(2, 3)), activations)


def gradcam_plus_plus(activations: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    r"""Grad-CAM++: positive gradients, weighted so that every part of an object counts alike.

    Chattopadhyay et al. 2018, "Grad-CAM++: Improved Visual Explanations for Deep Convolutional Networks",
    https://arxiv.org/abs/1710.11063, equations 10 and 19:

    .. math:: M = \sum_k w_k A^k, \quad w_k = \sum_{ij} \alpha^k_{ij} ReLU(G^k_{ij}), \quad
              \alpha^k_{ij} = \frac{(G^k_{ij})^2}{2 (G^k_{ij})^2 + \sum_{ab} A^k_{ab} (G^k_{ij})^3}
    """
    squared = gradients.square()
    totals = activations.sum(dim=(2, 3), keepdim=True)
    shares = squared / (2 * squared + totals * squared * gradients + 1e-6)
    shares = torch.where(gradients != 0, shares, torch.zeros_like(shares))
    return _weighted((shares * gradients.relu()).sum(dim=(2, 3)), activations)


def hirescam(activations: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    r"""HiResCAM: activations times gradients, place by place, never averaged.

    Draelos and Carin 2020, "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional
    neural networks", https://arxiv.org/abs/2011.08891, equation 3:

    .. math:: M_{ij} = \sum_k G^k_{ij} A^k_{ij}
    """
    return (gradients * activations).sum(dim=1)


def gradcam_elementwise(activations: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    r"""Element-wise Grad-CAM: what is positive in activations times gradients.

    As in HiResCAM, but negative products are dropped before channels are summed; introduced with
    https://github.com/jacobgil/pytorch-grad-cam:

    .. math:: M_{ij} = \sum_k ReLU(G^k_{ij} A^k_{ij})
    """
    return (gradients * activations).relu().sum(dim=1)


def xgradcam(activations: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    r"""XGrad-CAM: mean gradients weighted by where the activations are.

    Fu et al. 2020, "Axiom-based Grad-CAM: Towards Accurate Visualization and Explanation of CNNs",
    https://arxiv.org/abs/2008.02312, equation 8:

    .. math:: M = \sum_k w_k A^k, \quad w_k = \sum_{ij} \frac{A^k_{ij}}{\sum_{ab} A^k_{ab}} G^k_{ij}
    """
    totals = activations.sum(dim=(2, 3))
    return _weighted((gradients * activations).sum(dim=(2, 3)) / (totals + _TINY), activations)


def layercam(activations: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    r"""LayerCAM: activations times positive gradients, place by place; good on early layers too.

    Jiang et al. 2021, "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization",
    https://doi.org/10.1109/TIP.2021.3089943, equations 7 and 8:

    .. math:: M_{ij} = \sum_k ReLU(G^k_{ij}) A^k_{ij}
    """
    return (gradients.relu() * activations).sum(dim=1)


def shapleycam(activations: torch.Tensor, gradients: torch.Tensor, curvature: torch.Tensor) -> torch.Tensor:
    r"""ShapleyCAM: channels weighted by their Shapley value to second order.

    Cai 2025, "CAMs as Shapley Value-based Explainers", https://arxiv.org/abs/2501.06261, equation 14, with
    the Hessian H of the objective:

    .. math:: M = \sum_k w_k A^k, \quad w_k = \frac{1}{Z} \sum_{ij} (G - \tfrac{1}{2} H A)^k_{ij}

    Behind a linear head H is zero and the map is Grad-CAM's.
    """
    return _weighted((gradients - 0.5 * curvature).mean(dim=(2, 3)), activations)
