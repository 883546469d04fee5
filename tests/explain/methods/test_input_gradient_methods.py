"""The methods that follow gradients to the input: by hand, then against pytorch-grad-cam."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from peers import require_peer
from torch import nn
from torchvision.models import mobilenet_v2, resnet18, vgg11_bn

from streamcam.errors import ModelError
from streamcam.explain import METHODS, Explainer
from streamcam.explain.hooks import HookedNetwork
from streamcam.explain.methods.input_gradients import (
    _bias_of_normalization,
    _guided_gradient,
    fullgrad,
    guided_backprop,
    guided_gradcam,
)
from streamcam.explain.objectives import Objective
from streamcam.models import Classifier, InputSpec, Output
from streamcam.models.labels import numbered_labels

METHODS_TO_INPUT = [
    name for name, row in METHODS.items() if row.passes == "full backward" and name != "legrad"
]
"""LeGrad reads attention, which these networks have not; see test_attention_methods.py."""


def _network(module: nn.Module, classes: int = 10, size: int = 64) -> HookedNetwork:
    labels = numbered_labels(classes)
    return HookedNetwork(Classifier("test", module.eval(), labels, InputSpec(size, size), "none"), [])


def _objective(*classes: int) -> Objective:
    return Objective(torch.tensor(classes))


class _OneAgainstAnother(nn.Module):
    """x and -x through a ReLU: one logit is the first less three times the second, the other its negative."""

    def __init__(self, relu: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.relu = relu

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        positive, negative = self.relu(batch * 1), self.relu(batch * -1)
        logit = positive.sum(dim=(1, 2, 3)) - 3 * negative.sum(dim=(1, 2, 3))
        return torch.stack([logit, -logit], dim=1)


RELUS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "module": nn.ReLU(),  # one module that runs twice, as in torchvision's resnets
    "module in place": nn.ReLU(inplace=True),
    "module of six": nn.ReLU6(),
    "module of six in place": nn.ReLU6(inplace=True),
    "function": F.relu,
    "function in place": lambda values: F.relu(values, inplace=True),
    "function of six": F.relu6,
    "torch": torch.relu,
    "torch in place": torch.relu_,
    "method": torch.Tensor.relu,
    "method in place": torch.Tensor.relu_,
    "hardtanh": lambda values: F.hardtanh(values, 0, 6),
    "hardtanh in place": lambda values: F.hardtanh_(values, 0.0, 6.0),
}


@pytest.mark.parametrize("relu", RELUS.values(), ids=RELUS.keys())
def test_guided_backprop_drops_negative_gradients_at_every_relu(
    relu: Callable[[torch.Tensor], torch.Tensor],
) -> None:
    network = _network(_OneAgainstAnother(relu), classes=2)
    inputs = torch.tensor([[[[2.0, -1.0, 0.0]]]])
    # For class 0, gradients of 1 arrive where x = 2, and of -3 where x = -1, which are dropped.
    # For class 1, gradients of -1 arrive where x = 2, which are dropped, and of 3 where x = -1.
    assert guided_backprop(inputs, network, _objective(0)).tolist() == [[[1.0, 0.0, 0.0]]]
    assert guided_backprop(inputs, network, _objective(1)).tolist() == [[[0.0, 3.0, 0.0]]]


def test_guided_backprop_stops_at_the_ceiling_of_relu6() -> None:
    network = _network(_OneAgainstAnother(nn.ReLU6()), classes=2)
    assert guided_backprop(torch.tensor([[[[5.0, 7.0]]]]), network, _objective(0)).tolist() == [[[1.0, 0.0]]]


def test_guided_backprop_sums_absolute_values_over_the_colors() -> None:
    network = _network(_OneAgainstAnother(nn.ReLU()), classes=2)
    inputs = torch.tensor([1.0, -1.0, 1.0]).view(1, 3, 1, 1)
    assert _guided_gradient(inputs, network, _objective(0)).flatten().tolist() == [1.0, 0.0, 1.0]
    assert guided_backprop(inputs, network, _objective(0)).tolist() == [[[2.0]]]


def test_a_network_that_begins_in_place_does_not_change_its_inputs() -> None:
    class InPlace(nn.Module):
        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            return batch.relu_().sum(dim=(2, 3))

    inputs = torch.tensor([-1.0, 2.0]).view(1, 1, 1, 2)
    for method in (guided_backprop, fullgrad):
        method(inputs, _network(InPlace(), classes=1), Objective(torch.tensor([1])))
        assert inputs.flatten().tolist() == [-1.0, 2.0]
        assert not inputs.requires_grad


@pytest.mark.parametrize("activation", [nn.GELU(), nn.SiLU(), nn.Hardtanh()])
def test_guided_backprop_refuses_networks_without_a_relu(activation: nn.Module) -> None:
    network = _network(_OneAgainstAnother(activation), classes=2)
    with pytest.raises(ModelError, match=r"this network has none; use gradcam"):
        guided_backprop(torch.ones(1, 1, 1, 2), network, _objective(0))


def test_a_relu_off_the_way_from_input_to_logits_does_not_count() -> None:
    # As in the second Swin transformer, where positions pass one and pixels do not.
    class Offset(_OneAgainstAnother):
        def __init__(self) -> None:
            super().__init__(nn.Identity())
            self.offset = nn.Parameter(torch.ones(1))

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            return super().forward(batch + self.offset.relu())

    with pytest.raises(ModelError, match="this network has none"):
        guided_backprop(torch.ones(1, 1, 1, 2), _network(Offset(), classes=2), _objective(0))


def test_guided_gradcam_multiplies_with_the_enlarged_positive_gradcam() -> None:
    network = _network(_OneAgainstAnother(nn.ReLU()), classes=2)
    inputs = torch.ones(1, 1, 1, 4)  # guided backpropagation is 1 everywhere
    activations = torch.tensor([[[[4.0, -8.0]]]])
    gradients = torch.tensor([[[[0.5, 0.5]]]])
    # Grad-CAM is 2 and -4, cut 2 and 0; at twice the width, places lie at 1/4 and 3/4 between the centers.
    found = guided_gradcam(inputs, network, _objective(0), activations, gradients)
    assert found.tolist() == [[[2.0, 1.5, 0.5, 0.0]]]


class _WeighedPlaces(nn.Module):
    """A layer with a bias, a ReLU, and one logit: places weighted by 5, 1 and 3."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        weights = torch.tensor([5.0, 1.0, 3.0])
        return (self.layer(batch).relu() * weights).sum(dim=(1, 3))


def _convolution(weight: float, bias: float) -> nn.Conv2d:
    layer = nn.Conv2d(1, 1, 1)
    nn.init.constant_(layer.weight, weight)
    assert layer.bias is not None
    nn.init.constant_(layer.bias, bias)
    return layer


def _normalization(mean: float, variance: float, scale: float, shift: float) -> nn.BatchNorm2d:
    layer = nn.BatchNorm2d(1, eps=0)
    assert layer.running_mean is not None
    assert layer.running_var is not None
    for tensor, value in (
        (layer.running_mean, mean),
        (layer.running_var, variance),
        (layer.weight, scale),
        (layer.bias, shift),
    ):
        nn.init.constant_(tensor, value)
    return layer


BIASED: dict[str, tuple[nn.Module, list[float]]] = {
    # f = x + 1 = -1, 2, 4, so dy/df = dy/dx = 0, 1, 3: |x g| = 0, 1, 9 and |b g| = 0, 1, 3, both to 0..1.
    "convolution": (_convolution(1, 1), [0, 1 / 9 + 1 / 3, 1 + 1]),
    # f = (x + 2) / 2 * 3 + 1 = 1, 5.5, 8.5: dy/df = 5, 1, 3 and dy/dx = 7.5, 1.5, 4.5.
    # |x g| = 15, 1.5, 13.5; the bias is 1 + 2 * 3 / 2 = 4: |b g| = 20, 4, 12.
    "normalization": (_normalization(-2, 4, 3, 1), [1 + 1, 0, 12 / 13.5 + 0.5]),
    # The same with a shift that makes the bias 0: f = 0, 4.5, 7.5, of which the first does not pass the ReLU.
    "normalization without a bias in effect": (_normalization(-2, 4, 3, -3), [0, 1.5 / 13.5, 1]),
}


@pytest.mark.parametrize(("layer", "expected"), BIASED.values(), ids=BIASED.keys())
def test_fullgrad_sums_the_input_and_the_biases_contributions(
    layer: nn.Module, expected: list[float]
) -> None:
    inputs = torch.tensor([[[[-2.0, 1.0, 3.0]]]])
    found = fullgrad(inputs, _network(_WeighedPlaces(layer), classes=2), _objective(1))
    np.testing.assert_allclose(found.flatten().numpy(), expected, atol=1e-6)


def test_fullgrad_counts_a_normalisation_with_an_activation_built_in() -> None:
    # As timm's BatchNormAct2d: what the module puts out is not what the bias was added to.
    class WithActivation(nn.BatchNorm2d):
        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            return super().forward(batch).relu()

    plain, built_in = _normalization(-2, 4, 3, -2), WithActivation(1, eps=0)
    built_in.load_state_dict(plain.state_dict())
    inputs = torch.tensor([[[[-3.0, 1.0, 3.0]]]])
    maps = [
        fullgrad(inputs, _network(_WeighedPlaces(layer), classes=2), _objective(1))
        for layer in (plain, built_in)
    ]
    assert torch.equal(*maps)
    assert maps[0].count_nonzero() > 0


def test_the_bias_that_normalisation_amounts_to() -> None:
    mean, variance = torch.tensor([2.0]), torch.tensor([4.0])
    given = {"weight": torch.tensor([3.0]), "bias": torch.tensor([0.5]), "training": False, "eps": 0.0}
    # 0.5 - 2 * 3 / 2
    assert _bias_of_normalization((torch.empty(0), mean, variance), given) == torch.tensor([-2.5])
    bare = {"weight": None, "bias": None, "training": False, "eps": 0.0}
    assert _bias_of_normalization((torch.empty(0), mean, variance), bare) == torch.tensor([-1.0])
    # Statistics of the batch itself are no constants.
    assert _bias_of_normalization((torch.empty(0), None, None), {**given, "training": True}) is None


# --- Parity ------------------------------------------------------------------------------------------


def _with_statistics(module: nn.Module) -> nn.Module:
    """Give normalisations the parameters of trained ones: fresh ones amount to a bias of 0."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            nn.init.normal_(part.running_mean, 0, 0.1)
            nn.init.uniform_(part.running_var, 0.5, 1.5)
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, 0, 0.1)
    return module.eval()


def _small_vgg(**settings: Any) -> nn.Module:
    """Its own classifier has 100 million weights, which is slow to copy and adds nothing here."""
    module = vgg11_bn(**settings)
    module.classifier = nn.Linear(512 * 7 * 7, 10)
    return module


NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "resnet18": resnet18,
    "vgg11_bn": _small_vgg,
    "mobilenet_v2": mobilenet_v2,
}


@pytest.fixture(scope="module")
def networks() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    return {name: _with_statistics(build(weights=None, num_classes=10)) for name, build in NETWORKS.items()}


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def _peer_guided_gradient(module: nn.Module, image: torch.Tensor, target: int) -> NDArray[np.float32]:
    """Return the peer's gradient, (C, H, W). It swaps modules, hence the copy."""
    peer = require_peer("pytorch_grad_cam")
    gradient = peer.GuidedBackpropReLUModel(copy.deepcopy(module))(image[None].clone(), target)
    return np.asarray(gradient.transpose(2, 0, 1))


@pytest.mark.parametrize("name", ["resnet18", "vgg11_bn"])
def test_guided_gradients_equal_those_of_pytorch_grad_cam(
    name: str, networks: dict[str, nn.Module], images: torch.Tensor
) -> None:
    for target in (1, 7):
        own = _guided_gradient(images, _network(networks[name]), _objective(target, target)).numpy()
        expected = [_peer_guided_gradient(networks[name], image, target) for image in images]
        np.testing.assert_allclose(own, expected, atol=1e-4 * np.abs(expected).max())


def test_guided_backprop_covers_the_relu6_that_pytorch_grad_cam_misses(
    networks: dict[str, nn.Module], images: torch.Tensor
) -> None:
    # The peer replaces modules of the class ReLU only: of a network of ReLU6 it shows the plain gradient. The
    # rule of the paper is applied here to ReLU6 and to functions too, as the values by hand above show.
    module = networks["mobilenet_v2"]
    image = images[:1].clone().requires_grad_()
    (plain,) = torch.autograd.grad(module(image)[0, 1], image)
    expected = _peer_guided_gradient(module, images[0], 1)
    np.testing.assert_allclose(plain[0].numpy(), expected, atol=1e-4 * np.abs(expected).max())
    own = _guided_gradient(images[:1], _network(module), _objective(1))[0].numpy()
    assert np.abs(own - expected).max() > 0.5 * np.abs(expected).max()


@pytest.mark.parametrize("name", ["resnet18", "vgg11_bn"])
def test_guided_gradcam_equals_the_product_that_pytorch_grad_cam_shows(
    name: str, networks: dict[str, nn.Module]
) -> None:
    peer = require_peer("pytorch_grad_cam")
    targets = require_peer("pytorch_grad_cam.utils.model_targets")
    module = networks[name]
    layer = {"resnet18": "layer3", "vgg11_bn": "features.17"}[name]
    inputs, own = _map_of(module, "guided-gradcam", 1, target_layer=layer)
    with peer.GradCAM(module, [module.get_submodule(layer)]) as theirs:
        coarse = theirs(inputs, [targets.ClassifierOutputTarget(1)])[0]
    # The peer also moves Grad-CAM's minimum to 0, which the paper does not: here it is 0 already.
    assert _map_of(module, "gradcam", 1, target_layer=layer)[1].min() == 0
    expected = coarse * np.abs(_peer_guided_gradient(module, inputs[0], 1)).sum(axis=0)
    np.testing.assert_allclose(own / own.max(), expected / expected.max(), atol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_fullgrad_equals_that_of_pytorch_grad_cam(
    name: str, networks: dict[str, nn.Module], images: torch.Tensor
) -> None:
    peer = require_peer("pytorch_grad_cam")
    targets = require_peer("pytorch_grad_cam.utils.model_targets")
    image = require_peer("pytorch_grad_cam.utils.image")
    with peer.FullGrad(networks[name], []) as theirs:
        for target in (1, 7):
            own = fullgrad(images, _network(networks[name]), _objective(target, target))
            expected = theirs(images, [targets.ClassifierOutputTarget(target)] * 2)
            np.testing.assert_allclose(image.scale_cam_image(own.numpy()), expected, atol=1e-4)
    networks[name].zero_grad(set_to_none=True)  # the peer leaves gradients behind


def test_maps_of_other_classes_differ(networks: dict[str, nn.Module], images: torch.Tensor) -> None:
    # Both classes' maps come of one batch: each image is explained for its own class.
    network = _network(networks["resnet18"])
    for method in (guided_backprop, fullgrad):
        both = method(images[:1].expand(2, -1, -1, -1), network, _objective(1, 7))
        for row, target in enumerate((1, 7)):
            alone = method(images[:1], network, _objective(target))[0]
            np.testing.assert_allclose(both[row].numpy(), alone.numpy(), atol=1e-4 * float(alone.max()))
        assert not torch.allclose(both[0], both[1])


# --- What every run keeps ----------------------------------------------------------------------------


def _images(count: int, size: int = 64) -> list[NDArray[np.uint8]]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (size, size, 3), dtype=np.uint8) for _ in range(count)]


def _explainer(module: nn.Module, method: str, target: Any, **settings: Any) -> Explainer:
    classifier = Classifier("test", module, numbered_labels(10), InputSpec(64, 64), "none")
    return Explainer(classifier, method=method, classes=target, fit="stretch", device="cpu", **settings)


def _map_of(module: nn.Module, method: str, target: int, **settings: Any) -> tuple[torch.Tensor, Any]:
    explainer = _explainer(module, method, target, **settings)
    (image,) = _images(1)
    return explainer.preprocess(image), explainer.explain([image])[0].heatmaps[target]


def _small_network() -> nn.Sequential:
    torch.manual_seed(0)
    body = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3)
    )
    head = nn.Sequential(nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 10))
    return nn.Sequential(body, head)


@pytest.mark.parametrize("method", METHODS_TO_INPUT)
def test_a_batch_equals_single_runs(method: str, networks: dict[str, nn.Module]) -> None:
    images = _images(3)
    explainer = _explainer(networks["resnet18"], method, 3, batch_size=3)
    batch = [explanation.heatmaps[3] for explanation in explainer.explain(images)]
    for image, together in zip(images, batch, strict=True):
        alone = explainer.explain([image])[0].heatmaps[3]
        assert alone.shape == (64, 64)
        assert alone.dtype == np.float32
        np.testing.assert_allclose(together, alone, atol=1e-5 * alone.max())


def _state(module: nn.Module) -> tuple[Any, ...]:
    """Everything that a run must leave as it was."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return (
        [(part.training, [list(getattr(part, name)) for name in hooks]) for part in module.modules()],
        [(id(one), one.requires_grad, one._version) for one in module.parameters()],
        [(id(one), one._version) for one in module.buffers()],
    )


def _raise(_output: object) -> torch.Tensor:
    raise ArithmeticError("no such number")


def _raise_on_the_way_back(output: Output) -> torch.Tensor:
    score = output.scores[:, 1] * 1
    score.register_hook(_raise)
    return score


@pytest.mark.parametrize("method", METHODS_TO_INPUT)
@pytest.mark.parametrize("frozen", [False, True], ids=["trainable", "frozen"])
def test_a_network_is_left_as_it_was(method: str, frozen: bool) -> None:
    module = _small_network().train().requires_grad_(not frozen)
    module[1].eval()  # parts may stand otherwise than the rest
    weight = next(module.parameters())
    weight.grad = kept = torch.ones_like(weight)
    module[0].register_forward_hook(lambda *_: None)
    before = _state(module)
    for target in (3, _raise, _raise_on_the_way_back):
        explainer = _explainer(module, method, target)
        if callable(target):
            with pytest.raises(ArithmeticError, match="no such number"):
                explainer.explain(_images(1))
        else:
            explainer.explain(_images(1))
        assert _state(module) == before
        gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
        assert len(gradients) == 1
        assert gradients[0] is kept
        assert kept.eq(1).all()
        assert torch.is_grad_enabled()


@pytest.mark.parametrize("method", METHODS_TO_INPUT)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_callers_may_have_gradients_off(method: str, mode: Callable[[], Any]) -> None:
    (image,) = _images(1)
    expected = _explainer(_small_network(), method, 3).explain([image])[0].heatmaps[3]
    assert expected.any()
    with mode():
        found = _explainer(_small_network(), method, 3).explain([image])[0].heatmaps[3]
    np.testing.assert_allclose(found, expected, atol=1e-5 * expected.max())


@pytest.mark.parametrize("method", METHODS_TO_INPUT)
def test_networks_may_compute_in_half_precision(method: str) -> None:
    (image,) = _images(1)
    maps = [
        _explainer(_small_network(), method, 3, precision=precision).explain([image])[0].heatmaps[3]
        for precision in ("fp32", "bf16")
    ]
    assert maps[1].dtype == np.float32
    assert np.corrcoef(maps[0].ravel(), maps[1].ravel())[0, 1] > 0.95
