"""Detectors: candidates become objects and scores; torchvision's networks are read as it does itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.models import get_model
from torchvision.models.detection.image_list import ImageList

from streamcam import load_model
from streamcam.errors import InvalidArgumentError, ModelError, UnknownNameError
from streamcam.models import Candidates, Detector, InputSpec
from streamcam.models.detection_networks import Gather, arrange
from streamcam.models.detector import log_odds_of_root, softmax_log_odds


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Fixed(Detector):
    """A detector whose answer is its candidates: boxes and logits of sigmoids."""

    def candidates(self, answer: object) -> Sequence[Candidates]:
        boxes, logits = answer  # type: ignore[misc]
        return [Candidates(boxes, logits.detach().sigmoid(), lambda rows: logits[rows])]


def fixed(**settings: float) -> Fixed:
    return Fixed("fixed", nn.Identity(), ("cat", "dog"), InputSpec(), "none", **settings)  # type: ignore[arg-type]


BOXES = torch.tensor(
    [[0.1, 0.1, 0.5, 0.5], [0.1, 0.1, 0.5, 0.52], [0.6, 0.6, 0.9, 0.9], [0.2, 0.2, 0.2, 0.4]]
)
LOGITS = torch.tensor([[2.0, -1.0], [1.0, -2.0], [-9.0, 0.5], [3.0, 3.0]], requires_grad=True)


def test_candidates_that_overlap_a_better_one_are_suppressed_and_boxes_without_area_left_out() -> None:
    (instances,) = fixed().read((BOXES, LOGITS)).instances or ()
    assert [(one.label, one.box) for one in instances] == [
        ("cat", pytest.approx((0.1, 0.1, 0.5, 0.5))),
        ("dog", pytest.approx((0.6, 0.6, 0.9, 0.9))),
    ]
    assert [one.score for one in instances] == pytest.approx(LOGITS[[0, 2], [0, 1]].sigmoid().tolist())


def test_iou_of_one_keeps_all_and_the_number_is_limited() -> None:
    (instances,) = fixed(iou=1.0).read((BOXES, LOGITS)).instances or ()
    assert len(instances) == 3
    (instances,) = fixed(iou=1.0, max_detections=2).read((BOXES, LOGITS)).instances or ()
    assert [one.label for one in instances] == ["cat", "cat"]


def test_less_certain_objects_are_read_for_the_tracker_only() -> None:
    certain = fixed(confidence=0.8)  # of 0.88, 0.62 and 0.73, and 0.48 is enough to go on
    (instances,) = certain.read((BOXES, LOGITS)).instances or ()
    assert [round(one.score, 2) for one in instances] == [0.88, 0.62]
    assert certain.certain_score == 0.8


def test_scores_are_those_of_the_best_candidate_and_those_of_objects_lead_to_their_own_alone() -> None:
    output = fixed().read((BOXES, LOGITS))
    assert output.scores.tolist() == [[3.0, 3.0]]
    assert output.instance_scores is not None
    assert output.instance_scores[0].tolist() == [[2.0, -1.0], [-9.0, 0.5]]
    (gradient,) = torch.autograd.grad(output.instance_scores[0][1, 1], LOGITS)
    assert gradient.nonzero().tolist() == [[2, 1]]


def test_log_odds_of_a_softmax_keep_their_digits() -> None:
    logits = torch.tensor([[1.0, 2.0, -1.0], [60.0, 0.0, 1.0]])
    exact = logits.double().softmax(dim=1)
    torch.testing.assert_close(softmax_log_odds(logits)[:1], (exact / (1 - exact)).log().float()[:1])
    # 1 / (1 + e^-59 …) is 1 in float32; the logarithm of its odds is not infinite.
    assert softmax_log_odds(logits)[1, 0] == pytest.approx(60 - torch.tensor([0.0, 1.0]).logsumexp(0).item())


def test_log_odds_of_a_geometric_mean() -> None:
    some, others = torch.tensor([[0.3, 2.0]]), torch.tensor([[-0.5]])
    mean = (some.sigmoid() * others.sigmoid()).sqrt()
    torch.testing.assert_close(log_odds_of_root(some, others), (mean / (1 - mean)).log())
    assert log_odds_of_root(torch.tensor([[80.0]]), torch.tensor([[80.0]])).isfinite().all()


# --- Torchvision's ----------------------------------------------------------------------------------------

TWO_STAGES = ("fasterrcnn_mobilenet_v3_large_320_fpn", "maskrcnn_resnet50_fpn", "keypointrcnn_resnet50_fpn")
ONE_STAGE = {
    "retinanet_resnet50_fpn": (160, 192),
    "fcos_resnet50_fpn": (96, 128),
    "ssd300_vgg16": (300, 300),
    "ssdlite320_mobilenet_v3_large": (320, 320),
}


def untrained(name: str, classes: int) -> nn.Module:
    torch.manual_seed(3)
    network: nn.Module = get_model(name, weights=None, weights_backbone=None, num_classes=classes).eval()
    for part in network.modules():  # without trained weights, features would grow from layer to layer
        if isinstance(part, nn.BatchNorm2d):
            nn.init.constant_(part.weight, 0.5)
    return network


@pytest.mark.parametrize("name", TWO_STAGES)
def test_objects_are_those_that_torchvision_finds(name: str, tmp_path: Path) -> None:
    """Compare with the network as torchvision runs it, on an input that it does not resize."""
    classes = 2 if name.startswith("keypoint") else 4
    original = untrained(name, classes)
    torch.save(original.state_dict(), tmp_path / "weights.pth")
    model = load_model(
        f"detection:{name}", weights=tmp_path / "weights.pth", confidence=0.26, max_detections=40
    )
    assert len(model.labels) == classes - 1
    heads = original.roi_heads
    heads.score_thresh, heads.nms_thresh, heads.detections_per_img = 0.6 * 0.26, 0.5, 40
    height, width = 64, 96
    original.transform.min_size, original.transform.max_size = (height,), width
    pixels = torch.randint(0, 256, (1, 3, height, width), dtype=torch.uint8)
    with torch.no_grad():
        (expected,) = original([pixels[0] / 255])
        output = model.forward(model.prepare(pixels))
    (found,) = output.instances or ()
    assert len(found) == len(expected["scores"]) > 0
    ours = torch.tensor([one.box for one in found]) * torch.tensor([width, height, width, height])
    scores = torch.tensor([one.score for one in found])
    torch.testing.assert_close(scores, expected["scores"], rtol=1e-3, atol=1e-5)
    # Objects whose scores are equal but for rounding may stand in another order.
    clear = (expected["scores"].diff().abs() > 1e-4).tolist()
    for index, (before, after) in enumerate(zip([True, *clear], [*clear, True], strict=True)):
        if before and after:
            assert found[index].class_index == expected["labels"][index] - 1
            torch.testing.assert_close(ours[index], expected["boxes"][index], rtol=1e-3, atol=0.05)
    assert (found[0].mask is not None) == name.startswith("maskrcnn")


@pytest.mark.parametrize("name", ONE_STAGE)
def test_candidates_are_those_of_torchvision_s_head(name: str) -> None:
    height, width = ONE_STAGE[name]
    original = untrained(name, 4)
    images = torch.rand(1, 3, height, width)
    with torch.no_grad():
        (candidates,) = arrange(original)(images)
        features = list(original.backbone(images).values())
        answer = original.head(features)
        (anchors,) = original.anchor_generator(ImageList(images, [(height, width)]), features)
        decode = original.box_coder.decode if "fcos" in name else original.box_coder.decode_single
        boxes = decode(answer["bbox_regression"][0], anchors) / torch.tensor([width, height, width, height])
        logits = answer["cls_logits"][0]
        scores = logits.softmax(dim=1)[:, 1:] if "ssd" in name else logits.sigmoid()
        if "fcos" in name:
            scores = (scores * answer["bbox_ctrness"][0].sigmoid()).sqrt()
        torch.testing.assert_close(candidates.boxes, boxes)
        torch.testing.assert_close(candidates.scores, scores)
        rows = torch.tensor([len(scores) - 1, 1, len(scores) // 2])  # of several levels, in any order
        torch.testing.assert_close(candidates.log_odds(rows).sigmoid(), scores[rows])
        if "fcos" in name:  # each of its scores depends on all places of a level
            assert candidates.separate is None
            return
        assert candidates.separate is not None
        parts = candidates.separate(rows.tolist(), 100)
        assert parts is not None
        for part in parts:
            expected = candidates.log_odds(rows[list(part.members)])
            torch.testing.assert_close(part.scores, expected, atol=1e-4, rtol=1e-4)


def test_gradients_of_candidates_pass_only_through_their_levels() -> None:
    fine, coarse = torch.rand(4, 2, requires_grad=True), torch.rand(3, 2, requires_grad=True)
    picked = Gather([fine, coarse], lambda values: 2 * values)(torch.tensor([5, 1, 1]))
    torch.testing.assert_close(picked, 2 * torch.stack([coarse[1], fine[1], fine[1]]))
    of_fine, of_coarse = torch.autograd.grad(
        picked[0].sum(), [fine, coarse], retain_graph=True, allow_unused=True
    )
    assert of_fine is None  # where nothing is differentiated, rather than zeros that are
    assert of_coarse.tolist() == [[0, 0], [2, 2], [0, 0]]
    of_fine, of_coarse = torch.autograd.grad(picked[1:].sum(), [fine, coarse], allow_unused=True)
    assert of_fine.tolist() == [[0, 0], [4, 4], [0, 0], [0, 0]]
    assert of_coarse is None


def test_untrained_networks_have_the_published_classes_and_those_of_labels() -> None:
    name = "detection:ssdlite320_mobilenet_v3_large"
    model = load_model(name, weights="none")
    assert model.labels[:2] == ("person", "bicycle")
    assert len(model.labels) == 90
    assert model.class_index("zebra") == 23
    assert load_model(name, weights="none", labels=["cup"]).labels == ("cup",)
    assert load_model("detection:fcos_resnet50_fpn", weights="none").labels[0] == "person"


def test_what_does_not_go_together_is_one_line() -> None:
    with pytest.raises(UnknownNameError, match="unknown model 'detection:fasterrcnn_resnet'; choose one of"):
        load_model("detection:fasterrcnn_resnet")
    with pytest.raises(InvalidArgumentError, match="`confidence` is for detectors, and resnet18 gives one"):
        load_model("resnet18", weights="none", confidence=0.3)
    with pytest.raises(InvalidArgumentError, match="`iou` is a number from 0 to 1, not 2"):
        load_model("detection:ssd300_vgg16", weights="none", iou=2)
    with pytest.raises(InvalidArgumentError, match="`max_detections` counts objects from 1, not 0"):
        load_model("detection:ssd300_vgg16", weights="none", max_detections=0)
    with pytest.raises(InvalidArgumentError, match="takes only 320x320 images, so `input_size` cannot be 64"):
        load_model("detection:ssdlite320_mobilenet_v3_large", weights="none", input_size=64)


def test_labels_are_as_many_as_the_classes_of_the_weights(tmp_path: Path) -> None:
    name = "ssdlite320_mobilenet_v3_large"
    network = get_model(name, weights=None, weights_backbone=None, num_classes=3)
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    load = {"weights": tmp_path / "weights.pth"}
    assert load_model(f"detection:{name}", **load, labels=["cup", "pot"]).labels == ("cup", "pot")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="1 labels were given for the 2 classes"):
        load_model(f"detection:{name}", **load, labels=["cup"])  # type: ignore[arg-type]
