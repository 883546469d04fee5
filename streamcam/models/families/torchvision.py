"""Torchvision's classifiers, by their names there."""

from __future__ import annotations

import contextlib
import functools
import io
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from streamcam.errors import InvalidArgumentError, ModelError, map_errors
from streamcam.models.base import InputSpec, Model
from streamcam.models.families.base import ModelFamily, ModelInfo
from streamcam.models.published_names import torchvision_names
from streamcam.models.request import DEFAULT_WEIGHTS, NO_WEIGHTS, ModelRequest, build_around
from streamcam.models.state_dicts import StateDict

if TYPE_CHECKING:
    from torchvision.models import WeightsEnum

# DenseNet's published files have dots where module names cannot.
_OLD_DENSENET_NAME = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])\.")
# Google's two networks were trained with classifiers half way, which say nothing about the real one.
_AUXILIARY = re.compile(r"(^|\.)(aux1|aux2|AuxLogits)\.")


def _load(request: ModelRequest) -> Model:
    published = published_variant(request.name, request.weights)
    spec = request.input_spec(published_input(published))
    build = functools.partial(_build, request.name, spec.sides)
    if request.weights == NO_WEIGHTS:
        classes = request.untrained_classes
        return request.finish(build(classes), spec, classes=classes, weights=NO_WEIGHTS)
    tensors, origin = read_tensors(request, request.name, published)
    module, classes = build_around(build, _present_names(tensors), model=request.name, origin=origin)
    return request.finish(module, spec, classes=classes, weights=origin, found=tensors.labels)


def read_tensors(request: ModelRequest, name: str, published: WeightsEnum) -> tuple[StateDict, str]:
    """Read the weights that were asked for: published ones, or those of a file.

    Args:
        request: What was asked for, other than an untrained network.
        name: The network's name in torchvision.
        published: Its published weights, from `published_variant`.

    Returns:
        The tensors, and where they came from, for reports.

    Raises:
        ModelError: if they cannot be downloaded or read.
    """
    if takes_published(request, name):
        return download(request.name, published), f"{type(published).__name__}.{published.name}"
    return request.read_weights(), str(request.weights_file)


def takes_published(request: ModelRequest, name: str) -> bool:
    """Return whether the weights that were asked for are published ones, and no file."""
    return request.weights_file is None or _is_variant(name, request.weights)


def _is_variant(name: str, weights: str | Path) -> bool:
    """Return whether torchvision has weights of this name for a network."""
    from torchvision.models import get_model_weights

    return str(weights) in get_model_weights(name).__members__


def published_variant(name: str, weights: str | Path) -> WeightsEnum:
    """Return a network's published weights of a name, or the best ones."""
    from torchvision.models import get_model_weights

    variants: Any = get_model_weights(name)
    return variants[str(weights)] if _is_variant(name, weights) else variants.DEFAULT


def published_input(published: WeightsEnum) -> InputSpec:
    """Return the input that published weights were evaluated with, whole where nothing is cut off."""
    preset: Any = published.transforms()
    side = preset.resize_size[0]
    crop = getattr(preset, "crop_size", (side,))[0]
    return InputSpec(crop, side, tuple(preset.mean), tuple(preset.std))


def _build(name: str, size: tuple[int, int], classes: int) -> nn.Module:
    """Build a network, without weights of its own and without the classifiers that only training reads."""
    from torchvision.models import get_model

    settings: dict[str, Any] = {"num_classes": classes}
    if name in ("googlenet", "inception_v3"):
        # They rescale their input themselves, if asked to; their own initialization takes seconds.
        settings |= {"transform_input": True, "aux_logits": False, "init_weights": False}
    elif name.startswith("vit_"):
        if size[0] != size[1]:
            raise InvalidArgumentError(
                f"{name} takes squares, not {size[0]}x{size[1]}; give one number for `input_size`"
            )
        settings["image_size"] = size[0]
    module: nn.Module = get_model(name, weights=None, **settings)
    return module


def _present_names(tensors: StateDict) -> StateDict:
    """Give the tensors of published files the names that the modules have by now."""
    present = StateDict(
        (_OLD_DENSENET_NAME.sub(r"\1\2.", name), value)
        for name, value in tensors.items()
        if not _AUXILIARY.search(name)
    )
    present._metadata, present.network = tensors._metadata, tensors.network
    return present


def download(name: str, published: WeightsEnum) -> StateDict:
    """Read the published weights from TORCH_HOME, where they are downloaded to when they are not there."""

    def failure(error: Exception) -> ModelError:
        return ModelError(
            f"the weights of {name} could not be downloaded ({error}); give a file with `weights` PATH, put "
            f"{checkpoint_path(published).name} into $TORCH_HOME/hub/checkpoints, or use `weights='none'` "
            "for an untrained network"
        )

    # URLError is an OSError; a wrong hash is a RuntimeError. torch.hub announces its download on stdout.
    with (
        map_errors(OSError, RuntimeError, ValueError, EOFError, to=failure),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        loaded = published.get_state_dict(
            progress=sys.stderr.isatty(), check_hash=True, weights_only=True, map_location="cpu"
        )
    tensors = StateDict(loaded)
    tensors._metadata = getattr(loaded, "_metadata", None)
    return tensors


def checkpoint_path(published: WeightsEnum) -> Path:
    """Return where published weights are kept on disk, whether they are there or not."""
    file_name: str = published.url.rpartition("/")[2]
    return Path(torch.hub.get_dir()) / "checkpoints" / file_name


def list_published(
    names: Iterable[str], *, prefix: str = "", input_of: Callable[[WeightsEnum], InputSpec] | None = None
) -> Iterator[ModelInfo]:
    """Describe torchvision's networks with their best weights.

    Args:
        names: Their names there.
        prefix: What stands before their names here.
        input_of: Returns the input that published weights take; None where images have any size.
    """
    for name in names:
        published = published_variant(name, DEFAULT_WEIGHTS)
        accuracy = None
        with contextlib.suppress(KeyError):
            accuracy = published.meta["_metrics"]["ImageNet-1K"]["acc@1"]
        yield ModelInfo(
            prefix + name,
            published.meta.get("num_params"),
            accuracy,
            None if input_of is None else input_of(published).sides[0],
            published.name,
            checkpoint_path(published),
        )


TORCHVISION = ModelFamily(
    lambda name: name in torchvision_names(),
    _load,
    lambda: list_published(torchvision_names(), input_of=published_input),
)
