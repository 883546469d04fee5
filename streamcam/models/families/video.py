"""Torchvision's classifiers of clips, as ``video:NAME``."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from torch import nn

from streamcam.errors import InvalidArgumentError
from streamcam.models.base import Model
from streamcam.models.clip_classifier import ClipClassifier
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

if TYPE_CHECKING:
    from torchvision.models import WeightsEnum

PREFIX = "video:"


def _load(request: ModelRequest) -> Model:
    name = request.name.removeprefix(PREFIX)
    check_name(request.name)
    published = published_variant(name, request.weights)
    categories = tuple(published.meta["categories"])
    spec = request.input_spec(published_input(published))
    build = functools.partial(_build, name, spec.sides)
    if request.weights == NO_WEIGHTS:
        classes = request.requested_classes or len(categories)
        module, origin, found = build(classes), NO_WEIGHTS, None
    else:
        tensors, origin = read_tensors(request, name, published)
        module, classes = build_around(build, tensors, model=request.name, origin=origin)
        found = tensors.labels

    def labels(count: int) -> tuple[str, ...]:
        return categories if count == len(categories) else numbered_labels(count)

    classifier = request.finish(module, spec, classes=classes, weights=origin, labels=labels, found=found)
    frames, rate = _clips_of(published)
    return ClipClassifier(**vars(classifier), frames=frames, rate=rate)


def _clips_of(published: WeightsEnum) -> tuple[int, float]:
    """Return length and rate of the clips that published weights were evaluated with.

    Torchvision says so only in the text that describes the weights.
    """
    text = published.meta["_docs"]
    length, rate = (re.search(rf"{name}=([\d.]*\d)", text) for name in ("clip_len", "frame_rate"))
    assert length is not None
    assert rate is not None
    return int(length[1]), float(rate[1])


def _build(name: str, size: tuple[int, int], classes: int) -> nn.Module:
    """Build a network without weights, for clips of a (width, height)."""
    from torchvision.models import get_model

    if name.startswith("mvit_") and size != (224, 224):  # its table of positions has a shape
        raise InvalidArgumentError(
            f"{PREFIX}{name} takes only 224x224 pixels, so `input_size` cannot be {size[0]}x{size[1]}"
        )
    module: nn.Module = get_model(name, weights=None, num_classes=classes)
    return module


VIDEO = ModelFamily(
    lambda name: name.startswith(PREFIX),
    _load,
    lambda: list_published(torchvision_names("video"), prefix=PREFIX, input_of=published_input),
    PREFIX,
)
