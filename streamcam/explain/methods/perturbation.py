r"""Methods that ask the network again: about changed images, or about changed activations.

Symbols: :math:`A^k` is channel k of the layer's activations, X the image, y its score, f(X') the score of
a changed image X', and

.. math:: H^k = \frac{U(A^k) - \min U(A^k)}{\max U(A^k) - \min U(A^k)}

a channel enlarged bilinearly to the image's size and scaled to 0..1: the mask that it makes. A channel
that is the same everywhere says nothing of places: its mask is zero. Every function takes activations as
float32 (N, K, h, w) and returns float32 (N, h, w). Noise is drawn on the CPU from a generator of its own,
for every image: the same seed gives the same map in any batch and on any device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
import torch.nn.functional as F

from streamcam.explain.method_inputs import GradientScorer
from streamcam.explain.scorers import ImageScorer, Scorer

# How many masks are held at once. The noise that is drawn for 16 planes of any size and then for the next
# 16 is what would be drawn for all at once: PyTorch's generator works on blocks of 16 numbers.
_PLANES = 16


def scorecam(activations: torch.Tensor, image_scorer: ImageScorer) -> torch.Tensor:
    r"""Score-CAM: channels weighted by the score of the image seen through them.

    Wang et al. 2020, "Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural Networks",
    https://arxiv.org/abs/1910.01279:

    .. math:: M = \sum_k w_k A^k, \quad w = \mathrm{softmax}_k f(X \odot H^k)

    The score of a baseline image, which the paper subtracts, cancels in the softmax.
    """
    return _weighted_by_scores(
        activations, lambda row: _score_masks(activations[row], image_scorer, row, strengths=[1.0])
    )


def sscam(
    activations: torch.Tensor,
    image_scorer: ImageScorer,
    *,
    samples: int = 35,
    std: float = 2.0,
    seed: int = 0,
) -> torch.Tensor:
    r"""SS-CAM: Score-CAM, each mask tried several times with noise upon it.

    Wang et al. 2020, "SS-CAM: Smoothed Score-CAM for Sharper Visual Feature Localization",
    https://arxiv.org/abs/2006.14255, with smoothing of the mask:

    .. math:: M = \sum_k w_k A^k, \quad w = \mathrm{softmax}_k \frac{1}{n} \sum_{i=1}^{n}
              f(X \odot (H^k + \delta_i)), \quad \delta_i \sim \mathcal{N}(0, \sigma^2)

    Args:
        samples: n, how often each mask is tried.
        std: The noise's standard deviation, where masks reach from 0 to 1.
        seed: Of the noise.
    """

    def score(row: int) -> torch.Tensor:
        image = image_scorer.inputs[row]
        generator = torch.Generator().manual_seed(seed)

        def variants() -> Iterator[torch.Tensor]:
            for _ in range(samples):
                for masks in _masks(activations[row], image.shape[1:]):
                    noise = torch.randn(masks.shape, generator=generator).to(masks.device)
                    yield from (image * mask for mask in masks + std * noise)

        return image_scorer.score_inputs(variants(), row).view(samples, -1).mean(dim=0)

    return _weighted_by_scores(activations, score)


def iscam(activations: torch.Tensor, image_scorer: ImageScorer, *, samples: int = 10) -> torch.Tensor:
    r"""IS-CAM: Score-CAM, each mask tried at several strengths.

    Naidu et al. 2020, "IS-CAM: Integrated Score-CAM for axiomatic-based explanations",
    https://arxiv.org/abs/2010.03023:

    .. math:: M = \sum_k w_k A^k, \quad w = \mathrm{softmax}_k \frac{1}{n} \sum_{i=1}^{n}
              f\Big(\sum_{j=1}^{i} \frac{j}{n} X \odot H^k\Big)

    The strengths 1/n, 3/n, 6/n … (n + 1)/2 are those of torchcam, which the paper's author looked through. As
    the paper is quoted in https://github.com/frgfm/torch-cam/issues/154 (it was not at hand itself), j runs
    from 0 to i - 1: that is the same without the last strength, as a strength of 0 adds the same to every
    channel and cancels in the softmax.

    Args:
        samples: n, how many strengths.
    """
    strengths = [i * (i + 1) / (2 * samples) for i in range(1, samples + 1)]
    return _weighted_by_scores(
        activations, lambda row: _score_masks(activations[row], image_scorer, row, strengths)
    )


def ablationcam(activations: torch.Tensor, scorer: Scorer) -> torch.Tensor:
    r"""Ablation-CAM: channels weighted by how far the score falls without them.

    Desai and Ramaswamy 2020, "Ablation-CAM: Visual Explanations for Deep Convolutional Network via
    Gradient-free Localization", https://doi.org/10.1109/WACV45572.2020.9093360, with :math:`y_k` the score
    when channel k is zero at every place:

    .. math:: M = \sum_k w_k A^k, \quad w_k = \frac{y - y_k}{|y|}

    The division only scales an image's map; where y is 0 it is left out. The paper prints y, not its
    magnitude, and so does pytorch-grad-cam: the same where the score is above 0, and a map of what speaks
    against the class where it is below, as logits of classes that are not in the image are. A video in which
    a score passes 0 would then show now the one and now the other.
    """
    maps = []
    for row, planes in enumerate(activations):
        baseline = scorer.baseline[row]
        active = planes.flatten(1).any(dim=1)  # a channel of zeros can be left out unasked
        scores = baseline.repeat(len(planes))
        scores[active] = scorer.score_activations(_without_each(planes, active), row)
        weights = (baseline - scores) / torch.where(baseline == 0, 1, baseline.abs())
        maps.append(torch.einsum("k,kij->ij", weights, planes))
    return torch.stack(maps)


def smooth_gradcam_plus_plus(
    activations: torch.Tensor,
    gradient_scorer: GradientScorer,
    *,
    samples: int = 4,
    std: float = 0.3,
    seed: int = 0,
) -> torch.Tensor:
    r"""Smooth Grad-CAM++: Grad-CAM++ with derivatives averaged over noisy versions of the image.

    Omeiza et al. 2019, "Smooth Grad-CAM++: An Enhanced Inference Level Visualization Technique for Deep
    Convolutional Neural Network Models", https://arxiv.org/abs/1908.01224, with :math:`D_p` the mean of the
    p-th powers of the gradients:

    .. math:: M = \sum_k w_k A^k, \quad w_k = \sum_{ij} \alpha^k_{ij} ReLU(D^k_{1,ij}), \quad
              \alpha^k_{ij} = \frac{D^k_{2,ij}}{2 D^k_{2,ij} + \sum_{ab} A^k_{ab} D^k_{3,ij}}

    Without noise this is Grad-CAM++. The paper prints :math:`D_1` as the numerator, with which it would not
    be; :math:`D_2` stands there in Grad-CAM++.

    Args:
        samples: How many noisy versions.
        std: The noise's standard deviation, on the scale of the network's input.
        seed: Of the noise.
    """
    maps = []
    for row, planes in enumerate(activations):
        noisy = _noisy(gradient_scorer.inputs[row], samples, std, seed)
        first, second, third = (torch.zeros_like(planes) for _ in range(3))
        for gradients in gradient_scorer.gradients(noisy, row):
            first += gradients.sum(dim=0) / samples
            second += gradients.square().sum(dim=0) / samples
            third += gradients.pow(3).sum(dim=0) / samples
        totals = planes.sum(dim=(1, 2), keepdim=True)
        shares = second / (2 * second + totals * third + 1e-8)  # as small as in torchcam
        weights = (shares * first.relu()).sum(dim=(1, 2))
        maps.append(torch.einsum("k,kij->ij", weights, planes))
    return torch.stack(maps)


def _weighted_by_scores(activations: torch.Tensor, score: Callable[[int], torch.Tensor]) -> torch.Tensor:
    """Sum every image's channels with the softmax of their scores: row → (K,)."""
    weights = torch.stack([score(row).softmax(dim=0) for row in range(len(activations))])
    return torch.einsum("nk,nkij->nij", weights, activations)


def _score_masks(
    planes: torch.Tensor, scorer: ImageScorer, row: int, strengths: Sequence[float]
) -> torch.Tensor:
    """Score one image through the mask of each channel, averaged over the masks' strengths: (K,)."""
    image = scorer.inputs[row]
    varied = _varied(planes)
    variants = (
        image * mask * strength
        for masks in _masks(planes[varied], image.shape[1:])
        for mask in masks
        for strength in strengths
    )
    scores = planes.new_empty(len(planes))
    scores[varied] = scorer.score_inputs(variants, row).view(-1, len(strengths)).mean(dim=1)
    if not varied.all():  # all of these are the same black image
        scores[~varied] = scorer.score_inputs(iter([torch.zeros_like(image)]), row)
    return scores


def _masks(planes: torch.Tensor, size: Sequence[int]) -> Iterator[torch.Tensor]:
    """Enlarge channels (K, h, w) and scale them to 0..1, a few at a time: (at most 16, H, W)."""
    for few in torch.split(planes, _PLANES):
        enlarged = F.interpolate(few.unsqueeze(1), tuple(size), mode="bilinear", align_corners=False)
        lowest = enlarged.amin(dim=(2, 3), keepdim=True)
        spans = enlarged.amax(dim=(2, 3), keepdim=True) - lowest
        masks = ((enlarged - lowest) / spans).squeeze(1)
        yield masks.masked_fill(~_varied(few).view(-1, 1, 1), 0)


def _varied(planes: torch.Tensor) -> torch.Tensor:
    """Find the channels (K, h, w) that are not the same everywhere, before any rounding: bool (K,)."""
    return planes.amax(dim=(1, 2)) > planes.amin(dim=(1, 2))


def _without_each(planes: torch.Tensor, active: torch.Tensor) -> Iterator[torch.Tensor]:
    for index in active.nonzero().flatten().tolist():
        ablated = planes.clone()
        ablated[index] = 0
        yield ablated


def _noisy(image: torch.Tensor, samples: int, std: float, seed: int) -> Iterator[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(samples):
        yield image + std * torch.randn(image.shape, generator=generator).to(image.device)
