"""The backend: what goes in and comes out, exactness, and that the network is left as it was."""

from __future__ import annotations

import copy
import dataclasses
import json
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from media_factory import make_image
from numpy.typing import NDArray
from torch import nn
from torchvision.models import resnet18

from streamcam.errors import InvalidArgumentError, ModelError, UnknownNameError
from streamcam.explain import METHODS, Explainer
from streamcam.explain.methods.table import Method
from streamcam.frames import Region
from streamcam.models import Classifier, InputSpec, Output
from streamcam.models.labels import numbered_labels
from streamcam.sources.given_images import frame_of
from streamcam.temporal import TemporalSettings, Tracker

Image = NDArray[np.uint8]


class Spots(nn.Module):
    """A network whose maps can be worked out by hand: class k likes color channel k, in cells of 8x8."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.AvgPool2d(8)
        self.features = nn.Conv2d(3, 3, 1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(3, 3, bias=False)
        with torch.no_grad():
            self.features.weight.copy_(torch.eye(3).view(3, 3, 1, 1))
            self.head.weight.copy_(torch.eye(3))

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        features = self.relu(self.features(self.cells(batch)))
        logits: torch.Tensor = self.head(features.mean(dim=(2, 3)))
        return logits


PLAIN = InputSpec(32, 32, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def classifier(module: nn.Module, spec: InputSpec = PLAIN, classes: int = 3) -> Classifier:
    return Classifier("spots", module, numbered_labels(classes), spec, "none")


def new_image(row: int, column: int, channel: int = 0) -> Image:
    """A black image, 32x32, with one cell of 8x8 lit in one channel."""
    image = np.zeros((32, 32, 3), np.uint8)
    image[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8, channel] = 255
    return image


def test_gradcam_lights_the_cell_that_made_the_score() -> None:
    explanation = Explainer(classifier(Spots()), target_layer="features").explain([new_image(1, 2)])[0]
    expected = np.zeros((4, 4), np.float32)
    # The activation is 1. Its gradient is 1/16, and none anywhere else, where the ReLU behind is shut: the
    # channel's weight, the mean gradient, is 1/256.
    expected[1, 2] = 1 / 256
    assert explanation.predictions[0].index == 0
    np.testing.assert_allclose(explanation.heatmaps[0], expected, atol=1e-6)
    assert explanation.flags == {}
    assert explanation.region == Region(0, 0, 1, 1)


def test_another_class_than_the_best_can_be_explained() -> None:
    image = new_image(0, 0, channel=0) | new_image(3, 3, channel=1) // 2
    explanation = Explainer(classifier(Spots()), target_layer="features", classes=1).explain([image])[0]
    assert [target.index for target in explanation.targets] == [1]
    assert np.unravel_index(explanation.heatmaps[1].argmax(), (4, 4)) == (3, 3)


def test_several_classes_come_from_one_run() -> None:
    calls = []
    module = Spots()
    module.register_forward_hook(lambda *_: calls.append(1))
    wanted = ["class 2", 0, "top2"]
    explainer = Explainer(classifier(module), target_layer="features", classes=wanted, backend="torch")
    calls.clear()
    explanation = explainer.explain([new_image(0, 0, 0) | new_image(3, 3, 2) // 2])[0]
    assert len(calls) == 1
    assert list(explanation.heatmaps) == [2, 0]  # the two best are these again, and named once


def test_against_explains_the_difference() -> None:
    image = new_image(0, 0, channel=0) | new_image(3, 3, channel=1)
    settings = {"target_layer": "features", "signed": True, "method": "hirescam"}
    explanation = Explainer(classifier(Spots()), classes=0, against=1, **settings).explain([image])[0]  # type: ignore[arg-type]
    assert explanation.heatmaps[0][0, 0] == pytest.approx(1 / 16, rel=1e-5)
    assert explanation.heatmaps[0][3, 3] == pytest.approx(-1 / 16, rel=1e-5)


def test_negative_evidence_is_cut_off_unless_asked_for() -> None:
    module = Spots()
    with torch.no_grad():
        module.head.weight[0, 1] = -1
    image = new_image(0, 0, channel=0) | new_image(3, 3, channel=1)
    cut = Explainer(classifier(module), target_layer="features", classes=0).explain([image])[0].heatmaps[0]
    signed = Explainer(classifier(module), target_layer="features", classes=0, signed=True)
    kept = signed.explain([image])[0].heatmaps[0]
    assert cut.min() == 0
    assert kept[3, 3] == pytest.approx(-1 / 256, rel=1e-5)
    np.testing.assert_array_equal(np.maximum(kept, 0), cut)


def test_a_function_of_the_output_can_be_explained() -> None:
    def first_and_third(output: Output) -> torch.Tensor:
        return output.scores[:, 0] + output.scores[:, 2]

    explainer = Explainer(classifier(Spots()), target_layer="features", classes=first_and_third)
    explanation = explainer.explain([new_image(0, 0, 0) | new_image(3, 3, 2)])[0]
    (heatmap,) = explanation.heatmaps.values()
    assert explanation.targets[0].label == "first_and_third"
    assert heatmap[0, 0] == pytest.approx(1 / 256, rel=1e-5)
    assert heatmap[3, 3] == pytest.approx(1 / 256, rel=1e-5)


@pytest.mark.parametrize(
    "method", [name for name, row in METHODS.items() if row.passes == "one" and not row.finds_concepts]
)
def test_a_batch_equals_single_runs(method: str) -> None:
    torch.manual_seed(0)
    module = resnet18(weights=None, num_classes=4).eval()
    spec = InputSpec(64, 64)
    images = [np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8) for seed in range(3)]
    together = Explainer(classifier(module, spec, 4), method=method, batch_size=3).explain(images)
    alone = Explainer(classifier(module, spec, 4), method=method, batch_size=1).explain(images)
    for one, other in zip(together, alone, strict=True):
        (first,), (second,) = one.heatmaps.values(), other.heatmaps.values()
        np.testing.assert_allclose(first, second, rtol=1e-3, atol=1e-4 * second.max())


def test_images_of_different_shapes_are_explained_in_order() -> None:
    explainer = Explainer(classifier(Spots()), target_layer="features", fit="full")
    shapes = [(32, 32), (32, 64), (32, 64), (64, 32)]
    images = [np.full((*shape, 3), 200, np.uint8) for shape in shapes]
    explanations = explainer.explain(images)
    assert [one.frame_index for one in explanations] == [0, 1, 2, 3]
    assert [next(iter(one.heatmaps.values())).shape for one in explanations] == [
        (4, 4),
        (4, 8),
        (4, 8),
        (8, 4),
    ]


# --- Left as it was ------------------------------------------------------------------------------------


def fingerprint(module: nn.Module) -> dict[str, object]:
    return {
        "training": [part.training for part in module.modules()],
        "grad": [parameter.grad for parameter in module.parameters()],
        "requires_grad": [parameter.requires_grad for parameter in module.parameters()],
        "hooks": [
            (len(part._forward_hooks), len(part._forward_pre_hooks), len(part._backward_hooks))
            for part in module.modules()
        ],
        "state": {name: value.clone() for name, value in module.state_dict().items()},
    }


def assert_same(before: dict[str, object], after: dict[str, object]) -> None:
    state, state_after = before.pop("state"), after.pop("state")
    assert before == after
    assert isinstance(state, dict)
    assert isinstance(state_after, dict)
    assert all(torch.equal(value, state_after[name]) for name, value in state.items())


@pytest.fixture
def trained() -> nn.Module:
    torch.manual_seed(0)
    return resnet18(weights=None, num_classes=4).train()  # in training mode, as a careless caller has it


@pytest.mark.parametrize("method", ["gradcam", "shapleycam", "eigencam", "refinecam"])
def test_the_network_is_left_as_it_was(trained: nn.Module, method: str) -> None:
    before = fingerprint(trained)
    explainer = Explainer(classifier(trained, InputSpec(64, 64), 4), method=method)
    explainer.explain([np.full((64, 64, 3), 99, np.uint8)])
    assert_same(before, fingerprint(trained))


def test_the_network_is_left_as_it_was_when_a_run_raises(trained: nn.Module) -> None:
    explainer = Explainer(classifier(trained, InputSpec(64, 64), 4))
    before = fingerprint(trained)

    def fail(*_: object) -> None:
        raise RuntimeError("no memory left")

    handle = trained.fc.register_forward_pre_hook(fail)  # type: ignore[operator, union-attr]
    with pytest.raises(RuntimeError, match="no memory left"):
        explainer.explain([np.full((64, 64, 3), 99, np.uint8)])
    handle.remove()
    assert torch.is_grad_enabled()
    assert_same(before, fingerprint(trained))


def test_frozen_networks_and_inference_mode_work() -> None:
    image = new_image(1, 2)
    expected = Explainer(classifier(Spots()), target_layer="features").explain([image])[0].heatmaps[0]
    frozen = Spots().requires_grad_(False)
    with torch.inference_mode():
        born_in_inference_mode = Spots()
    for module in (frozen, born_in_inference_mode):
        with torch.inference_mode():
            found = Explainer(classifier(module), target_layer="features").explain([image])[0].heatmaps[0]
        np.testing.assert_array_equal(found, expected)


# --- What is not a map ---------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_activations_that_are_not_finite_give_a_zero_map_and_a_flag(value: float) -> None:
    module = Spots()
    explainer = Explainer(classifier(module), target_layer="features", classes=0)
    with torch.no_grad():
        module.features.weight[0, 0] = value
    explanation = explainer.explain([new_image(1, 2)])[0]
    assert explanation.flags == {0: "not finite"}
    assert not explanation.heatmaps[0].any()


def test_no_evidence_gives_a_zero_map_and_a_flag() -> None:
    explainer = Explainer(classifier(Spots()), target_layer="features", classes=1)
    explanation = explainer.explain([new_image(0, 0, channel=0)])[0]
    assert explanation.flags == {1: "no evidence"}
    assert not explanation.heatmaps[1].any()


# --- Bad input -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"method": "gradcamm"}, UnknownNameError, r"unknown method 'gradcamm'.*gradcam"),
        ({"method": "gradcam:patch=3"}, InvalidArgumentError, r"'gradcam' has no options"),
        ({"method": "fem:sigmas=many"}, InvalidArgumentError, r"fem:sigmas takes a number .* not 'many'"),
        ({"classes": "no such thing"}, UnknownNameError, r"unknown class 'no such thing'"),
        ({"classes": 3}, UnknownNameError, r"unknown class 3: spots has the classes 0 to 2"),
        ({"classes": 0, "against": 0}, InvalidArgumentError, r"cannot be held against itself"),
        ({"classes": "top9"}, InvalidArgumentError, r"'top9' asks for 9 classes of 3"),
        ({"target_layer": "featurs"}, UnknownNameError, r"unknown layer 'featurs'.*features"),
        ({"target_layer": "head"}, ModelError, r"layer 'head' puts out \(1, 3\), which has no spatial grid"),
        ({"fit": "squash"}, UnknownNameError, r"unknown fit 'squash'.*stretch"),
        ({"precision": "int4"}, UnknownNameError, r"unknown precision 'int4'.*fp32"),
        (
            {"device": "warp"},
            InvalidArgumentError,
            r"device 'warp' cannot be used here \(torch has no device of that name\); ",
        ),
        ({"batch_size": 0}, InvalidArgumentError, r"at least 1, not 0"),
        (
            {"method": "layercam", "signed": True},
            InvalidArgumentError,
            r"'layercam' has no negative",
        ),
    ],
)
def test_what_cannot_be_done_is_said_before_any_image(
    settings: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Explainer(classifier(Spots()), **settings)  # type: ignore[arg-type]


def test_adding_a_method_touches_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def loudest(activations: torch.Tensor, *, floor: float = 0.5) -> torch.Tensor:
        return activations.amax(dim=1) - floor

    monkeypatch.setitem(METHODS, "loudest", Method(loudest, "Loudest", None, "Never."))
    explainer = Explainer(classifier(Spots()), method="loudest:floor=0.25", target_layer="features")
    heatmap = explainer.explain([new_image(1, 2)])[0].heatmaps[0]
    assert heatmap[1, 2] == pytest.approx(0.75)
    assert heatmap.sum() == pytest.approx(0.75)


def test_two_explainers_share_one_network_without_meeting() -> None:
    module = Spots()
    first = Explainer(classifier(module), target_layer="features", classes=0)
    second = Explainer(classifier(copy.deepcopy(module)), target_layer="cells", classes=0)
    assert (first.target_layer, second.target_layer) == ("features", "cells")
    image = new_image(2, 2)
    np.testing.assert_allclose(first.explain([image])[0].heatmaps[0], second.explain([image])[0].heatmaps[0])


def test_its_identity_is_the_same_for_the_same_and_for_nothing_else() -> None:
    def identity(module: nn.Module | None = None, **settings: Any) -> str:
        return json.dumps(
            Explainer(classifier(module or Spots()), target_layer="features", **settings).identity()
        )

    other_weights = Spots()
    with torch.no_grad():
        other_weights.head.weight[0, 1] = 1e-6
    identities = [
        identity(),
        identity(other_weights),
        identity(method="hirescam"),
        identity(method="occlusion:patch=8,stride=8"),
        identity(method="occlusion:patch=8,stride=4"),
        identity(classes=1),
        identity(classes=1, against=2),
        identity(signed=True),
        identity(top_k=2),
        identity(fit="pad"),
        identity(batch_size=2),
    ]
    assert len(set(identities)) == len(identities)
    assert identity() == identities[0]


# --- following a video -------------------------------------------------------------------------------------


def test_a_tracker_decides_which_class_is_explained() -> None:
    """The second image's best class is another, but not for long enough; its own ranking is kept beside."""
    explainer = Explainer(classifier(Spots()), target_layer="features", top_k=1, batch_size=2)
    samples = [new_image(0, 0, channel=0) | new_image(2, 2, channel=1) // 2]
    samples.append(new_image(0, 0, channel=0) // 2 | new_image(2, 2, channel=1))
    frames = [frame_of(image, index) for index, image in enumerate(samples)]
    frames = [dataclasses.replace(frame, time_base=Fraction(1, 25)) for frame in frames]
    tracker = Tracker(TemporalSettings(label_hold_s=0.5, cuts="off"))
    for frame in frames:
        tracker.observe(dataclasses.replace(frame, image=make_image(32, 32)))
    followed = explainer.explain_frames(frames, tracker)
    assert [one.targets[0].index for one in followed] == [0, 0]
    assert [one.predictions[0].index for one in followed] == [0, 1]
    assert np.unravel_index(followed[1].heatmaps[0].argmax(), (4, 4)) == (0, 0)
    alone = explainer.explain_frames(frames)
    assert [one.targets[0].index for one in alone] == [0, 1]
    shown = [tracker.complete(*pair).smoothed_predictions for pair in zip(frames, followed, strict=True)]
    assert [labels[0].index for labels in shown] == [0, 0]


def test_evidence_against_is_shown_of_one_class_only() -> None:
    with pytest.raises(InvalidArgumentError, match="one class in two colors, not 2; ask for one"):
        Explainer(classifier(Spots()), target_layer="features", classes=[0, 1], signed=True)
