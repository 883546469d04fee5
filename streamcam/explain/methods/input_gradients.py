r"""Methods that follow gradients all the way to the input: maps as fine as the image the network saw.

Every function takes the inputs x, float32 (N, C, H, W), and returns float32 (N, H, W). The network is
neither changed nor hooked: what has to happen inside it is done to the functions that it calls, while it
runs.

Guided backpropagation and what is built on it draw edges. Adebayo et al. 2018, "Sanity Checks for Saliency
Maps", https://arxiv.org/abs/1810.03292, replaced the weights of trained networks by noise, from the last
layer towards the first, and these maps hardly changed; nor do they change much from class to class. They
show the edges of the image, not why the network decided as it did, and should not be trusted as
explanations.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from streamcam.errors import ModelError
from streamcam.explain.hooks import HookedNetwork
from streamcam.explain.methods.gradients import gradcam
from streamcam.explain.objectives import Objective
from streamcam.explain.relus import argument_of, is_relu

_TINY = 1e-7  # as in pytorch-grad-cam


def guided_backprop(inputs: torch.Tensor, network: HookedNetwork, objective: Objective) -> torch.Tensor:
    r"""Guided backpropagation: the gradient of the input, with what is negative dropped at every ReLU.

    Springenberg et al. 2014, "Striving for Simplicity: The All Convolutional Net",
    https://arxiv.org/abs/1412.6806, figure 1: on the way back through :math:`f^{l+1} = ReLU(f^l)`,

    .. math:: R^l = [f^l > 0] [R^{l+1} > 0] R^{l+1}, \quad M = \sum_c |R^0_c|

    with R the changed gradients, and the absolute values of the C color channels summed. It works as an
    edge detector and should not be trusted as an explanation: the map stays almost the same when the
    network's later layers are replaced by noise (Adebayo et al. 2018, "Sanity Checks for Saliency Maps",
    https://arxiv.org/abs/1810.03292).

    Raises:
        ModelError: if the network has no ReLU.
    """
    return _guided_gradient(inputs, network, objective).abs().sum(dim=1)


def guided_gradcam(
    inputs: torch.Tensor,
    network: HookedNetwork,
    objective: Objective,
    activations: torch.Tensor,
    gradients: torch.Tensor,
) -> torch.Tensor:
    r"""Guided Grad-CAM: guided backpropagation where Grad-CAM is positive.

    Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
    Localization", https://arxiv.org/abs/1610.02391, section 3.2: Grad-CAM, cut at zero and enlarged to the
    input bilinearly, times the map of guided backpropagation:

    .. math:: M = up(ReLU(M_{Grad-CAM})) \cdot M_{guided}

    Grad-CAM speaks of the class; the fine detail added to it comes from an edge detector and should not be
    trusted as an explanation: it stays almost the same when the network's later layers are replaced by
    noise (Adebayo et al. 2018, "Sanity Checks for Saliency Maps", https://arxiv.org/abs/1810.03292).

    Raises:
        ModelError: if the network has no ReLU.
    """
    coarse = gradcam(activations, gradients).relu()
    return guided_backprop(inputs, network, objective) * _enlarged(coarse, inputs)


def fullgrad(inputs: torch.Tensor, network: HookedNetwork, objective: Objective) -> torch.Tensor:
    r"""FullGrad: what the input contributes, and what every bias contributes at every place.

    Srinivas and Fleuret 2019, "Full-Gradient Representation for Neural Network Visualization",
    https://arxiv.org/abs/1905.00780:

    .. math:: M = \sum_c \psi(x_c \frac{\partial y}{\partial x_c}) +
              \sum_l \sum_k up(\psi(b^l_k \frac{\partial y}{\partial f^l_k})), \quad
              \psi(v) = \frac{|v| - \min |v|}{\max |v| - \min |v|}

    The biases are those of convolutions and those that batch normalization amounts to,
    :math:`\beta - \mu \gamma / \sigma`; other layers' biases have no place in the image. Layers count
    alike however deep they are, and channels however weak, so maps are smooth and speak little of the
    class.
    """
    watch = _BiasContributions(len(inputs))
    gradient = _input_gradient(inputs, network, objective, watch)
    total = _sum_of_scaled(inputs * gradient)
    for planes in watch.by_size.values():
        total += _enlarged(planes, inputs)
    return total


def _guided_gradient(inputs: torch.Tensor, network: HookedNetwork, objective: Objective) -> torch.Tensor:
    """Return R^0 of guided backpropagation, float32 (N, C, H, W)."""
    watch = _GuidedReLUs()
    gradient = _input_gradient(inputs, network, objective, watch)
    if not watch.found:
        raise ModelError(
            "guided backpropagation changes how gradients pass ReLUs, and this network has none; "
            "use gradcam, or fullgrad for a map as fine"
        )
    return gradient


def _input_gradient(
    inputs: torch.Tensor,
    network: HookedNetwork,
    objective: Objective,
    watch: contextlib.AbstractContextManager[object],
) -> torch.Tensor:
    """Differentiate the objective by the inputs, with the network run inside a context.

    Returns:
        float32 (N, C, H, W).
    """
    leaf = inputs.detach().requires_grad_()
    with torch.enable_grad():
        with watch:
            output = network.forward(leaf.clone())  # a copy, for networks that begin in place
        value = objective(output).sum()
    (gradient,) = torch.autograd.grad(value, leaf, allow_unused=True, materialize_grads=True)
    return gradient


def _enlarged(planes: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
    """Enlarge (N, h, w) to the size of the inputs, (N, H, W)."""
    size = inputs.shape[2:]
    return F.interpolate(planes.unsqueeze(1), size, mode="bilinear", align_corners=False).squeeze(1)


def _sum_of_scaled(contributions: torch.Tensor) -> torch.Tensor:
    """Scale the absolute values of every channel to 0..1 and sum: (N, K, h, w) → (N, h, w)."""
    strengths = contributions.abs()
    strengths = strengths - strengths.amin(dim=(2, 3), keepdim=True)
    return (strengths / (strengths.amax(dim=(2, 3), keepdim=True) + _TINY)).sum(dim=1)


class _GuidedReLUs(TorchFunctionMode):
    """Lets gradients pass ReLUs only where they are positive, while it is entered.

    Covers ReLU and ReLU6, as modules and as functions, in place or not. A ReLU's own derivative does the
    rest: it is zero where the input was not positive. What is put on is put on the results of one run, and
    goes with them.

    Attributes:
        found: Whether gradients passed a ReLU on their way back.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found = False

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        if is_relu(func, args, kwargs) and output.requires_grad:
            # In place, this is the gradient of the changed tensor, not of what it was before.
            output.register_hook(self._cut)
        return output

    def _cut(self, gradient: torch.Tensor | None) -> torch.Tensor | None:
        self.found = True
        return None if gradient is None else gradient.clamp(min=0)  # none where no score depends on it


class _BiasContributions(TorchFunctionMode):
    """Collects what the biases of convolutions and batch normalizations contribute, while it is entered.

    The contributions come in during the backward pass and are summed at once, so that the gradients of
    only one layer are kept.

    Attributes:
        by_size: (h, w) → float32 (N, h, w), the scaled contributions of all channels of that size.
    """

    def __init__(self, count: int) -> None:
        """Start without contributions.

        Args:
            count: N, the number of images.
        """
        super().__init__()
        self.by_size: dict[tuple[int, int], torch.Tensor] = {}
        self._count = count

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        find_bias = _BIASES.get(func)
        if find_bias is not None and output.requires_grad and self._has_places(output):
            bias = find_bias(args, kwargs)
            if bias is not None:
                output.register_hook(self._adder(bias.detach().float().view(1, -1, 1, 1)))
        return output

    def _has_places(self, output: torch.Tensor) -> bool:
        return output.ndim == 4 and len(output) == self._count

    def _adder(self, bias: torch.Tensor) -> Callable[[torch.Tensor | None], None]:
        def add(gradient: torch.Tensor | None) -> None:
            if gradient is None:  # no score depends on this layer
                return
            planes = _sum_of_scaled(bias * gradient.float())
            size = (planes.shape[1], planes.shape[2])
            self.by_size[size] = self.by_size[size] + planes if size in self.by_size else planes

        return add


def _bias_of_convolution(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> torch.Tensor | None:
    bias: torch.Tensor | None = argument_of("bias", 2, args, kwargs)
    return bias


def _bias_of_normalization(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> torch.Tensor | None:
    """Return the bias that normalization amounts to; None where its statistics are the batch's own."""
    mean, variance, scale, shift = (
        argument_of(name, position, args, kwargs)
        for position, name in enumerate(("running_mean", "running_var", "weight", "bias"), start=1)
    )
    if mean is None or argument_of("training", 5, args, kwargs):
        return None
    epsilon = argument_of("eps", 7, args, kwargs)
    bias: torch.Tensor = -mean / (variance + (1e-5 if epsilon is None else epsilon)).sqrt()
    bias = bias if scale is None else bias * scale
    return bias if shift is None else bias + shift


_BIASES: dict[Any, Callable[[tuple[Any, ...], Mapping[str, Any]], torch.Tensor | None]] = {
    torch.conv2d: _bias_of_convolution,
    F.batch_norm: _bias_of_normalization,
}
