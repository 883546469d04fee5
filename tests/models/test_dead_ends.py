"""The layer that ``auto`` takes sees the image, and the scores read it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from branching_networks import (
    CLASSES,
    AuxiliaryHead,
    BoxDecoder,
    Pyramid,
    TwoStreams,
    classifier,
    detector,
    hugging_face_towers,
    open_clip_towers,
    segmenter,
    yolos,
)
from torch import nn

from streamcam import Explainer
from streamcam.errors import ModelError
from streamcam.models import Model, choose_target_layers, probe_model
from streamcam.models.check_images import check_images
from streamcam.models.layers import find_last
from streamcam.models.layouts import Layout


def torchvision_segmenter(name: str) -> Model:
    from torchvision.models import segmentation

    build = getattr(segmentation, name)
    return segmenter(build(weights=None, weights_backbone=None, num_classes=CLASSES, aux_loss=True))


BRANCHING: list[tuple[str, Callable[[], Model], str]] = [
    ("a stream that sees no image", lambda: classifier(TwoStreams()), "color"),
    ("an auxiliary classifier", lambda: segmenter(AuxiliaryHead()), "classifier.0"),
    ("deeplabv3's", lambda: torchvision_segmenter("deeplabv3_resnet50"), "classifier.3"),
    ("fcn's", lambda: torchvision_segmenter("fcn_resnet50"), "classifier.2"),
    ("levels of a pyramid", lambda: detector(Pyramid()), "c4"),
    ("boxes", lambda: detector(BoxDecoder()), "backbone"),
    (
        "two prompts, as if they were two images (open_clip)",
        lambda: classifier(open_clip_towers(2), classes=2),
        "towers.visual.transformer.resblocks.2.ln_1",
    ),
    (
        "five prompts (open_clip)",
        lambda: classifier(open_clip_towers(5), classes=5),
        "towers.visual.transformer.resblocks.2.ln_1",
    ),
    (
        "two prompts (transformers)",
        lambda: classifier(hugging_face_towers(2), classes=2),
        "towers.vision_model.encoder.layers.2.layer_norm1",
    ),
    (
        "four prompts (transformers)",
        lambda: classifier(hugging_face_towers(4), classes=4),
        "towers.vision_model.encoder.layers.2.layer_norm1",
    ),
]
"""What runs behind the layer that is to be taken, a network, and the layer."""


@pytest.mark.parametrize(("build", "layer"), [pytest.param(*row[1:], id=row[0]) for row in BRANCHING])
def test_auto_takes_the_last_layer_on_the_way_from_the_image_to_all_scores(
    build: Callable[[], Model], layer: str
) -> None:
    torch.manual_seed(0)
    model = build()
    explainer = Explainer(model, fit="stretch", signed=True, backend="torch")
    assert explainer.target_layer == layer
    size = model.input.size
    heatmaps = [
        next(iter(explanation.heatmaps.values()))
        for explanation in explainer.explain(list(check_images(size, size, 2)))
    ]
    assert all(np.ptp(heatmap) > 0 for heatmap in heatmaps)
    assert not np.array_equal(*heatmaps)


def test_the_detection_tokens_of_yolos_stand_for_no_place() -> None:
    model = yolos()
    explainer = Explainer(model, fit="stretch", signed=True, backend="torch")
    assert explainer.target_layer == "vit.encoder.layer.2.layernorm_before"
    (layer,) = choose_target_layers(probe_model(model, "stretch").layers)
    assert layer.layout == Layout("tokens", (4, 4), 1, suffix_tokens=20)
    tokens: list[torch.Tensor] = []
    module = model.module.get_submodule(explainer.target_layer)
    with torch.no_grad():
        handle = module.register_forward_hook(lambda *call: tokens.append(call[2]))
        for row, column in [(0, 0), (1, 2), (3, 3)]:
            image = torch.zeros(2, 3, 64, 64)
            image[1, :, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16] = 9
            model.module(image)
            dark, bright = layer.layout.fold(tokens.pop(), (64, 64))
            assert divmod(int((bright - dark).norm(dim=0).argmax()), 4) == (row, column)
    handle.remove()


class Blind(nn.Module):
    """Makes its scores of nothing that has a grid."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 8, 8, 8), nn.Linear(3, CLASSES)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        self.conv(batch)
        logits: torch.Tensor = self.fc(batch.mean((2, 3)))
        return logits


def test_a_network_whose_scores_depend_on_no_grid_is_refused() -> None:
    with pytest.raises(ModelError, match="with a spatial grid leads from the image to the scores"):
        choose_target_layers(probe_model(classifier(Blind()), "stretch").layers)


def towers() -> Model:
    return classifier(open_clip_towers(2), classes=2)


@pytest.mark.parametrize(
    ("build", "layer", "blind"),
    [
        (lambda: classifier(TwoStreams()), "depth", True),
        (lambda: classifier(TwoStreams()), "color", False),
        (towers, "towers.transformer", True),
        (towers, "towers.visual.transformer.resblocks.2.ln_1", False),
    ],
    ids=["depth", "color", "text", "image"],
)
def test_a_named_layer_that_does_not_see_the_image_is_noted(
    build: Callable[[], Model], layer: str, blind: bool
) -> None:
    torch.manual_seed(0)
    notes = Explainer(build(), method="eigencam", target_layer=layer, backend="torch").notes
    assert any("puts out the same for every image" in note for note in notes) == blind


class Frozen(nn.Module):
    """Runs its backbone without gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.fc = nn.Sequential(nn.Conv2d(3, 8, 8, 8), nn.ReLU()), nn.Linear(8, CLASSES)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            features = self.backbone(batch)
        logits: torch.Tensor = self.fc(features.mean((2, 3)))
        return logits


def test_a_layer_that_runs_without_gradients_is_taken() -> None:
    assert choose_target_layers(probe_model(classifier(Frozen())).layers)[0].name == "backbone"


@pytest.mark.parametrize("count", [1, 2, 3, 5, 40, 200])
def test_the_last_that_passes_is_found_in_few_tests(count: int) -> None:
    for last in range(count):
        tested: list[int] = []

        def passes(index: int, last: int = last, tested: list[int] = tested) -> bool:
            tested.append(index)
            return index <= last

        assert find_last(range(count), passes) == last
        assert len(tested) == len(set(tested)) <= 4 + 2 * count.bit_length()
    assert find_last(range(count), lambda _: False) is None
