"""The methods of one pass: values worked out by hand, then parity with the peers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from peers import require_peer, scaled_as_pytorch_grad_cam
from torch import nn
from torchvision.models import mobilenet_v2, resnet18, vgg11

from streamcam.errors import ModelError
from streamcam.explain import METHODS, Explainer
from streamcam.explain.hooks import HookedNetwork
from streamcam.explain.method_inputs import MethodInputs
from streamcam.explain.methods import method_call
from streamcam.explain.methods.activations import eigencam, eigengradcam, fem, kpcacam
from streamcam.explain.methods.gradients import (
    cam,
    gradcam,
    gradcam_elementwise,
    gradcam_plus_plus,
    hirescam,
    layercam,
    shapleycam,
    xgradcam,
)
from streamcam.explain.objectives import Objective
from streamcam.models import Classifier, InputSpec, choose_target_layers, probe_layers
from streamcam.models.labels import numbered_labels

# Two channels of one row and two columns.
ACTIVATIONS = torch.tensor([[[[1.0, 3.0]], [[2.0, 0.0]]]])
GRADIENTS = torch.tensor([[[[2.0, 4.0]], [[-1.0, 3.0]]]])


def test_gradcam_weighs_channels_by_their_mean_gradient() -> None:
    # weights 3 and 1: 3 * [1, 3] + 1 * [2, 0]
    assert gradcam(ACTIVATIONS, GRADIENTS).tolist() == [[[5.0, 9.0]]]


def test_hirescam_multiplies_place_by_place() -> None:
    # [2 * 1, 4 * 3] + [-1 * 2, 3 * 0]
    assert hirescam(ACTIVATIONS, GRADIENTS).tolist() == [[[0.0, 12.0]]]


def test_elementwise_gradcam_drops_negative_products_before_the_sum() -> None:
    assert gradcam_elementwise(ACTIVATIONS, GRADIENTS).tolist() == [[[2.0, 12.0]]]


def test_layercam_drops_negative_gradients() -> None:
    assert layercam(ACTIVATIONS, GRADIENTS).tolist() == [[[2.0, 12.0]]]


def test_xgradcam_weighs_gradients_by_the_share_of_activation() -> None:
    # channel 1: (1*2 + 3*4) / 4 = 3.5; channel 2: (2*-1 + 0*3) / 2 = -1
    expected = [[[3.5 * 1 - 1 * 2, 3.5 * 3]]]
    np.testing.assert_allclose(xgradcam(ACTIVATIONS, GRADIENTS).numpy(), expected, rtol=1e-5)


def test_gradcam_plus_plus_follows_equation_19() -> None:
    # channel 1, total 4: g=2: 4 / (8 + 4*8) = 0.1, times 2; g=4: 16 / (32 + 4*64) = 1/18, times 4
    first = 0.1 * 2 + 16 / (32 + 256) * 4
    # channel 2, total 2: g=-1 counts for nothing; g=3: 9 / (18 + 2*27) = 1/8, times 3
    second = 9 / (18 + 54) * 3
    expected = [[[first * 1 + second * 2, first * 3]]]
    np.testing.assert_allclose(gradcam_plus_plus(ACTIVATIONS, GRADIENTS).numpy(), expected, rtol=1e-4)


def test_shapleycam_subtracts_half_the_curvature() -> None:
    curvature = torch.tensor([[[[2.0, 2.0]], [[0.0, 4.0]]]])
    # means of G - HA/2: (1 + 3) / 2 = 2 and (-1 + 1) / 2 = 0
    assert shapleycam(ACTIVATIONS, GRADIENTS, curvature).tolist() == [[[2.0, 6.0]]]


def test_cam_reads_the_weights_off_a_constant_gradient() -> None:
    constant = torch.tensor([[[[0.5, 0.5]], [[-1.0, -1.0]]]])  # weights 1 and -2 over two places
    assert cam(ACTIVATIONS, constant).tolist() == [[[1.0 - 4.0, 3.0]]]


def test_cam_refuses_a_head_that_is_not_pooling_and_one_linear_layer() -> None:
    with pytest.raises(ModelError, match=r"'cam' needs global average pooling .* use gradcam or hirescam"):
        cam(ACTIVATIONS, GRADIENTS)


def test_eigencam_projects_on_the_first_principal_axis() -> None:
    # Centerd places (-1, 1) and (1, -1): the axis is (1, -1) / sqrt 2, the projections are -+sqrt 2.
    projections = eigencam(ACTIVATIONS).flatten().abs().tolist()
    assert projections == pytest.approx([2**0.5, 2**0.5], rel=1e-5)


def test_eigencam_has_its_largest_value_positive() -> None:
    features = torch.zeros(1, 3, 2, 2)
    features[0, :, 1, 0] = 5  # one place unlike the three others
    projected = eigencam(features)[0]
    assert projected.argmax() == 2
    assert projected.max() == projected.abs().max() > 0


@pytest.mark.parametrize("shape", [(3, 40, 3, 5), (2, 6, 8, 7), (2, 9, 3, 3)])
def test_eigencam_is_the_first_component_of_a_singular_value_decomposition(shape: tuple[int, ...]) -> None:
    features = torch.randn(shape, generator=torch.Generator().manual_seed(3)).relu()
    places = features.flatten(2).transpose(1, 2).double()
    left, values, _ = torch.linalg.svd(places - places.mean(dim=1, keepdim=True), full_matrices=False)
    assert (values[:, 1] / values[:, 0]).max() < 0.99  # else no axis is the principal one
    expected = left[:, :, 0] * values[:, :1]
    expected *= expected.gather(1, expected.abs().argmax(dim=1, keepdim=True)).sign()
    torch.testing.assert_close(eigencam(features).flatten(1), expected.float(), rtol=1e-5, atol=1e-5)


def test_eigencam_of_even_features_is_nothing_and_of_no_numbers_none() -> None:
    assert not eigencam(torch.ones(1, 4, 3, 3)).any()
    assert eigencam(torch.full((1, 4, 3, 3), torch.nan)).isnan().all()


def test_eigengradcam_is_eigencam_of_the_products() -> None:
    products = eigencam(ACTIVATIONS * GRADIENTS)
    assert torch.equal(eigengradcam(ACTIVATIONS, GRADIENTS), products)


def test_fem_weighs_channels_by_the_share_of_unusual_places() -> None:
    features = torch.zeros(1, 1, 1, 10)
    features[..., 3] = 10.0  # mean 1, deviation 3: above 1 + 2 * 3 at one place of ten
    assert fem(features).flatten()[3].item() == pytest.approx(0.1 * 10)
    assert fem(features, sigmas=4.0).count_nonzero() == 0


def test_kpcacam_equals_kernel_pca_of_scikit_learn() -> None:
    decomposition = require_peer("sklearn.decomposition")
    features = torch.randn(2, 5, 3, 4, generator=torch.Generator().manual_seed(1))
    for own, planes in zip(kpcacam(features), features, strict=True):
        places = planes.flatten(1).T.numpy()
        pca = decomposition.KernelPCA(n_components=1, kernel="sigmoid")
        expected = pca.fit_transform(places - places.mean(axis=0)).reshape(3, 4)
        np.testing.assert_allclose(own.numpy(), expected, atol=1e-5)


def test_finercam_holds_a_class_against_those_most_like_it() -> None:
    # The objective is y0 less the weighted mean of its three neighbours; on a linear head the map is linear.
    network = _LinearHead()
    _, with_finer = _map_of(network, "finercam", 0)
    _, plain = _map_of(network, "gradcam", 0)
    assert not np.allclose(with_finer, plain)


class _LinearHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.body = nn.Conv2d(3, 4, 3, padding=1)
        self.head = nn.Linear(4, 5)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.body(batch).mean(dim=(2, 3)))
        return logits


def _map_of(module: nn.Module, method: str, target: int, **settings: Any) -> tuple[torch.Tensor, Any]:
    """Explain a fixed noise image with a method; return the network's input and the raw map."""
    size = settings.pop("size", 64)
    explainer = Explainer(
        Classifier(
            "test", module.eval(), numbered_labels(_classes(module, size)), InputSpec(size, size), "none"
        ),
        method=method,
        classes=target,
        fit="stretch",
        backend="torch",  # what is compared is the maths; backends have tests of their own
        **settings,
    )
    image = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    explanation = explainer.explain([image])[0]
    return explainer.preprocess(image), explanation.heatmaps[target]


def _classes(module: nn.Module, size: int) -> int:
    with torch.no_grad():
        return int(module(torch.zeros(1, 3, size, size)).shape[1])


# --- Parity ------------------------------------------------------------------------------------------

PEERS = {
    "gradcam": "GradCAM",
    "gradcam++": "GradCAMPlusPlus",
    "hirescam": "HiResCAM",
    "gradcam-elementwise": "GradCAMElementWise",
    "xgradcam": "XGradCAM",
    "layercam": "LayerCAM",
    "eigencam": "EigenCAM",
    "eigengradcam": "EigenGradCAM",
    "fem": "FEM",
    "kpcacam": "KPCA_CAM",
    "shapleycam": "ShapleyCAM",
}
NETWORKS = {
    "resnet18": (resnet18, ("layer4", "layer3.1")),
    "vgg11": (vgg11, ("features.17", "features.7")),
    "mobilenet_v2": (mobilenet_v2, ("features.13", "features.7")),
}


@pytest.fixture(scope="module", params=NETWORKS)
def network(request: pytest.FixtureRequest) -> tuple[nn.Module, tuple[str, ...]]:
    build, layers = NETWORKS[request.param]
    torch.manual_seed(0)
    module = build(weights=None, num_classes=10)
    # Untrained, deep features all but vanish; as in a trained network, they are to be of order one.
    module.train()
    with torch.no_grad():
        module(torch.randn(8, 3, 64, 64))
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = None  # a plain mean over what it has seen
            part.reset_running_stats()
    with torch.no_grad():
        module(torch.randn(8, 3, 64, 64))
    return module.eval(), layers


@pytest.mark.parametrize("method", PEERS)
def test_values_equal_those_of_pytorch_grad_cam(
    method: str, network: tuple[nn.Module, tuple[str, ...]]
) -> None:
    peer = require_peer("pytorch_grad_cam")
    targets = require_peer("pytorch_grad_cam.utils.model_targets")
    module, layers = network
    for layer, target in zip(layers, (1, 7), strict=True):
        inputs, own = _map_of(module, method, target, target_layer=layer)
        scaled = scaled_as_pytorch_grad_cam(own, (64, 64))
        with getattr(peer, PEERS[method])(
            model=module, target_layers=[module.get_submodule(layer)]
        ) as theirs:
            expected = theirs(inputs, [targets.ClassifierOutputTarget(target)])[0]
            if method in ("eigencam", "eigengradcam"):
                # The peer's sign is whatever the decomposition gives; ours makes the largest value positive.
                candidates = [
                    scaled,
                    scaled_as_pytorch_grad_cam(-_signed(module, method, target, layer), (64, 64)),
                ]
                assert min(np.abs(one - expected).max() for one in candidates) < 1e-4
            else:
                np.testing.assert_allclose(scaled, expected, atol=1e-4)


def _signed(module: nn.Module, method: str, target: int, layer: str) -> Any:
    """Compute a map with its negative values, which the backend cuts off."""
    classifier = Classifier("test", module, numbered_labels(10), InputSpec(64, 64), "none")
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    inputs = Explainer(classifier, fit="stretch").preprocess(image)
    forward_pass = HookedNetwork(classifier, choose_target_layers(probe_layers(classifier, inputs), layer))
    evidence = MethodInputs(
        forward_pass, inputs, forward_pass.run(inputs), 0, Objective(torch.tensor([target]))
    )
    return method_call(METHODS[method], evidence, {})[0].numpy()


def test_finercam_equals_that_of_pytorch_grad_cam(network: tuple[nn.Module, tuple[str, ...]]) -> None:
    peer = require_peer("pytorch_grad_cam")
    module, (layer, _) = network
    with torch.no_grad():
        best = int(module(_map_of(module, "gradcam", 0)[0]).argmax())
    inputs, own = _map_of(module, "finercam", best, target_layer=layer)
    with peer.FinerCAM(module, [module.get_submodule(layer)]) as theirs:
        expected = theirs(inputs)[0]
    np.testing.assert_allclose(scaled_as_pytorch_grad_cam(own, (64, 64)), expected, atol=1e-4)


@pytest.mark.parametrize(("method", "theirs"), [("refinecam", "RefineCAM"), ("gradcam", "GradCAM")])
def test_several_layers_combine_as_in_pytorch_grad_cam(method: str, theirs: str) -> None:
    peer = require_peer("pytorch_grad_cam")
    targets = require_peer("pytorch_grad_cam.utils.model_targets")
    torch.manual_seed(0)
    module = resnet18(weights=None, num_classes=10).eval()
    inputs, own = _map_of(module, method, 1, target_layer="layer2+layer3.1")
    expected = getattr(peer, theirs)(module, [module.layer2, module.layer3[1]])(
        inputs, [targets.ClassifierOutputTarget(1)]
    )[0]
    assert own.shape == (64, 64)
    np.testing.assert_allclose(scaled_as_pytorch_grad_cam(own, (64, 64)), expected, atol=1e-4)


def test_hirescam_gradcam_and_cam_are_one_behind_pooling_and_a_linear_layer() -> None:
    torch.manual_seed(0)
    module = resnet18(weights=None, num_classes=10).eval()
    maps = {method: _map_of(module, method, 2)[1] for method in ("cam", "gradcam", "hirescam")}
    np.testing.assert_allclose(maps["gradcam"], maps["hirescam"], rtol=1e-4, atol=1e-7)
    places = maps["cam"].size
    np.testing.assert_allclose(maps["cam"] / places, maps["gradcam"], rtol=1e-4, atol=1e-7)


def test_hirescam_adds_up_to_the_logit_behind_a_linear_head() -> None:
    module = _LinearHead()
    inputs, signed = _map_of(module, "hirescam", 2, signed=True)
    with torch.no_grad():
        logit = module(inputs)[0, 2] - module.head.bias[2]
    assert signed.sum() == pytest.approx(float(logit), rel=1e-4)
