"""Torchvision's detectors, as ``detection:NAME``, and those that a factory returns."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from streamcam.errors import InvalidArgumentError, ModelError
from streamcam.models.base import InputSpec, Model
from streamcam.models.detector import ArrangedDetector, Detector
from streamcam.models.families.base import ModelFamily
from streamcam.models.families.torchvision import (
    list_published,
    published_variant,
    read_tensors,
    takes_published,
)
from streamcam.models.labels import numbered_labels
from streamcam.models.model_names import check_name
from streamcam.models.published_names import torchvision_names
from streamcam.models.request import NO_WEIGHTS, ModelRequest
from streamcam.models.state_dicts import StateDict, load_into, match_names

PREFIX = "detection:"

_SIGMOID = ("retinanet", "fcos")
"""Beginnings of the names of networks that have no class for the background."""

_CLASSIFIERS = (
    "box_predictor.cls_score.weight",
    "classification_head.cls_logits.weight",
    "classification_head.module_list.0.weight",
    "classification_head.module_list.0.1.weight",
)
"""Ends of the names of tensors whose rows are the classes, or the classes of each box of a place."""


def _load(request: ModelRequest) -> Model:
    name = request.name.removeprefix(PREFIX)
    check_name(request.name)
    published = published_variant(name, request.weights)
    categories = tuple(published.meta["categories"])
    build = functools.partial(_build, name)
    if request.weights == NO_WEIGHTS:
        backgrounds = 0 if name.startswith(_SIGMOID) else 1
        requested = request.requested_classes
        count = len(categories) if requested is None else requested + backgrounds
        detector, origin, found = build(count), NO_WEIGHTS, None
    else:
        tensors, origin = read_tensors(request, name, published)
        found = tensors.labels
        detector = _build_around(build, tensors, len(categories), model=request.name, origin=origin)
        if takes_published(request, name):
            _restore_epsilon(name, published.name, detector)
    return detector_of(request, detector, origin, categories, found)


def detector_of(
    request: ModelRequest,
    detector: nn.Module,
    weights: str,
    categories: Sequence[str] = (),
    found: Sequence[str] | None = None,
) -> Detector:
    """Make a model of a network of torchvision and the request.

    Args:
        request: What was asked for.
        detector: One of `streamcam.models.detection_networks.arrange`.
        weights: Origin of its weights, for reports.
        categories: Names of the classes it is published with, the background first.
        found: Names of the classes in the file of weights, if it has them.

    Raises:
        InvalidArgumentError: if the input asked for cannot be.
        ModelError: if there are more or fewer labels than classes.
    """
    transform: Any = detector.transform
    size = transform.min_size[-1] if transform.fixed_size is None else transform.fixed_size[0]
    published = InputSpec(size, size, tuple(transform.image_mean), tuple(transform.image_std))
    spec = request.input_spec(published)
    if transform.fixed_size is not None and spec.size != size:
        raise InvalidArgumentError(
            f"{request.name} takes only {size}x{size} images, so `input_size` cannot be {spec.size}"
        )
    from streamcam.models.detection_networks import arrange

    module = arrange(detector)
    classes = module.classes
    given = request.labels if request.labels is not None else found
    if len(categories) == classes or (given is not None and len(given) == classes - 1):
        module.first_class = 1  # of RetinaNet and FCOS, too, where it has a sigmoid that nothing trained
    named = tuple(categories) if len(categories) == classes else numbered_labels(classes)
    labels = tuple(given if given is not None else named)
    if len(labels) == classes:  # the background is among them
        labels = labels[module.first_class :]
    if len(labels) != classes - module.first_class:
        raise ModelError(
            f"{len(labels)} labels were given for the {classes - module.first_class} classes of "
            f"{request.name}; give one label for each class"
        )
    return ArrangedDetector(
        request.name, module, labels, spec, weights, notes=request.notes(), **request.detection
    )


def is_torchvision_detector(module: nn.Module) -> bool:
    """Return whether `detector_of` takes a network."""
    if "torchvision.models.detection" not in sys.modules:  # importing it takes seconds
        return False
    from torchvision.models.detection import FCOS, FasterRCNN, RetinaNet
    from torchvision.models.detection.ssd import SSD

    return isinstance(module, FCOS | SSD | FasterRCNN | RetinaNet)


def _build(name: str, classes: int) -> nn.Module:
    """Build a network without weights."""
    from torchvision.models import get_model

    module: nn.Module = get_model(name, weights=None, weights_backbone=None, num_classes=classes)
    return module


def _build_around(
    build: Callable[[int], nn.Module], tensors: StateDict, classes: int, *, model: str, origin: str
) -> nn.Module:
    """Build a network around weights, with as many classes as they were made for.

    Args:
        build: Builds one for a number of classes.
        tensors: The weights.
        classes: The usual number of classes.
        model: What a message calls the network.
        origin: What a message calls the weights.

    Raises:
        ModelError: if they do not fit.
    """
    module = build(classes)
    own = module.state_dict()
    tensors = match_names(tensors, own)
    name = next(name for name in own if name.endswith(_CLASSIFIERS))
    if name in tensors and len(tensors[name]) != len(own[name]):
        module = build(len(tensors[name]) * classes // len(own[name]))
    load_into(module, tensors, model=model, origin=origin)
    return module


def _restore_epsilon(name: str, weights: str, module: nn.Module) -> None:
    """Set what the first published networks were trained with, as torchvision does."""
    if (weights == "COCO_V1" and name.endswith("rcnn_resnet50_fpn")) or name == "retinanet_resnet50_fpn":
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.eps = 0.0


DETECTION = ModelFamily(
    lambda name: name.startswith(PREFIX),
    _load,
    lambda: list_published(torchvision_names("detection"), prefix=PREFIX),
    PREFIX,
)
