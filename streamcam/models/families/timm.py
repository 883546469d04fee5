"""timm's classifiers, as ``timm:NAME``, with the extra ``streamcam[timm]``."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from torch import nn

from streamcam.errors import ModelError, unknown_name
from streamcam.models.classifier import Classifier, InputSpec
from streamcam.models.families.base import ModelFamily, ModelInfo
from streamcam.models.request import (
    DEFAULT_WEIGHTS,
    IMAGENET_CLASSES,
    NO_WEIGHTS,
    ModelRequest,
    classes_in,
    published_labels,
)
from streamcam.models.weights import load_into, read_state_dict

PREFIX = "timm:"


def _load(request: ModelRequest) -> Classifier:
    timm = _import_timm()
    name = _known(timm, request.name)
    published = timm.get_pretrained_cfg(name)
    origin, classes = NO_WEIGHTS, published.num_classes or IMAGENET_CLASSES
    if request.weights == DEFAULT_WEIGHTS:
        module, origin = _download(timm, request, name), f"timm/{name}"
    elif request.weights_file is not None:
        tensors, origin = read_state_dict(request.weights_file), str(request.weights_file)
        module = _build(timm, name, classes, request.input_size)
        found = classes_in(tensors, module.state_dict(), classes)
        if found != classes:
            module, classes = _build(timm, name, found, request.input_size), found
        load_into(module, tensors, model=request.name, origin=origin)
    else:
        classes = classes if request.labels is None else len(request.labels)
        module = _build(timm, name, classes, request.input_size)
    spec = request.input_spec(_input_of(timm, module))
    return request.finish(module, spec, classes=classes, weights=origin, labels=_labels)


def _import_timm() -> ModuleType:
    try:
        import timm
    except ImportError as error:
        raise ModelError('models named timm:NAME need timm: pip install "streamcam[timm]"') from error
    module: ModuleType = timm
    return module


def _known(timm: ModuleType, name: str) -> str:
    """Return timm's own name of a model, which may end in the tag of its weights."""
    own = name.removeprefix(PREFIX)
    if not timm.is_model(own.partition(".")[0]):
        raise unknown_name("model", name, _names(), listed_by="streamcam models timm:")
    tags = timm.list_pretrained(own.partition(".")[0] + ".*")
    if "." in own and own not in tags:
        raise unknown_name("weights", name, [PREFIX + tag for tag in tags])
    return own


def _build(timm: ModuleType, name: str, classes: int, side: int | None) -> nn.Module:
    """Build a network; the side of its input is part of a transformer and of no concern to others."""
    settings: dict[str, Any] = {"pretrained": False, "num_classes": classes}
    if side is not None:
        try:
            sized: nn.Module = timm.create_model(name, **settings, img_size=side)
        except TypeError:  # it knows no such setting
            pass
        else:
            return sized
    module: nn.Module = timm.create_model(name, **settings)
    return module


def _download(timm: ModuleType, request: ModelRequest, name: str) -> nn.Module:
    published = timm.get_pretrained_cfg(name)
    if not published.num_classes:
        raise ModelError(
            f"{request.name} is published without a classifier, so it has no classes to explain; "
            "give the weights of a fine-tuned one with --weights FILE"
        )
    try:
        with _quiet_downloads():
            module: nn.Module = timm.create_model(name, pretrained=True)
    except (OSError, RuntimeError, ValueError) as error:  # huggingface_hub's errors are OSErrors
        reason = str(error).partition("\n")[0]
        raise ModelError(
            f"the weights of {request.name} could not be downloaded ({reason}); give a file with --weights "
            "FILE, point HF_HOME to a cache that has them, or use --weights none for an untrained network"
        ) from error
    return module


@contextmanager
def _quiet_downloads() -> Iterator[None]:
    """Keep the hub's account of its attempts out of the way: what matters is in the error."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _input_of(timm: ModuleType, module: nn.Module) -> InputSpec:
    config = timm.data.resolve_model_data_config(module)
    side = min(config["input_size"][1:])
    return InputSpec(side, round(side / config["crop_pct"]), tuple(config["mean"]), tuple(config["std"]))


def _labels(classes: int) -> tuple[str, ...]:
    """Return the labels of ImageNet, of one of its larger relatives, or numbers."""
    from timm.data.imagenet_info import ImageNetInfo, infer_imagenet_subset

    subset = infer_imagenet_subset({"num_classes": classes})
    if classes == IMAGENET_CLASSES or subset is None:
        return published_labels(classes)
    return tuple(ImageNetInfo(subset).label_descriptions())


@functools.cache
def _names() -> tuple[str, ...]:
    timm = _import_timm()
    return tuple(PREFIX + name for name in timm.list_models())


def _infos() -> Iterator[ModelInfo]:
    timm = _import_timm()
    for name in _names():
        published = timm.get_pretrained_cfg(name.removeprefix(PREFIX))
        size = published.input_size[-1] if published is not None else None
        yield ModelInfo(name, input_size=size, weights=(published and published.tag) or "")


TIMM = ModelFamily(lambda name: name.startswith(PREFIX), _load, _infos, PREFIX)
