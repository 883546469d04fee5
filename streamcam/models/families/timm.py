"""timm's classifiers, as ``timm:NAME`` or ``timm:FOLDER``, with the extra ``streamcam[timm]``."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from streamcam.errors import (
    InvalidArgumentError,
    ModelError,
    SourceNotFoundError,
    map_errors,
    unknown_name,
)
from streamcam.models.base import InputSpec, Model
from streamcam.models.checkpoint_labels import labels_beside
from streamcam.models.families.base import ModelFamily, ModelInfo
from streamcam.models.hub import find_obstacle, quiet_downloads, without_asking
from streamcam.models.model_names import check_name
from streamcam.models.request import (
    DEFAULT_WEIGHTS,
    IMAGENET_CLASSES,
    NO_WEIGHTS,
    ModelRequest,
    classes_in,
    published_labels,
)
from streamcam.models.state_dicts import StateDict, load_into, match_names

PREFIX = "timm:"

_CONFIG = "config.json"


def _load(request: ModelRequest) -> Model:
    timm = _import_timm()
    folder = request.name.removeprefix(PREFIX)
    if folder and Path(folder).is_dir():
        return _load_folder(timm, request, Path(folder))
    name = _known(timm, request.name)
    published = timm.get_pretrained_cfg(name)
    classes = (published and published.num_classes) or 0
    build = functools.partial(_build, timm, name, request)
    found = None
    if request.weights == DEFAULT_WEIGHTS:
        if not classes:
            raise ModelError(
                f"{request.name} is published without a classifier, so it has no classes to explain; "
                "give the weights of a fine-tuned one with `weights` FILE"
            )
        from_hub = bool(published and published.hf_hub_id)
        module, origin = _download(request, build, from_hub=from_hub), f"timm/{name}"
    elif request.weights_file is not None:
        tensors, origin = request.read_weights(), str(request.weights_file)
        module, classes = _build_around(request, build, tensors, classes or IMAGENET_CLASSES)
        found = tensors.labels
    else:
        classes = request.requested_classes or classes or IMAGENET_CLASSES
        module, origin = build(pretrained=False, num_classes=classes), NO_WEIGHTS
    spec = request.input_spec(_input_of(timm, module))
    return request.finish(module, spec, classes=classes, weights=origin, labels=_labels, found=found)


def _load_folder(timm: ModuleType, request: ModelRequest, folder: Path) -> Model:
    """Load what timm writes for the hub: a configuration and weights."""
    if request.weights_file is not None:
        raise InvalidArgumentError(f"{request.name} holds its own weights; leave out `weights`, or use none")
    path = folder / _CONFIG
    if not path.is_file():
        raise SourceNotFoundError(f"no {_CONFIG} in {str(folder)!r}; timm:FOLDER is a folder of timm")
    with map_errors(Exception, to=lambda error: ModelError(f"{str(path)!r} cannot be read ({error})")):
        config = json.loads(path.read_text("utf-8"))
        architecture = config["architecture"]
        published: dict[str, Any] = config.get("pretrained_cfg") or {}
        classes = request.num_classes or config.get("num_classes") or published.get("num_classes")
    if not timm.is_model(architecture):
        raise ModelError(f"{str(path)!r} names {architecture!r}, which this version of timm does not have")
    build = functools.partial(
        _build, timm, architecture, request, pretrained_cfg=published, **(config.get("model_args") or {})
    )
    module = build(pretrained=False, num_classes=classes or IMAGENET_CLASSES)
    origin, found = NO_WEIGHTS, labels_beside(path)
    if request.weights != NO_WEIGHTS:
        origin = str(folder)
        tensors = request.read_weights(folder)
        load_into(module, tensors, model=request.name, origin=origin)
    spec = request.input_spec(_input_of(timm, module))
    count: Any = module.num_classes
    return request.finish(module, spec, classes=count, weights=origin, labels=_labels, found=found)


def _import_timm() -> ModuleType:
    try:
        import timm
    except ImportError as error:
        raise ModelError('models named timm:NAME need timm: pip install "streamcam[timm]"') from error
    except Exception as error:  # where its version does not fit torch's, importing raises what it likes
        reason = str(error).partition("\n")[0]
        raise ModelError(
            f'timm cannot be imported ({reason}): pip install -U "streamcam[timm]" takes a version that fits'
        ) from error
    module: ModuleType = timm
    return module


def _known(timm: ModuleType, name: str) -> str:
    """Return timm's own name of a model, which may end in the tag of its weights."""
    own = name.removeprefix(PREFIX)
    check_name(name)
    tags = timm.list_pretrained(own.partition(".")[0] + ".*")
    if "." in own and own not in tags:
        raise unknown_name("weights", name, [PREFIX + tag for tag in tags])
    return own


def _build(timm: ModuleType, name: str, request: ModelRequest, **settings: Any) -> nn.Module:
    """Build a network; the shape of its input is part of a transformer and of no concern to others."""
    shape: dict[str, Any] = {}
    if request.input_size is not None:
        size = request.input_size
        shape["img_size"] = size if isinstance(size, int) else size[::-1]  # (height, width)
    if request.any_shape:
        shape["dynamic_img_size"] = True
    # What knows neither setting is built without; what knows one of them, with that.
    for known in (shape, *({key: value} for key, value in shape.items()), {}):
        try:
            module: nn.Module = timm.create_model(name, **settings, **known)
        except TypeError:
            if not known:
                raise
        else:
            break
    return module


def _build_around(
    request: ModelRequest, build: Callable[..., nn.Module], tensors: StateDict, classes: int
) -> tuple[nn.Module, int]:
    """Build a network with as many classes as weights were made for, and load them into it.

    Not as `build_around` does: timm's networks keep more than what is in their state.
    """
    module = build(pretrained=False, num_classes=classes)
    tensors = match_names(tensors, module.state_dict())
    found = classes_in(tensors, module.state_dict(), classes)
    if found != classes:
        module = build(pretrained=False, num_classes=found)
    load_into(module, tensors, model=request.name, origin=str(request.weights_file))
    return module, found


def _download(request: ModelRequest, build: Callable[..., nn.Module], *, from_hub: bool) -> nn.Module:
    obstacle = find_obstacle() if from_hub else None
    try:
        with ExitStack() as settings:
            settings.enter_context(quiet_downloads())
            if obstacle is not None:  # they may be on the disk
                settings.enter_context(without_asking())
            return build(pretrained=True)
    except (OSError, RuntimeError, ValueError) as error:  # huggingface_hub's errors are OSErrors
        reason = obstacle or str(error).partition("\n")[0]
        raise ModelError(
            f"the weights of {request.name} could not be downloaded ({reason}); give a file with `weights` "
            "FILE, point HF_HOME to a cache that has them, or use `weights='none'` for an untrained network"
        ) from error


def _input_of(timm: ModuleType, module: nn.Module) -> InputSpec:
    config = timm.data.resolve_model_data_config(module)
    height, width = config["input_size"][1:]
    resize = round(min(width, height) / config["crop_pct"])
    size = width if width == height else (width, height)
    return InputSpec(size, resize, tuple(config["mean"]), tuple(config["std"]))


def _labels(classes: int) -> tuple[str, ...]:
    """Return the labels of ImageNet, of one of its larger relatives, or numbers."""
    from timm.data.imagenet_info import ImageNetInfo, infer_imagenet_subset

    subset = infer_imagenet_subset({"num_classes": classes})
    if classes == IMAGENET_CLASSES or subset is None:
        return published_labels(classes)
    return tuple(ImageNetInfo(subset).label_descriptions())


def _infos() -> Iterator[ModelInfo]:
    timm = _import_timm()
    for name in timm.list_models():
        published = timm.get_pretrained_cfg(name)
        size = published.input_size[-1] if published is not None else None
        yield ModelInfo(PREFIX + name, input_size=size, weights=(published and published.tag) or "")


TIMM = ModelFamily(lambda name: name.startswith(PREFIX), _load, _infos, PREFIX)
