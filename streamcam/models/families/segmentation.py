"""Torchvision's segmenters, as ``segmentation:NAME``."""

from __future__ import annotations

import functools

from torch import nn

from streamcam.models.base import Model
from streamcam.models.families.base import ModelFamily
from streamcam.models.families.torchvision import (
    list_published,
    published_input,
    published_variant,
    read_tensors,
)
from streamcam.models.labels import numbered_labels
from streamcam.models.model_names import check_name
from streamcam.models.published_names import torchvision_names
from streamcam.models.request import NO_WEIGHTS, ModelRequest, build_around
from streamcam.models.segmenter import Segmenter
from streamcam.models.state_dicts import StateDict

PREFIX = "segmentation:"

_AUXILIARY = "aux_classifier."
"""Only training reads it."""


def _load(request: ModelRequest) -> Model:
    name = request.name.removeprefix(PREFIX)
    check_name(request.name)
    published = published_variant(name, request.weights)
    categories = tuple(published.meta["categories"])
    spec = request.input_spec(published_input(published))
    build = functools.partial(_build, name)
    if request.weights == NO_WEIGHTS:
        classes = request.requested_classes or len(categories)
        module, origin, found = build(classes), NO_WEIGHTS, None
    else:
        tensors, origin = read_tensors(request, name, published)
        module, classes = build_around(build, _read_by_all(tensors), model=request.name, origin=origin)
        found = tensors.labels
    usual = categories if classes == len(categories) else numbered_labels(classes)
    labels = request.class_names(classes, usual, found)
    *_, last = module.get_submodule("backbone").named_children()
    return Segmenter(
        request.name, module, labels, spec, origin, layer=f"backbone.{last[0]}", notes=request.notes()
    )


def _read_by_all(tensors: StateDict) -> StateDict:
    """Leave out the classifier that only training reads."""
    kept = StateDict((name, value) for name, value in tensors.items() if _AUXILIARY not in name)
    kept._metadata, kept.network = tensors._metadata, tensors.network
    return kept


def _build(name: str, classes: int) -> nn.Module:
    """Build a network without weights."""
    from torchvision.models import get_model

    module: nn.Module = get_model(
        name, weights=None, weights_backbone=None, num_classes=classes, aux_loss=False
    )
    return module


SEGMENTATION = ModelFamily(
    lambda name: name.startswith(PREFIX),
    _load,
    lambda: list_published(torchvision_names("segmentation"), prefix=PREFIX, input_of=published_input),
    PREFIX,
)
