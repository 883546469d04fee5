"""The methods of many passes: values worked out by hand, what they leave alone, parity with the peers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from peers import require_peer, scaled_as_pytorch_grad_cam
from torch import nn
from torchvision.models import (
    SwinTransformer,
    VisionTransformer,
    mobilenet_v3_small,
    resnet18,
    shufflenet_v2_x0_5,
    squeezenet1_1,
)

from streamcam.explain import METHODS, Explainer
from streamcam.explain.hooks import HookedNetwork
from streamcam.explain.method_inputs import MethodInputs
from streamcam.explain.methods import method_call, parse_method
from streamcam.explain.methods.perturbation import (
    ablationcam,
    iscam,
    scorecam,
    smooth_gradcam_plus_plus,
    sscam,
)
from streamcam.explain.methods.reciprocal import reciprocam, vit_reciprocam
from streamcam.explain.objectives import Objective
from streamcam.explain.scorers import Scorer
from streamcam.models import Classifier, InputSpec, Layer, choose_target_layers, probe_layers
from streamcam.models.labels import numbered_labels
from streamcam.models.layouts import Layout

MANY_PASSES = [name for name, method in METHODS.items() if method.passes == "many"]
QUICK: dict[str, dict[str, int | float]] = {
    "sscam": {"samples": 2, "std": 0.5},
    "iscam": {"samples": 3},
    "occlusion": {"patch": 8, "stride": 8},
}
"""Options with which the methods are quick enough for small tests."""


def _evidence(
    module: nn.Module, inputs: torch.Tensor, layers: str, classes: Sequence[int], index: int = 0
) -> MethodInputs:
    with torch.no_grad():
        count = module.eval()(inputs[:1]).shape[1]
    spec = InputSpec(32, 32, (0.5,) * inputs.shape[1], (0.5,) * inputs.shape[1])
    classifier = Classifier("test", module, numbered_labels(count), spec, "none")
    forward_pass = HookedNetwork(
        classifier, choose_target_layers(probe_layers(classifier, inputs[:1]), layers)
    )
    return MethodInputs(
        forward_pass, inputs, forward_pass.run(inputs), index, Objective(torch.tensor(classes))
    )


def _images(count: int = 1) -> torch.Tensor:
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(4))


def _map(method: str, evidence: MethodInputs, **options: int | float) -> torch.Tensor:
    return method_call(METHODS[method], evidence, options or QUICK.get(method, {}))


# --- By hand -----------------------------------------------------------------------------------------


class _Toy(nn.Module):
    """An image of one channel, planes that are multiples of it, and logits from the planes' means.

    It counts the images that it is given, and the most that it is given at once.
    """

    def __init__(
        self, multiples: Sequence[float], biases: Sequence[float], head: Sequence[Sequence[float]]
    ) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, len(multiples), 1)
        self.head = nn.Linear(len(multiples), len(head))
        with torch.no_grad():
            self.layer.weight.copy_(torch.tensor(multiples).view(-1, 1, 1, 1))
            self.layer.bias = nn.Parameter(torch.tensor(biases))
            self.head.weight.copy_(torch.tensor(head))
            self.head.bias.zero_()
        self.images = 0
        self.most_at_once = 0

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        self.images += len(batch)
        self.most_at_once = max(self.most_at_once, len(batch))
        logits: torch.Tensor = self.head(self.layer(batch).mean(dim=(2, 3)))
        return logits


IMAGE = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
"""As large as the planes of the toy, so that nothing is enlarged."""


def _toy_evidence(module: nn.Module, inputs: torch.Tensor, classes: Sequence[int]) -> MethodInputs:
    """So small a layer could lie on the image in several ways: it is said how."""
    grid = (inputs.shape[2], inputs.shape[3])
    layer = Layer("layer", "", (), Layout("nchw", grid), True)
    classifier = Classifier(
        "test", module.eval(), numbered_labels(2), InputSpec(2, 2, (0.5,), (0.5,)), "none"
    )
    forward_pass = HookedNetwork(classifier, [layer])
    return MethodInputs(forward_pass, inputs, forward_pass.run(inputs), 0, Objective(torch.tensor(classes)))


def _signed_toy() -> _Toy:
    """Planes X, -X and 5; the first class is the mean of the first plane, the second twice its negative."""
    return _Toy([1.0, -1.0, 0.0], [0.0, 0.0, 5.0], [[1.0, 0.0, 0.0], [-2.0, 0.0, 0.0]])


def _weighted_toy_planes(scores: Sequence[float]) -> list[Any]:
    powers = [math.exp(score) for score in scores]
    first, second, third = (power / sum(powers) for power in powers)
    return ((first - second) * IMAGE[0, 0] + 5 * third).tolist()


def test_scorecam_weighs_channels_by_what_is_seen_through_them() -> None:
    # Masks (X - 1) / 3 and (4 - X) / 3: the means of X times these are 5/3 and 5/6; nothing is seen through
    # the plane that is 5 everywhere.
    evidence = _toy_evidence(_signed_toy(), IMAGE, [0])
    found = scorecam(evidence.activations, evidence.scorer)
    np.testing.assert_allclose(found[0], _weighted_toy_planes([5 / 3, 5 / 6, 0]), rtol=1e-5)


def test_scorecam_asks_for_the_class_of_each_image() -> None:
    evidence = _toy_evidence(_signed_toy(), IMAGE.repeat(2, 1, 1, 1), [0, 1])
    first, second = scorecam(evidence.activations, evidence.scorer)
    np.testing.assert_allclose(first, _weighted_toy_planes([5 / 3, 5 / 6, 0]), rtol=1e-5)
    np.testing.assert_allclose(second, _weighted_toy_planes([-10 / 3, -5 / 3, 0]), rtol=1e-5)


class _Spy(Scorer):
    """Keeps the images that it is asked about, and finds all of them alike."""

    def __init__(self, inputs: torch.Tensor) -> None:
        self.inputs = inputs
        self.seen: list[torch.Tensor] = []

    def score_inputs(self, variants: Iterator[torch.Tensor], row: int) -> torch.Tensor:
        assert row == 0
        self.seen += variants
        return torch.zeros(len(self.seen))


def test_scorecam_enlarges_before_it_scales() -> None:
    # From 0 6 to four columns: bilinear at the middles of pixels gives 0, 1.5, 4.5 and 6.
    spy = _Spy(torch.full((1, 1, 1, 4), 2.0))
    scorecam(torch.tensor([[[[0.0, 6.0]]]]), spy)
    assert spy.seen[0].tolist() == [[[0.0, 0.5, 1.5, 2.0]]]
    # From 0 8 0 to six: 0, 2, 6, 6, 2 and 0, so that 6 becomes 1.
    spy = _Spy(torch.ones(1, 1, 1, 6))
    scorecam(torch.tensor([[[[0.0, 8.0, 0.0]]]]), spy)
    np.testing.assert_allclose(spy.seen[0], [[[0, 1 / 3, 1, 1, 1 / 3, 0]]], rtol=1e-6)


def test_scorecam_sees_through_all_constant_channels_at_once() -> None:
    toy = _Toy([1.0, 0.0, 0.0, 0.0], [0.0, 5.0, 0.0, 0.1], [[1.0, 0.0, 0.0, 0.0]] * 2)
    evidence = _toy_evidence(toy, IMAGE, [0])
    toy.images = 0
    found = scorecam(evidence.activations, evidence.scorer)
    assert toy.images == 2
    assert found.isfinite().all()


def test_a_channel_is_constant_however_enlarging_rounds_it() -> None:
    evidence = _evidence(_ConvNet(), _images(), "layer", [0])
    activations = torch.full_like(evidence.activations, 0.1)
    for method, options in ((scorecam, {}), (iscam, {"samples": 2}), (sscam, {"samples": 1, "std": 0.1})):
        found = method(activations, evidence.scorer, **options)
        np.testing.assert_allclose(found, 0.1, rtol=1e-5)


def test_iscam_averages_over_strengths() -> None:
    # The toy is linear, so every score is multiplied by the mean strength: (1/3 + 3/3 + 6/3) / 3.
    evidence = _toy_evidence(_signed_toy(), IMAGE, [0])
    found = iscam(evidence.activations, evidence.scorer, samples=3)
    strength = (1 / 3 + 1 + 2) / 3
    np.testing.assert_allclose(
        found[0], _weighted_toy_planes([strength * 5 / 3, strength * 5 / 6, 0]), rtol=1e-5
    )


def test_iscam_of_one_sample_is_scorecam() -> None:
    evidence = _toy_evidence(_signed_toy(), IMAGE, [1])
    activations, scorer = evidence.activations, evidence.scorer
    assert torch.equal(iscam(activations, scorer, samples=1), scorecam(activations, scorer))


def test_sscam_adds_noise_to_each_mask() -> None:
    generator = torch.Generator().manual_seed(3)
    noise = torch.stack([torch.randn(3, 2, 2, generator=generator) for _ in range(2)]).mean(dim=0)
    # The toy is linear: what noise adds to a score is the mean of X times the noise.
    added = 0.5 * (IMAGE[0] * noise).mean(dim=(1, 2))
    scores = (torch.tensor([5 / 3, 5 / 6, 0]) + added).tolist()
    evidence = _toy_evidence(_signed_toy(), IMAGE, [0])
    found = sscam(evidence.activations, evidence.scorer, samples=2, std=0.5, seed=3)
    np.testing.assert_allclose(found[0], _weighted_toy_planes(scores), rtol=1e-5)


def test_sscam_without_noise_is_scorecam() -> None:
    evidence = _evidence(_ConvNet(), _images(), "layer", [1])
    smooth = sscam(evidence.activations, evidence.scorer, samples=2, std=0.0)
    np.testing.assert_allclose(smooth, scorecam(evidence.activations, evidence.scorer), rtol=1e-5)


def test_ablationcam_weighs_channels_by_the_share_of_the_score_lost_without_them() -> None:
    # Planes X, 2X and 0, with means 2.5, 5 and 0: y = 2.5 + 3 * 5 = 17.5, of which 2.5 and 15 are lost.
    toy = _Toy([1.0, 2.0, 0.0], [0.0, 0.0, 0.0], [[1.0, 3.0, 1.0], [0.0, 0.0, 0.0]])
    evidence = _toy_evidence(toy, IMAGE, [0])
    found = ablationcam(evidence.activations, evidence.scorer)
    expected = (2.5 / 17.5 * 1 + 15 / 17.5 * 2) * IMAGE[0]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_ablationcam_shows_what_speaks_for_a_class_whose_score_is_negative_too() -> None:
    # y = 2.5 - 4 * 5 = -17.5; without X it is -20, without 2X it is 2.5, so X speaks for the class.
    toy = _Toy([1.0, 2.0], [0.0, 0.0], [[1.0, -4.0], [0.0, 0.0]])
    evidence = _toy_evidence(toy, IMAGE, [0])
    found = ablationcam(evidence.activations, evidence.scorer)
    np.testing.assert_allclose(found, (2.5 / 17.5 * 1 - 20 / 17.5 * 2) * IMAGE[0], rtol=1e-5)


def test_ablationcam_takes_the_loss_itself_where_the_score_is_zero() -> None:
    toy = _Toy([1.0, 2.0], [0.0, 0.0], [[2.0, -1.0], [0.0, 0.0]])  # y = 2 * 2.5 - 5 = 0
    evidence = _toy_evidence(toy, IMAGE, [0])
    found = ablationcam(evidence.activations, evidence.scorer)
    np.testing.assert_allclose(found, (5 * 1 - 5 * 2) * IMAGE[0], rtol=1e-5)


def test_ablationcam_leaves_out_channels_of_zeros_unasked() -> None:
    class CountingHead(nn.Linear):
        rows = 0

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            CountingHead.rows += len(batch)
            return super().forward(batch)

    toy = _Toy([1.0, 0.0, 0.0], [0.0, 2.0, 0.0], [[1.0, 3.0, 1.0], [0.0, 0.0, 0.0]])
    toy.head = CountingHead(3, 2)
    evidence = _toy_evidence(toy, IMAGE, [0])
    activations, scorer = evidence.activations, evidence.scorer
    scorer.score_activations(iter(activations), 0)  # what is done once
    assert scorer.baseline.isfinite()
    CountingHead.rows = 0
    ablationcam(activations, scorer)
    assert CountingHead.rows == 2


class _Squares(nn.Module):
    """One plane, the image itself; the logit is the sum of its squares, so the gradient is twice it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Identity()

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        squares = self.layer(batch).square().sum(dim=(1, 2, 3))
        return torch.stack([squares, -squares], dim=1)


def test_smooth_gradcam_plus_plus_averages_powers_of_gradients() -> None:
    generator = torch.Generator().manual_seed(5)
    noise = torch.stack([torch.randn(1, 2, 2, generator=generator) for _ in range(3)])
    gradients = 2 * (IMAGE + 0.3 * noise)
    first, second, third = (gradients.pow(power).mean(dim=0) for power in (1, 2, 3))
    shares = second / (2 * second + 10 * third)  # the plane's total is 10
    expected = (shares * first.clamp(min=0)).sum() * IMAGE[0]
    evidence = _toy_evidence(_Squares(), IMAGE, [0])
    found = smooth_gradcam_plus_plus(
        evidence.activations, evidence.gradient_scorer, samples=3, std=0.3, seed=5
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_smooth_gradcam_plus_plus_without_noise_is_gradcam_plus_plus() -> None:
    # Gradients of order 1, so that what keeps the two from dividing by 0 does not show.
    evidence = _toy_evidence(_Squares(), IMAGE, [0])
    plain = _map("gradcam++", evidence)
    found = smooth_gradcam_plus_plus(evidence.activations, evidence.gradient_scorer, std=0.0)
    np.testing.assert_allclose(found, plain, rtol=1e-5)


def test_reciprocam_scores_each_place_alone() -> None:
    # The mean of a plane of which one place is left is a quarter of that place; the least is subtracted.
    evidence = _toy_evidence(_signed_toy(), IMAGE.repeat(2, 1, 1, 1), [0, 1])
    first, second = reciprocam(evidence.activations, evidence.scorer)
    np.testing.assert_allclose(first, [[0.0, 0.25], [0.5, 0.75]], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(second, [[1.5, 1.0], [0.5, 0.0]], rtol=1e-5, atol=1e-7)


def test_vit_reciprocam_scores_each_place_with_those_around_it() -> None:
    # Around the first place: (4 * 1 + 2 * 2 + 2 * 3 + 1 * 4) / 16, of which the mean is a quarter.
    around = np.array([[4 + 4 + 6 + 4, 2 + 8 + 3 + 8], [2 + 2 + 12 + 8, 1 + 4 + 6 + 16]]) / 16 / 4
    evidence = _toy_evidence(_signed_toy(), IMAGE, [0])
    (found,) = vit_reciprocam(evidence.activations, evidence.scorer)
    np.testing.assert_allclose(found, around - around.min(), rtol=1e-5, atol=1e-7)


def test_vit_reciprocam_leaves_the_class_token_as_it_is() -> None:
    """As openvino_xai 1.1.0 has it: tokens are seen through a mosaic of Gaussians, the class token is not."""
    torch.manual_seed(0)
    network = VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=3).eval()
    nn.init.normal_(network.heads.head.weight)
    layer = network.encoder.layers[-1].ln_1
    inputs, side = _images(), 4
    kernel = torch.tensor([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
    masks = torch.zeros(side * side, side + 2, side + 2)
    for place in range(side * side):
        row, column = divmod(place, side)
        masks[place, row : row + 3, column : column + 3] = kernel
    weights = torch.cat([torch.ones(side * side, 1), masks[:, 1:-1, 1:-1].flatten(1)], dim=1)
    handle = layer.register_forward_hook(lambda _module, _inputs, output: output * weights[:, :, None])
    with torch.no_grad():
        scores = network(inputs.expand(side * side, -1, -1, -1))[:, 2].view(side, side)
    handle.remove()
    evidence = _evidence(network, inputs, "encoder.layers.encoder_layer_1.ln_1", [2])
    found = _map("vit-reciprocam", evidence)
    assert np.ptp(scores.numpy()) > 0.01
    np.testing.assert_allclose(found[0], scores - scores.min(), rtol=1e-3, atol=1e-5)


# --- What all of them hold to ------------------------------------------------------------------------


class _ConvNet(nn.Module):
    """Small, with normalization, an in-place activation after the layer and a head that is not linear."""

    def __init__(self, channels: int = 5) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8))
        self.layer = nn.Conv2d(8, channels, 3, stride=2, padding=1)
        self.activation = nn.ReLU(inplace=True)
        self.last = nn.Conv2d(channels, 6, 3, padding=1)
        self.head = nn.Linear(6, 4)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        features = self.activation(self.layer(self.stem(batch)))
        logits: torch.Tensor = self.head(self.last(features).tanh().mean(dim=(2, 3)))
        return 10 * logits


def test_the_methods_of_many_passes_are_in_the_table() -> None:
    expected = {"scorecam", "sscam", "iscam", "ablationcam", "smoothgradcam++", "occlusion", "reciprocam"}
    assert expected <= set(MANY_PASSES)


def test_options_are_read_from_the_methods_name() -> None:
    options: dict[str, int | float] = {"samples": 2, "std": 0.5, "seed": 0}
    assert parse_method("sscam:samples=2,std=0.5,seed=0") == ("sscam", options)


@pytest.mark.parametrize("method", MANY_PASSES)
def test_a_batch_equals_single_runs(method: str) -> None:
    inputs, classes = _images(3), [2, 0, 3]
    together = _map(method, _evidence(_ConvNet(), inputs, "layer", classes))
    assert together.dtype == torch.float32
    for row, alone in enumerate(together):
        single = _map(method, _evidence(_ConvNet(), inputs[row : row + 1], "layer", classes[row : row + 1]))
        np.testing.assert_allclose(single[0], alone, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", MANY_PASSES)
def test_the_second_of_two_layers_is_explained_as_if_alone(method: str) -> None:
    inputs = _images()
    alone = _map(method, _evidence(_ConvNet(), inputs, "last", [1]))
    second = _map(method, _evidence(_ConvNet(), inputs, "layer+last", [1], index=1))
    np.testing.assert_allclose(second, alone, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", ["sscam", "smoothgradcam++"])
def test_noise_depends_on_the_seed_and_on_nothing_else(method: str) -> None:
    evidence = _evidence(_ConvNet(), _images(), "layer", [1])
    state = torch.get_rng_state()
    first = _map(method, evidence, samples=2, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(1)
    assert torch.equal(_map(method, evidence, samples=2, seed=1), first)
    assert not torch.equal(_map(method, evidence, samples=2, seed=2), first)


@pytest.mark.parametrize("method", MANY_PASSES)
def test_few_images_run_at_once(method: str) -> None:
    toy = _Toy([float(index) for index in range(40)], [0.0] * 40, [[1.0] * 40] * 2)
    evidence = _toy_evidence(toy, IMAGE.repeat(1, 1, 8, 8), [0])
    _map(method, evidence, **({"patch": 2, "stride": 2} if method == "occlusion" else {}))
    assert toy.most_at_once <= 16


@pytest.mark.parametrize("method", MANY_PASSES)
def test_a_layer_that_is_not_finite_gives_a_map_that_is_not(method: str) -> None:
    inputs = torch.full((1, 3, 32, 32), torch.nan)
    found = _map(method, _evidence(_ConvNet(), inputs, "layer", [1]))
    assert found.isnan().any()


def _state_of(module: nn.Module) -> list[Any]:
    parts = [(part.training, len(part._forward_hooks)) for part in module.modules()]
    gradients = [None if one.grad is None else one.grad.clone() for one in module.parameters()]
    tensors = [one.clone() for one in (*module.parameters(), *module.buffers())]
    return [parts, gradients, tensors]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _explainer(module: nn.Module, method: str, target: int) -> Explainer:
    options = ",".join(f"{key}={value}" for key, value in QUICK.get(method, {}).items())
    classifier = Classifier("test", module, numbered_labels(4), InputSpec(32, 32), "none")
    return Explainer(
        classifier,
        method=f"{method}:{options}",
        classes=target,
        target_layer="layer",
        fit="stretch",
        backend="torch",
    )


@pytest.mark.parametrize("method", MANY_PASSES)
def test_nothing_is_left_behind(method: str) -> None:
    module = _ConvNet().train()
    module.layer.weight.grad = torch.ones_like(module.layer.weight)  # of the last step
    explainer = _explainer(module, method, 1)
    before = _state_of(module)
    heatmap = explainer.explain([np.full((32, 32, 3), 99, np.uint8)])[0].heatmaps[1]
    assert np.isfinite(heatmap).all()
    assert _same(_state_of(module), before)


class _Fails(_ConvNet):
    """Runs a number of times and then no more."""

    runs_left = math.inf

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        logits = super().forward(batch)
        self.runs_left -= 1
        if self.runs_left < 0:
            raise ZeroDivisionError
        return logits


@pytest.mark.parametrize("method", MANY_PASSES)
def test_nothing_is_left_behind_when_a_run_raises(method: str) -> None:
    module = _Fails().train()
    explainer = _explainer(module, method, 1)
    before = _state_of(module)
    module.runs_left = 1  # the first, from which the activations come
    with pytest.raises(ZeroDivisionError):
        explainer.explain([np.full((32, 32, 3), 99, np.uint8)])
    assert _same(_state_of(module), before)


def test_a_network_of_frozen_parameters_is_explained_alike() -> None:
    inputs = _images()
    frozen = _ConvNet().requires_grad_(False)
    for method in MANY_PASSES:
        expected = _map(method, _evidence(_ConvNet(), inputs, "layer", [1]))
        np.testing.assert_allclose(_map(method, _evidence(frozen, inputs, "layer", [1])), expected, rtol=1e-5)


# --- The scorer --------------------------------------------------------------------------------------


def _with_large_weights(module: nn.Module) -> nn.Module:
    """An untrained transformer hardly listens to its input, and its classifier may be all zeros."""
    torch.manual_seed(2)
    for parameter in module.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.3)
    return module.eval()


def _patch_transformer() -> nn.Module:
    return _with_large_weights(VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=5))


def _window_transformer() -> nn.Module:
    return _with_large_weights(SwinTransformer([4, 4], 16, [2, 2], [2, 4], [4, 4], num_classes=5))


class _RemembersTheBatch(_ConvNet):
    """Takes the size of the batch from its input, and ends up with one row if that is one image."""

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        features = self.last(self.activation(self.layer(self.stem(batch))))
        logits: torch.Tensor = self.head(features.reshape(len(batch), 6, -1).mean(dim=2))
        return logits


class _JoinsBranches(_ConvNet):
    """Puts the layer's output beside what came before it, which needs as many images there."""

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        before = self.stem(batch)
        features = self.activation(self.layer(before))
        logits: torch.Tensor = self.head(self.last(features).mean(dim=(2, 3)))
        return torch.cat([logits, before.mean(dim=(2, 3))], dim=1)


@pytest.mark.parametrize(
    ("build", "layer", "kind", "broadcasts"),
    [
        (_ConvNet, "layer", "nchw", True),
        (_RemembersTheBatch, "layer", "nchw", False),
        (_JoinsBranches, "layer", "nchw", False),
        (_patch_transformer, "encoder.layers.encoder_layer_0", "tokens", True),
        (_patch_transformer, "encoder.layers.encoder_layer_1.ln_1", "tokens", True),
        (_window_transformer, "features.1.0", "nhwc", True),
        (_window_transformer, "features.3.1.norm1", "nhwc", True),
    ],
)
def test_changed_activations_are_scored_as_if_the_layer_had_put_them_out(
    build: Callable[[], nn.Module], layer: str, kind: str, broadcasts: bool
) -> None:
    module = build().eval()
    inputs = _images(2)
    evidence = _evidence(module, inputs, layer, [3, 1])
    assert evidence.layout.kind == kind
    assert evidence.scorer._broadcasts is broadcasts
    planes = evidence.activations[1]
    torch.manual_seed(6)
    variants = [planes + torch.randn_like(planes) for _ in range(20)]  # more than run at once
    found = evidence.scorer.score_activations(iter(variants), 1)
    expected = torch.stack([_logits_with(module, inputs[1:], layer, kind, new)[0, 1] for new in variants])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert found.std() > 1e-3


def _logits_with(
    module: nn.Module, image: torch.Tensor, layer: str, kind: str, planes: torch.Tensor
) -> torch.Tensor:
    """Run a network with the planes (K, h, w) put in the place of what a layer puts out, by hand."""

    def replace(_module: nn.Module, _inputs: Any, output: torch.Tensor) -> torch.Tensor:
        if kind == "nchw":
            return planes.unsqueeze(0)
        if kind == "nhwc":
            return planes.movedim(0, -1).unsqueeze(0)
        return torch.cat([output[:, :1], planes.flatten(1).T.unsqueeze(0)], dim=1)  # the class token's own

    handle = module.get_submodule(layer).register_forward_hook(replace)
    with torch.no_grad():
        logits: torch.Tensor = module(image)
    handle.remove()
    return logits


@pytest.mark.parametrize("build", [_patch_transformer, _window_transformer])
@pytest.mark.parametrize("method", MANY_PASSES)
def test_transformers_are_explained(method: str, build: Callable[[], nn.Module]) -> None:
    evidence = _evidence(build(), _images(), "auto", [2])
    found = _map(method, evidence)
    assert found.isfinite().all()
    assert found.std() > 0


# --- Parity ------------------------------------------------------------------------------------------

CLASSES = (1, 7)
SIDE = 48


def _network(build: Callable[..., nn.Module]) -> nn.Module:
    """Untrained, with logits several apart, as those of a trained one: else every weight is the same."""
    torch.manual_seed(0)
    module = build(weights=None, num_classes=10).eval()
    head = [part for part in module.modules() if isinstance(part, nn.Linear | nn.Conv2d)][-1]
    with torch.no_grad():
        head.weight.mul_(5 / module(_noise()).std())
        assert head.bias is not None
        head.bias.fill_(1.0)
    return module


def _noise() -> torch.Tensor:
    return torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(5))


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    return _network(resnet18)


@pytest.fixture(scope="module")
def mobilenet() -> nn.Module:
    return _network(mobilenet_v3_small)


@pytest.fixture(scope="module")
def shufflenet() -> nn.Module:
    return _network(shufflenet_v2_x0_5)


@pytest.fixture(scope="module")
def squeezenet() -> nn.Module:
    return _network(squeezenet1_1)


# Layers of few channels, and in the untrained mobilenet an early one: later ones reach 1e-5 only, where the
# 1e-8 that the peers add to a channel's span before they divide by it shows.
NETWORKS = [("resnet", "layer1"), ("mobilenet", "features.3"), ("squeezenet", "features.1")]


def _scaled_as_torchcam(raw: torch.Tensor) -> torch.Tensor:
    cut = raw.clamp(min=0)
    moved = cut - cut.amin(dim=(1, 2), keepdim=True)
    return moved / (moved.amax(dim=(1, 2), keepdim=True) + 1e-8)


def _peer_map(extractor: Any, module: nn.Module, target: int, seed: int | None = None) -> torch.Tensor:
    with extractor:
        module(_noise())
        if seed is not None:
            torch.manual_seed(seed)
        found: torch.Tensor = extractor(target)[0]
    return found


@pytest.mark.parametrize(("name", "layer"), NETWORKS)
def test_scorecam_equals_that_of_pytorch_grad_cam(
    name: str, layer: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = require_peer("pytorch_grad_cam")
    targets = require_peer("pytorch_grad_cam.utils.model_targets")
    module = request.getfixturevalue(name)

    # The peer enlarges channels with corners aligned, which moves the masks by up to half a cell; the
    # authors' own code (github.com/haofanwang/Score-CAM) does not, nor do we: it is made to do the same.
    def enlarger(size: tuple[int, int]) -> nn.Upsample:
        return nn.Upsample(size=size, mode="bilinear", align_corners=False)

    monkeypatch.setattr(nn, "UpsamplingBilinear2d", enlarger)
    for target in CLASSES:
        with peer.ScoreCAM(module, [module.get_submodule(layer)]) as theirs:
            expected = theirs(_noise(), [targets.ClassifierOutputTarget(target)])[0]
        own = _map("scorecam", _evidence(module, _noise(), layer, [target]))
        assert expected.std() > 0.05
        np.testing.assert_allclose(
            scaled_as_pytorch_grad_cam(own[0].numpy(), (SIDE, SIDE)), expected, atol=1e-4
        )


def _scaling_after_enlarging(extractor: type[Any]) -> type[Any]:
    """Make torchcam's family of Score-CAM follow the formula that its docstrings give.

    It scales channels to 0..1 before it enlarges them, and between the middles of cells no mask reaches 1.
    """

    class Corrected(extractor):  # type: ignore[misc]
        def _upsample(self, activation: torch.Tensor) -> Any:
            return self._normalize(super()._upsample(activation), 2)

    return Corrected


@pytest.mark.parametrize(("name", "layer"), NETWORKS)
@pytest.mark.parametrize(
    ("method", "peer_name", "options", "peer_options"),
    [
        ("scorecam", "ScoreCAM", {}, {}),
        ("sscam", "SSCAM", {"samples": 2, "std": 0.5, "seed": 7}, {"num_samples": 2, "std": 0.5}),
        ("iscam", "ISCAM", {"samples": 3}, {"num_samples": 3}),
    ],
)
def test_the_family_of_scorecam_equals_that_of_torchcam(
    method: str,
    peer_name: str,
    options: dict[str, int | float],
    peer_options: dict[str, int | float],
    name: str,
    layer: str,
    request: pytest.FixtureRequest,
) -> None:
    # Its IS-CAM is followed in the strengths of the masks too, which are not quite those that its docstring
    # gives (see `iscam`).
    extractor = _scaling_after_enlarging(getattr(require_peer("torchcam.methods"), peer_name))
    module = request.getfixturevalue(name)
    for target in CLASSES:
        with torch.no_grad():
            expected = _peer_map(extractor(module, layer, **peer_options), module, target, seed=7)
        own = _map(method, _evidence(module, _noise(), layer, [target]), **options)
        assert expected.std() > 0.05
        np.testing.assert_allclose(_scaled_as_torchcam(own), expected, atol=1e-4)


@pytest.mark.parametrize(("name", "layer"), [("resnet", "layer2"), ("squeezenet", "features.12")])
def test_ablationcam_equals_that_of_pytorch_grad_cam_behind_a_relu(
    name: str, layer: str, request: pytest.FixtureRequest
) -> None:
    peer = require_peer("pytorch_grad_cam")
    targets = require_peer("pytorch_grad_cam.utils.model_targets")
    module = request.getfixturevalue(name)
    for target in CLASSES:
        with peer.AblationCAM(module, [module.get_submodule(layer)]) as theirs:
            expected = theirs(_noise(), [targets.ClassifierOutputTarget(target)])[0]
        evidence = _evidence(module, _noise(), layer, [target])
        own = _map("ablationcam", evidence) * evidence.scorer.baseline.sign()  # the peer turns it round
        assert expected.std() > 0.05
        np.testing.assert_allclose(
            scaled_as_pytorch_grad_cam(own[0].numpy(), (SIDE, SIDE)), expected, atol=1e-4
        )


@pytest.mark.parametrize(("name", "layer"), [("resnet", "layer2.1.conv2"), ("mobilenet", "features.3")])
def test_ablationcam_equals_that_of_pytorch_grad_cam_where_that_ablates_to_zero(
    name: str, layer: str, request: pytest.FixtureRequest
) -> None:
    # Where activations are negative the peer fills a channel with 1e7 less than the least of them; the
    # paper sets it to zero, and so do we.
    peer = require_peer("pytorch_grad_cam")
    targets = require_peer("pytorch_grad_cam.utils.model_targets")
    ablation = require_peer("pytorch_grad_cam.ablation_layer")

    class ToZero(ablation.AblationLayer):  # type: ignore[misc, name-defined]
        def __call__(self, _: torch.Tensor) -> torch.Tensor:
            output: torch.Tensor = self.activations
            for row in range(len(output)):
                output[row, self.indices[row]] = 0
            return output

    module = request.getfixturevalue(name)
    for target in CLASSES:
        with peer.AblationCAM(
            module, [module.get_submodule(layer)], ablation_layer=ToZero(), batch_size=16
        ) as theirs:
            expected = theirs(_noise(), [targets.ClassifierOutputTarget(target)])[0]
        evidence = _evidence(module, _noise(), layer, [target])
        own = _map("ablationcam", evidence) * evidence.scorer.baseline.sign()  # the peer turns it round
        assert expected.std() > 0.05
        np.testing.assert_allclose(
            scaled_as_pytorch_grad_cam(own[0].numpy(), (SIDE, SIDE)), expected, atol=1e-4
        )


@pytest.mark.parametrize(("name", "layer"), [("resnet", "layer4"), ("shufflenet", "conv5")])
def test_smooth_gradcam_plus_plus_equals_that_of_torchcam(
    name: str, layer: str, request: pytest.FixtureRequest
) -> None:
    # torchcam differs from the paper in three ways. It takes the last gradient where the paper has the
    # mean of all: with one sample, they are the same. It sums activations times cubed gradients over the
    # places where the paper sums activations alone: before global pooling, gradients are the same at all
    # places. And it makes the map of the noisy image's activations: it is given back those of the clean.
    smooth = require_peer("torchcam.methods").SmoothGradCAMpp

    class OfTheCleanImage(smooth):  # type: ignore[misc, valid-type]
        hook_a: list[Any]

        def _get_weights(self, *args: Any, **kwargs: Any) -> Any:
            clean = list(self.hook_a)
            weights = super()._get_weights(*args, **kwargs)
            self.hook_a = clean
            return weights

    module = request.getfixturevalue(name)
    for target in CLASSES:
        expected = _peer_map(OfTheCleanImage(module, layer, num_samples=1), module, target, seed=7)
        own = _map("smoothgradcam++", _evidence(module, _noise(), layer, [target]), samples=1, seed=7)
        assert expected.std() > 0.05
        np.testing.assert_allclose(_scaled_as_torchcam(own), expected, atol=1e-4)


def test_smooth_gradcam_plus_plus_follows_the_paper_where_torchcam_does_not(resnet: nn.Module) -> None:
    # Several samples, at a layer whose gradients differ from place to place; the noise is drawn as torchcam
    # draws it.
    layer, target, samples = resnet.get_submodule("layer2"), 1, 3
    torch.manual_seed(7)
    noise = torch.distributions.Normal(0, 0.3).sample(torch.Size((samples, 1, 3, SIDE, SIDE)))  # type: ignore[no-untyped-call]
    kept: list[torch.Tensor] = []
    handle = layer.register_forward_hook(lambda _module, _inputs, output: kept.append(output))
    logits = [resnet(image)[0, target] for image in (_noise(), *(_noise() + noise))]
    handle.remove()
    activations, *noisy = kept
    gradients = torch.cat(torch.autograd.grad(sum(logits[1:]), noisy)).double()
    first, second, third = (gradients.pow(power).mean(dim=0) for power in (1, 2, 3))
    totals = activations[0].sum(dim=(1, 2), keepdim=True)
    weights = (second / (2 * second + totals * third + 1e-8) * first.relu()).sum(dim=(1, 2))
    expected = torch.einsum("k,kij->ij", weights, activations[0].double())
    own = _map("smoothgradcam++", _evidence(resnet, _noise(), "layer2", [target]), samples=samples, seed=7)
    np.testing.assert_allclose(own[0], expected.detach(), rtol=1e-3, atol=1e-6)
