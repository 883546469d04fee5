"""Explaining what a detector found: a class, each object, one object."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from peers import require_peer, scaled_as_pytorch_grad_cam
from torch import nn
from torchvision.models import get_model

from streamcam import Explainer, InputSpec, load_model
from streamcam.empty_maps import NOT_FINITE
from streamcam.errors import InvalidArgumentError
from streamcam.explain.combined_maps import merge_pyramid
from streamcam.explanations import as_target, object_number
from streamcam.frames import Frame
from streamcam.models import Candidates, Detector
from streamcam.sources.given_images import frame_of
from streamcam.temporal import TemporalSettings, Tracker

SIDE = 64


class Halves(nn.Module):
    """Two resolutions of the mean color: red is found at the finer one, green at the coarser one."""

    def __init__(self) -> None:
        super().__init__()
        self.levels = nn.ModuleList([nn.Identity(), nn.Identity()])
        self.cells = nn.AdaptiveAvgPool2d(8)
        self.blocks = nn.AdaptiveAvgPool2d(4)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.levels[0](self.cells(images)), self.levels[1](self.blocks(images))


class ColorDetector(Detector):
    """Finds cells that are red and blocks that are green: a score is the sigmoid of 8 (color - 0.5)."""

    @property
    def pyramid(self) -> tuple[str, ...]:
        return ("levels.0", "levels.1")

    def candidates(self, answer: object) -> list[Candidates]:
        cells, blocks = answer  # type: ignore[misc]
        return [self._of_image(*pair) for pair in zip(cells, blocks, strict=True)]

    def _of_image(self, cells: torch.Tensor, blocks: torch.Tensor) -> Candidates:
        never = -20 * torch.ones(1)
        red, green = cells[0].flatten(), blocks[1].flatten()
        logits = torch.cat(
            [
                torch.stack([8 * (red - 0.5), never.expand(len(red))], dim=1),
                torch.stack([never.expand(len(green)), 8 * (green - 0.5)], dim=1),
            ]
        )
        boxes = torch.tensor([box for count in (8, 4) for box in _grid(count)])
        return Candidates(boxes, logits.detach().sigmoid(), lambda rows: logits[rows])


def _grid(count: int) -> list[tuple[float, float, float, float]]:
    return [
        (column / count, row / count, (column + 1) / count, (row + 1) / count)
        for row in range(count)
        for column in range(count)
    ]


def color_detector() -> ColorDetector:
    plain = InputSpec(SIDE, SIDE, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    return ColorDetector("colors", Halves(), ("red", "green"), plain, "none")


def scene(*cells: tuple[int, int], green: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """A black image with red cells of 8x8, and a green block of 16x16, each given by row and column."""
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    for row, column in cells:
        image[8 * row : 8 * row + 8, 8 * column : 8 * column + 8, 0] = 255
    if green is not None:
        row, column = green
        image[16 * row : 16 * row + 16, 16 * column : 16 * column + 16, 1] = 255
    return image


def explainer(**settings: object) -> Explainer:
    return Explainer(color_detector(), fit="stretch", **{"method": "hirescam", **settings})  # type: ignore[arg-type]


def test_each_object_has_a_map_of_the_level_it_was_found_at() -> None:
    (explanation,) = explainer(classes="instances").explain(scene((1, 2), (6, 6), green=(2, 0)))
    assert explanation.target_layer == "levels.0+levels.1"
    assert [target.label for target in explanation.targets] == ["red #1", "red #2", "green #3"]
    assert [object_number(index) for index in explanation.heatmaps] == [1, 2, 3]
    first, second, third = explanation.heatmaps.values()
    for heatmap, place in ((first, (1, 2)), (second, (6, 6))):
        expected = np.zeros((8, 8), np.float32)
        expected[place] = 1
        np.testing.assert_allclose(heatmap, expected, atol=1e-6)
    # Of the coarser level, enlarged: nothing more than a cell away from the block's 2x2 cells.
    assert third[4:6, 0:2].min() > 0.5
    assert not third[:3].any()
    assert third.max() == pytest.approx(1)


def test_objects_are_explained_by_a_method_that_keeps_to_them_unless_another_is_asked_for() -> None:
    image = scene((1, 2), (6, 6))
    chosen = {
        "instances": "hirescam",
        "instance2": "hirescam",
        ("red", "INSTANCES"): "hirescam",
        "red": "gradcam",
        None: "gradcam",
        0: "gradcam",
    }
    for classes, method in chosen.items():
        made = explainer(classes=classes, method="auto")
        assert made.method == method
        assert made.explain(image)[0].method == method
        assert made.notes == []
    asked = explainer(classes="instances", method="gradcam")
    assert asked.method == "gradcam"
    assert "weighs whole channels" in asked.notes[0]


def test_a_class_is_explained_by_all_its_objects_and_by_nothing_where_there_are_none() -> None:
    (explanation,) = explainer(classes="red").explain(scene((1, 2), (6, 6)))
    assert explanation.heatmaps[0].nonzero() == (pytest.approx([1, 6]), pytest.approx([2, 6]))
    assert explanation.heatmaps[0][[1, 6], [2, 6]] == pytest.approx([1, 1])
    (nothing,) = explainer(classes="green").explain(scene((1, 2)))
    assert not nothing.heatmaps[1].any()
    assert list(nothing.flags) == [1]


def test_one_object_is_explained_by_its_number() -> None:
    (explanation,) = explainer(classes="instance2").explain(scene((1, 2), (6, 6)))
    assert [target.label for target in explanation.targets] == ["red #2"]
    (heatmap,) = explanation.heatmaps.values()
    assert np.unravel_index(heatmap.argmax(), heatmap.shape) == (6, 6)


def test_images_with_fewer_objects_have_fewer_maps_and_those_with_none_are_explained_all_the_same() -> None:
    two, none, one = explainer(classes="instances").explain([scene((1, 2), (6, 6)), scene(), scene((3, 3))])
    assert [len(explanation.heatmaps) for explanation in (two, none, one)] == [2, 0, 1]
    assert none.is_explained
    assert [len(explanation.instances) for explanation in (two, none, one)] == [2, 0, 1]


def test_numbers_hold_over_time() -> None:
    images = [scene((1, 1), green=(3, 3)), scene((1, 1), green=(3, 3)), scene(green=(3, 3))]
    frames = [
        Frame(frame_of(image, number).image, number, number, Fraction(1, 25), 0.0)
        for number, image in enumerate(images)
    ]
    tracker = Tracker(TemporalSettings(cuts="off"))
    assert all(tracker.observe(frame) for frame in frames)
    explanations = explainer(classes="instances").explain_frames(frames, tracker)
    assert [[one.track_id for one in explanation.instances] for explanation in explanations] == [
        [1, 2],
        [1, 2],
        [2],
    ]
    assert [target.label for target in explanations[2].targets] == ["green #2"]


def test_a_pyramid_is_merged_at_the_finest_grid_that_is_not_too_fine() -> None:
    fine, coarse = torch.zeros(1, 192, 128), torch.zeros(1, 96, 64)
    fine[0, 10, 10], coarse[0, 50, 50] = 7, -3
    merged = merge_pyramid([fine, coarse])
    assert merged.shape == (1, 96, 64)
    assert merged[0, 5, 5] == pytest.approx(1 / 4)
    assert merged[0, 50, 50] == -1


def test_networks_whose_coarsest_level_is_a_single_place_are_explained_at_the_others() -> None:
    model = load_model("detection:ssdlite320_mobilenet_v3_large", weights="none", labels=["a", "b"])
    explained = Explainer(model, classes="instances", method="hirescam", batch_size=1)
    assert explained.target_layer == "levels.0+levels.1+levels.2+levels.3+levels.4"
    (explanation,) = explained.explain(np.zeros((90, 160, 3), np.uint8))
    assert explanation.is_explained


def test_what_cannot_be_explained_is_one_line_before_any_work() -> None:
    with pytest.raises(InvalidArgumentError, match="target 'instances' is for detectors, and efficientnet"):
        Explainer(load_model(weights="none"), classes="instances")
    with pytest.raises(InvalidArgumentError, match="method 'scorecam' cannot explain objects one by one"):
        explainer(classes="instances", method="scorecam")
    with pytest.raises(InvalidArgumentError, match="method 'eigencam' cannot explain objects one by one"):
        explainer(classes="instances", method="eigencam")
    with pytest.raises(InvalidArgumentError, match="method 'finercam' compares classes of a whole image"):
        explainer(method="finercam")
    with pytest.raises(InvalidArgumentError, match="method 'cam' is for classifiers"):
        explainer(method="cam")


@pytest.mark.parametrize(
    "method", ["scorecam", "occlusion:patch=8,stride=8", "ablationcam", "eigencam", "layercam"]
)
def test_other_methods_explain_the_best_object_of_a_class(method: str) -> None:
    (explanation,) = explainer(method=method, classes="red", target_layer="levels.0").explain(scene((1, 2)))
    heatmap = explanation.heatmaps[0]
    assert NOT_FINITE not in explanation.flags.values()
    row, column = np.unravel_index(heatmap.argmax(), heatmap.shape)
    assert (8 * (row + 0.5) / heatmap.shape[0], 8 * (column + 0.5) / heatmap.shape[1]) == pytest.approx(
        (1.5, 2.5), abs=0.6
    )


# --- The same maps as pytorch-grad-cam's ------------------------------------------------------------------


@pytest.mark.parametrize("method", ["gradcam", "hirescam", "layercam"])
@pytest.mark.parametrize("layer", ["level", "backbone"])
def test_the_map_of_one_detection_is_pytorch_grad_cam_s(method: str, layer: str, tmp_path: Path) -> None:
    peer = require_peer("pytorch_grad_cam")
    from pytorch_grad_cam.utils.model_targets import FasterRCNNBoxScoreTarget

    torch.manual_seed(1)
    name = "fasterrcnn_mobilenet_v3_large_320_fpn"
    original = get_model(name, weights=None, weights_backbone=None, num_classes=4).eval()
    nn.init.normal_(original.roi_heads.box_predictor.cls_score.weight, std=0.2)
    torch.save(original.state_dict(), tmp_path / "weights.pth")
    model = load_model(f"detection:{name}", weights=tmp_path / "weights.pth", input_size=96, confidence=0.2)
    image = np.random.default_rng(2).integers(0, 256, (96, 160, 3), np.uint8)
    explained = Explainer(model, method=method, classes="instance1", fit="full").explain(image)[0]
    (found, *_) = explained.instances
    original.transform.min_size, original.transform.max_size = (96,), 160
    original.roi_heads.score_thresh, original.roi_heads.nms_thresh = 0.12, 0.5
    peer_class = {"gradcam": "GradCAM", "hirescam": "HiResCAM", "layercam": "LayerCAM"}[method]
    batch = torch.from_numpy(image / np.float32(255)).permute(2, 0, 1).unsqueeze(0)
    with torch.no_grad():
        boxes = original(batch)[0]["boxes"].numpy()
    # Exactly its own box: the overlap that the target adds is then at its maximum and has no gradient.
    box = min(boxes, key=lambda box: np.abs(box - np.array(found.box) * (160, 96, 160, 96)).max())
    target = FasterRCNNBoxScoreTarget([found.class_index + 1], [box], iou_threshold=0.9)
    compared = 0
    for number in range(2) if layer == "level" else [0]:
        block = original.backbone.fpn.layer_blocks[number] if layer == "level" else original.backbone.body
        place = f"levels.{number}" if layer == "level" else "backbone.body.16"
        layers = [block if layer == "level" else block["16"]]
        ours = Explainer(model, method=method, classes="instance1", fit="full", target_layer=place)
        heatmap = next(iter(ours.explain(image)[0].heatmaps.values()))
        if not heatmap.any():  # it was found at the other level
            continue
        cam = getattr(peer, peer_class)(original, layers)
        expected = cam(batch, [target])[0]
        np.testing.assert_allclose(scaled_as_pytorch_grad_cam(heatmap, (160, 96)), expected, atol=1e-4)
        compared += 1
    assert compared == 1
    assert as_target(found, 0).label.endswith("#1")
