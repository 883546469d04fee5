"""Segmenters: a class is explained where it won, or at a place of the frame, and its region is outlined."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from media_factory import make_clip
from numpy.typing import NDArray
from peers import require_peer, scaled_as_pytorch_grad_cam
from torch import nn

import streamcam
from streamcam import Explainer, load_model
from streamcam.cli import run
from streamcam.errors import InvalidArgumentError, ModelError
from streamcam.frames import Region
from streamcam.models import InputSpec, Segmenter
from streamcam.models.segmenter import Spot

LABELS = ("__background__", "red", "green", "blue")
PLAIN = InputSpec(32, 32, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


class Colors(nn.Module):
    """The logits of black, red, green and blue at every pixel, made of 4x4 cells: (N, 3, H, W) -> a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.AvgPool2d(8)
        self.features = nn.Conv2d(3, 6, 1, bias=False)
        self.classifier = nn.Conv2d(6, 4, 1)
        with torch.no_grad():
            self.features.weight.copy_(torch.eye(6, 3).view(6, 3, 1, 1))
            self.classifier.weight.copy_(torch.eye(4, 6).roll(1, 0).view(4, 6, 1, 1) * torch.ones(4, 1, 1, 1))
            self.classifier.weight[0] = 0
            self.classifier.bias.copy_(torch.tensor([0.25, 0, 0, 0]))

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        logits = self.classifier(self.features(self.cells(images)))
        return {"out": nn.functional.interpolate(logits, images.shape[2:], mode="nearest")}


def colors() -> Segmenter:
    return Segmenter("colors", Colors(), LABELS, PLAIN, "none", layer="features")


def image_of(*cells: tuple[int, int, int]) -> NDArray[np.uint8]:
    """A black image, 32x32, with cells of 8x8 (row, column, channel) lit."""
    image = np.zeros((32, 32, 3), np.uint8)
    for row, column, channel in cells:
        image[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8, channel] = 255
    return image


def explained(image: NDArray[np.uint8], **settings: Any) -> streamcam.Explanation:
    (explanation,) = Explainer(colors(), fit="stretch", **settings).explain(image)
    return explanation


def test_a_class_is_explained_where_it_won() -> None:
    explanation = explained(image_of((1, 2, 0), (1, 3, 0), (3, 0, 2)))
    assert [(one.label, one.probability) for one in explanation.predictions] == [
        ("red", pytest.approx(2 / 16)),
        ("blue", pytest.approx(1 / 16)),
        ("__background__", 0.0),
    ]
    # Each of the 64 pixels of two of 16 cells has the gradient 1, so Grad-CAM's weight is 128 / 16.
    expected = np.zeros((4, 4), np.float32)
    expected[1, 2:] = 64
    np.testing.assert_allclose(explanation.heatmaps[1], expected, atol=1e-4)
    by_gradcam = explained(image_of((1, 2, 0), (1, 3, 0), (3, 0, 2)), method="gradcam")
    np.testing.assert_allclose(by_gradcam.heatmaps[1], expected / 8, atol=1e-5)


def test_places_are_explained_by_a_method_that_keeps_to_them_unless_another_is_asked_for() -> None:
    assert Explainer(colors()).method == "hirescam"
    assert Explainer(colors(), method="gradcam").method == "gradcam"


def test_the_background_is_explained_only_where_it_is_asked_for() -> None:
    explanation = explained(image_of((1, 2, 0)), classes="__background__")
    assert explanation.targets[0].label == "__background__"
    assert not explanation.heatmaps[0].any()  # its logit is a bias


def test_the_region_of_each_class_is_reported() -> None:
    regions = explained(image_of((1, 2, 0), (2, 3, 0), (3, 0, 2))).instances
    assert [(one.label, one.box, one.is_region) for one in regions] == [
        ("red", (0.5, 0.25, 1.0, 0.75), True),
        ("blue", (0.0, 0.75, 0.25, 1.0), True),
    ]
    red, blue = (one.mask for one in regions)
    assert red is not None
    assert blue is not None
    assert blue.all()
    assert np.array_equal(red, np.kron(np.eye(2), np.ones((8, 8))).astype(bool))


@pytest.mark.parametrize("at", [(20, 11), (17, 9, 23, 15)], ids=["point", "box"])
def test_at_a_place_the_class_that_is_there_is_explained(at: tuple[int, ...]) -> None:
    explanation = explained(image_of((1, 2, 0), (3, 0, 0), (3, 1, 2)), at=at)
    assert explanation.targets[0].label == "red"
    logits = np.array([0.25, 1, 0, 0])
    assert explanation.targets[0].probability == pytest.approx((np.exp(logits) / np.exp(logits).sum())[1])
    # The gradient of the mean over the place is 1 there, and 0 at the other red cell.
    assert explanation.heatmaps[1][1, 2] == pytest.approx(1)
    assert explanation.heatmaps[1][3, 0] == 0


def test_a_place_of_the_frame_is_found_in_what_the_network_sees() -> None:
    spot = Spot((30.0, 10.0))
    spot.place(80, 40, Region(0.25, 0, 0.75, 1))  # the center square
    planes = torch.arange(64.0).view(1, 1, 8, 8)
    assert spot.mean(planes).item() == planes[0, 0, 2, 2]
    with pytest.raises(InvalidArgumentError, match="lies in a part of the frame that the network does not"):
        Spot((10.0, 10.0)).place(80, 40, Region(0.25, 0, 0.75, 1))


@pytest.mark.parametrize(
    ("at", "message"),
    [
        ((32, 4), "`at` 32,4 is not in the picture: x is from 0 to 31, y from 0 to 31"),
        ((4, -1), "`at` 4,-1 is not in the picture: x is from 0 to 31, y from 0 to 31"),
        ((4, 4, 33, 8), "`at` 4,4,33,8 is not in the picture: x is from 0 to 31, y from 0 to 31"),
        ((8, 4, 4, 8), "`at` is a point x,y or a box left,top,right,bottom in pixels, not 8,4,4,8"),
        ((8, 4, 4), "`at` is a point x,y or a box left,top,right,bottom in pixels, not 8,4,4"),
    ],
)
def test_places_outside_the_picture_are_refused(at: tuple[int, ...], message: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        explained(image_of(), at=at)
    assert str(caught.value) == message


def test_a_place_is_for_segmenters() -> None:
    with pytest.raises(InvalidArgumentError, match="`at` is for segmenters, and efficientnet_lite0"):
        Explainer(at=(1, 2))


def test_a_network_without_planes_is_no_segmenter() -> None:
    flat = Segmenter("flat", nn.Sequential(nn.Flatten(), nn.Linear(3072, 4)), LABELS, PLAIN, "none")
    with pytest.raises(ModelError, match="flat returns a tensor"):
        Explainer(flat)


# --- Torchvision's networks -------------------------------------------------------------------------------


class Planes(nn.Module):
    """The logits alone, as pytorch-grad-cam needs them."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(images)["out"]
        return logits


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("lraspp_mobilenet_v3_large", "backbone.16"),
        ("deeplabv3_mobilenet_v3_large", "backbone.16"),
        ("fcn_resnet50", "backbone.layer4"),
    ],
)
@pytest.mark.parametrize("at", [None, (70, 20, 110, 60)], ids=["where it won", "box"])
def test_they_are_explained_as_pytorch_grad_cam_explains_them(
    name: str, layer: str, at: tuple[int, ...] | None
) -> None:
    peer = require_peer("pytorch_grad_cam")
    targets = pytest.importorskip("pytorch_grad_cam.utils.model_targets")
    model = load_model(f"segmentation:{name}", weights="none", input_size=96)
    image = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8).repeat(16, 0).repeat(16, 1)
    explainer = Explainer(model, method="gradcam", backend="torch", at=at)
    assert (explainer.target_layer, explainer.fit) == (layer, "full")
    inputs = explainer.preprocess(image)
    assert inputs.shape[2:] == (96, 128)
    with torch.no_grad():
        winners = model.module.eval()(inputs)["out"].argmax(dim=1)[0]
    (explanation,) = explainer.explain(image)
    ((category, heatmap),) = explanation.heatmaps.items()
    if at is None:
        mask = (winners == category).numpy()
    else:
        mask = np.zeros((96, 128), bool)
        mask[20:60, 70:110] = True
    assert mask.any()
    (expected,) = peer.GradCAM(Planes(model.module), [model.module.get_submodule(layer)])(
        input_tensor=inputs,
        targets=[targets.SemanticSegmentationTarget(category, mask.astype(np.float32))],
    )
    assert expected.max() > 0.9
    summed = heatmap if at is None else heatmap * mask.sum()  # at a place the mean is explained
    np.testing.assert_allclose(scaled_as_pytorch_grad_cam(summed, (128, 96)), expected, atol=1e-4)


def test_weights_of_torchvision_are_read_without_the_classifier_of_training(tmp_path: Path) -> None:
    from torchvision.models import get_model

    trained = get_model("fcn_resnet50", weights=None, weights_backbone=None, num_classes=5, aux_loss=True)
    torch.save(trained.state_dict(), tmp_path / "fcn.pth")
    model = load_model("segmentation:fcn_resnet50", weights=tmp_path / "fcn.pth")
    assert model.labels == tuple(f"class {index}" for index in range(5))
    with pytest.raises(ModelError, match="2 labels were given for the 5 classes"):
        load_model("segmentation:fcn_resnet50", weights=tmp_path / "fcn.pth", labels=["a", "b"])


# --- The whole way ----------------------------------------------------------------------------------------


def test_they_are_rendered_by_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(Path(__file__).parent)

    def paint_red(_index: int, planes: Any) -> None:
        for plane, value in zip(planes, (81, 90, 240), strict=True):
            plane[:] = value

    make_clip(tmp_path / "clip.mp4", frames=6, paint=paint_red)
    command = ["render", "clip.mp4", "-o", "out.mp4", "--sidecar", "out.jsonl", "--quiet"]
    assert run([*command, "--model", "test_segmenters:colors", "--at", "20,12"]) == 0
    header, *records = map(json.loads, Path("out.jsonl").read_text("utf-8").splitlines())
    assert header["model"] == "test_segmenters:colors"
    assert len(records) == 6
    assert all(record["target"]["label"] == "red" for record in records)
    assert all([one["label"] for one in record["instances"]] == ["red"] for record in records)
    assert all("mask" in record["instances"][0] for record in records)


def test_a_place_outside_the_picture_is_refused_before_the_network_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / "clip.mp4", frames=2)
    model = ["--model", "segmentation:lraspp_mobilenet_v3_large"]
    command = ["render", "clip.mp4", "-o", "out.mp4", *model, "--at", "9999,5"]
    assert run(command) == 2
    assert "--at 9999,5 is not in the picture: x is from 0 to" in capsys.readouterr().err
    assert run([*command[:-1], "1,2,3"]) == 2
    assert "'1,2,3' is not X,Y or LEFT,TOP,RIGHT,BOTTOM" in capsys.readouterr().err
