"""No map is empty, constant or independent of the image without a word, for any network and method."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from branching_networks import (
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
from toy_models import cell_detector, clip_colors

import streamcam
from streamcam import Explainer
from streamcam.empty_maps import ALL_NEGATIVE, EMPTY_MAPS
from streamcam.errors import StreamcamError
from streamcam.explain.methods import METHODS
from streamcam.explanations import Explanation, Prediction
from streamcam.frames import Region
from streamcam.models import Classifier, InputSpec, Model
from streamcam.models.check_images import check_images
from streamcam.models.labels import numbered_labels

SIDE = 64

QUICK = {"occlusion": "occlusion:patch=32,stride=32", "sscam": "sscam:samples=2", "iscam": "iscam:samples=2"}
"""Options that make the slowest methods quick."""

FOR_EACH_CHANNEL = {"scorecam", "sscam", "iscam", "ablationcam"}
"""Methods that run the network once for each channel of the layer, or more often: only of small networks."""


def settled(model: Model) -> Model:
    """Let signals pass through an untrained network as through a trained one."""
    norms = [part for part in model.module.modules() if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d)]
    for part in model.module.modules():
        if isinstance(part, nn.Linear | nn.Conv2d) and not part.weight.any():  # a classifier of zeros
            nn.init.normal_(part.weight, std=0.02)
    for norm in norms:
        norm.train().momentum = 1.0
    if norms:
        pixels = torch.from_numpy(check_images(SIDE, SIDE, 4)).movedim(-1, 1)
        with torch.no_grad():
            model.module(model.prepare(pixels))
    model.module.eval()
    return model


def named(name: str) -> Callable[[], Model]:
    def build() -> Model:
        if name.startswith("timm:"):
            pytest.importorskip("timm")
        torch.manual_seed(0)
        return settled(streamcam.load_model(name, weights="none", input_size=SIDE))

    return build


def torchvision_vit() -> Model:
    from torchvision.models import VisionTransformer

    torch.manual_seed(0)
    return settled(classifier(VisionTransformer(SIDE, 16, 2, 2, 32, 64, num_classes=5)))


def torchvision_swin() -> Model:
    from torchvision.models import SwinTransformer

    torch.manual_seed(0)
    return settled(classifier(SwinTransformer([4, 4], 16, [1, 1], [2, 4], [4, 4], num_classes=5)))


_SIZES: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
_PATCHES: dict[str, Any] = {**_SIZES, "intermediate_size": 64, "image_size": SIDE, "patch_size": 16}

TRANSFORMERS: list[tuple[str, dict[str, Any]]] = [
    ("ViT", _PATCHES),
    ("DeiT", _PATCHES),
    ("Beit", _PATCHES),
    ("Dinov2", {**_SIZES, "image_size": SIDE, "patch_size": 16}),
    ("Swin", {"image_size": SIDE, "embed_dim": 16, "depths": [1, 1], "num_heads": [2, 4], "window_size": 4}),
    ("ConvNext", {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2}),
    ("ResNet", {"embedding_size": 8, "hidden_sizes": [16, 32], "depths": [1, 1]}),
]
"""Families of transformers' classifiers, and a small configuration of each."""


def hugging_face(family: str, settings: dict[str, Any]) -> Callable[[], Model]:
    def build() -> Model:
        transformers = pytest.importorskip("transformers")
        torch.manual_seed(0)
        config = getattr(transformers, f"{family}Config")(num_labels=5, **settings)
        module = getattr(transformers, f"{family}ForImageClassification")(config).eval()
        spec = InputSpec(SIDE, SIDE)
        return settled(Classifier(family, module, numbered_labels(5), spec, "none", logits_key="logits"))

    return build


def seeded(build: Callable[[], Model]) -> Callable[[], Model]:
    def build_seeded() -> Model:
        torch.manual_seed(0)
        return build()

    return build_seeded


NETWORKS: dict[str, Callable[[], Model]] = {
    "efficientnet_lite0": named("efficientnet_lite0"),
    "resnet18": named("resnet18"),
    "squeezenet1_1": named("squeezenet1_1"),
    "mobilenet_v3_small": named("mobilenet_v3_small"),
    "shufflenet_v2_x0_5": named("shufflenet_v2_x0_5"),
    "mnasnet0_5": named("mnasnet0_5"),
    "regnet_y_400mf": named("regnet_y_400mf"),
    "torchvision's ViT": torchvision_vit,
    "torchvision's Swin": torchvision_swin,
    **{
        f"timm:{name}": named(f"timm:test_{name}")
        for name in (
            "vit",
            "vit2",
            "vit3",
            "resnet",
            "convnext",
            "efficientnet",
            "byobnet",
            "mambaout",
            "nfnet",
        )
    },
    **{f"transformers' {family}": hugging_face(family, settings) for family, settings in TRANSFORMERS},
    "CLIP of open_clip": seeded(lambda: classifier(open_clip_towers(3), classes=3)),
    "CLIP of transformers": seeded(lambda: classifier(hugging_face_towers(3), classes=3)),
    "YOLOS": yolos,
    "two streams": seeded(lambda: classifier(TwoStreams())),
    "an auxiliary head": seeded(lambda: segmenter(AuxiliaryHead())),
    "a pyramid": seeded(lambda: detector(Pyramid())),
    "decoded boxes": seeded(lambda: detector(BoxDecoder())),
    "cells": cell_detector,
    "clips": clip_colors,
}


def normalized(heatmap: np.ndarray) -> np.ndarray:
    return heatmap / max(float(np.abs(heatmap).max()), 1e-30)


def fault_in(explanations: list[Explanation], notes: list[str]) -> str | None:
    """Say what is wrong with the explanations of different images and was not told."""
    untold = []
    for explanation in explanations:
        heatmap = np.sum([*explanation.heatmaps.values()], axis=0)  # of several concepts
        if explanation.emptiness is not None:
            if not any(EMPTY_MAPS[explanation.emptiness] in note for note in notes):
                return f"{explanation.emptiness}, and no note says so"
            continue
        if not np.isfinite(heatmap).all():
            return "not finite"
        if np.ptp(heatmap) <= 1e-6 * np.abs(heatmap).max():
            return "the same at every place"
        untold.append(normalized(heatmap))
    if len(untold) > 1 and all(np.abs(other - untold[0]).max() < 1e-4 for other in untold[1:]):
        return "the same for every image"
    return None


@pytest.mark.parametrize("network", NETWORKS)
def test_no_map_shows_nothing_without_a_word(network: str) -> None:
    model = NETWORKS[network]()
    images = list(check_images(SIDE, SIDE * 3 // 2, 2))
    faults, refused, shown = {}, {}, 0
    is_small = sum(parameter.numel() for parameter in model.module.parameters()) < 300_000
    methods = [method for method in METHODS if is_small or method not in FOR_EACH_CHANNEL]
    for method in methods:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                explainer = Explainer(model, method=QUICK.get(method, method), backend="torch")
                explanations = explainer.explain(images)
        except StreamcamError as error:  # that is a word
            refused[method] = str(error)
            continue
        fault = fault_in(explanations, explainer.notes)
        if fault is not None:
            faults[method] = f"{fault} ({explainer.target_layer})"
        shown += any(explanation.emptiness is None for explanation in explanations)
    assert faults == {}
    # Refusals and notes are for some methods, not for all of them.
    assert shown >= len(methods) // 3, refused


@pytest.mark.parametrize(
    ("heatmaps", "fault"),
    [
        ([[[0, 1], [2, 3]], [[3, 2], [1, 0]]], None),
        ([[[0, 1], [2, 3]], [[0, 2], [4, 6]]], "the same for every image"),
        ([[[2, 2], [2, 2]], [[3, 2], [1, 0]]], "the same at every place"),
        ([[[0, 0], [0, 0]], [[3, 2], [1, 0]]], "the same at every place"),
        ([[[0, np.nan], [0, 0]], [[3, 2], [1, 0]]], "not finite"),
    ],
)
def test_what_is_wrong_would_be_found(heatmaps: list[list[list[float]]], fault: str | None) -> None:
    explanations = [
        Explanation(
            frame_index=0,
            heatmaps={0: np.array(values, np.float32)},
            targets=(Prediction(0, "a", 1.0),),
            predictions=(),
            method="gradcam",
            target_layer="features",
            region=Region(0, 0, 1, 1),
        )
        for values in heatmaps
    ]
    assert fault_in(explanations, []) == fault


def test_what_is_told_is_no_fault() -> None:
    empty = Explanation(
        frame_index=0,
        heatmaps={0: np.zeros((2, 2), np.float32)},
        targets=(Prediction(0, "a", 1.0),),
        predictions=(),
        method="gradcam",
        target_layer="features",
        region=Region(0, 0, 1, 1),
        flags={0: ALL_NEGATIVE},
    )
    assert fault_in([empty], [f"the map shows nothing: {EMPTY_MAPS[ALL_NEGATIVE]}"]) is None
    assert fault_in([empty], []) == "all negative, and no note says so"
