"""Loading a model by its name, or making one of a network at hand."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args

import torch
from torch import nn

from streamcam.errors import InvalidArgumentError, UnknownNameError, unknown_name
from streamcam.models.base import Model
from streamcam.models.classifier import Activation
from streamcam.models.compiled import start_evaluating, uncompiled
from streamcam.models.default_model import DEFAULT_MODEL
from streamcam.models.families import FAMILIES
from streamcam.models.families.base import ModelInfo
from streamcam.models.families.own import load_module
from streamcam.models.kinds import check_use
from streamcam.models.labels import imagenet_labels, read_labels
from streamcam.models.model_names import unknown_model
from streamcam.models.prompts import check_prompts, refuse_prompts
from streamcam.models.request import DEFAULT_WEIGHTS, NO_WEIGHTS, ModelRequest, as_size

IMAGENET = "imagenet"
"""Value of ``labels`` for the 1,000 names of ImageNet-1k."""

ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)


def load_model(
    name: str | nn.Module | Model = DEFAULT_MODEL,
    *,
    weights: str | Path = DEFAULT_WEIGHTS,
    labels: str | Path | Sequence[str] | None = None,
    input_size: int | Sequence[int] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    logits_key: str | int | None = None,
    activation: Activation | None = None,
    any_shape: bool = False,
    num_classes: int | None = None,
    trust_pickle: bool = False,
    confidence: float | None = None,
    iou: float | None = None,
    max_detections: int | None = None,
    prompts: str | Sequence[str] = (),
    templates: str | Sequence[str] = (),
    compares: bool = False,
    weights_key: str | None = None,
) -> Model:
    """Load a model by name, or make one of your network, in evaluation mode, on the CPU.

    Args:
        name: Your network itself, which is put onto the CPU, into float32 and into evaluation mode; give
            ``copy.deepcopy(network)`` to keep it as it is. Or a name: the default model's, that of a
            torchvision classifier, ``detection:NAME``, ``segmentation:NAME`` or ``video:NAME`` for one of its
            detectors, segmenters or classifiers of clips, ``timm:NAME``, ``clip:NAME`` or ``clip:FOLDER`` for
            networks that compare images with texts, ``hf:FOLDER`` for a folder of transformers,
            ``ultralytics:NAME`` for detectors of ultralytics, the path of a file that holds a whole network
            (``net.onnx``, ``net.xml``, ``net.pt2``, ``net.pt``), or ``package.module:factory`` for your own
            function that returns a `torch.nn.Module` or a `Model`.
        weights: ``"default"`` for the published weights (your own network as it is), ``"none"`` for
            an untrained network, the same every time, the name of other published weights, as
            ``"IMAGENET1K_V1"``, or the path of a ``.safetensors`` or PyTorch file, or of a folder of Hugging
            Face's libraries.
        labels: Class names, a file of them, or ``"imagenet"``; if None, those in the file of weights or in
            the ``config.json`` beside it, or the published ones.
        input_size: Side of the square that the network takes, or (width, height), in pixels; this and what
            follows stand in for what a network was published with.
        mean: Mean of each channel, on a scale of 0 to 1: three for RGB, one for gray.
        std: Standard deviation of each channel, likewise.
        logits_key: Where the logits stand in what the network returns, if that is a dict, tuple or list.
        activation: What makes probabilities of logits; ``"none"`` for a network that returns probabilities,
            ``"value"`` for a regressor. By default ``"softmax"``; for a single output ``"sigmoid"`` if there
            are two labels, and otherwise ``"value"``.
        any_shape: Whether transformers that can be built for one shape of image or for any are to take any,
            as ``fit='full'`` needs it: timm's then enlarge their table of positions. Others do not change.
        num_classes: Number of classes of an untrained network, or of a factory, which is called with it; that
            of a file of weights is read from it.
        trust_pickle: Whether reading a file may run code that is in it, as that of a whole network
            does. Only for files from people you trust.
        confidence: Of detectors: the least score of an object, 0 to 1.
        iou: Of detectors: boxes of one class that overlap by more than this share of their union are one
            object, 0 to 1.
        max_detections: Of detectors: the most objects in an image.
        prompts: Of networks that compare images with texts: the texts, which are the classes.
        templates: Of the same: sentences with ``{}`` in the place of a prompt, as ``"a photo of a {}"``; the
            prompt's features are averaged over them.
        compares: Of the same: whether images are compared with a picture instead, the explainer's
            `reference`. Changes nothing of other networks.
        weights_key: Where the weights are in their file, if it has several: an entry of what a training
            script saved, as ``"model"`` beside ``"model_ema"``, or what the names of one network begin with,
            as ``"teacher"``. By default averaged ones are preferred.

    Raises:
        UnknownNameError: if there is no such model.
        SourceNotFoundError: if a file is missing.
        InvalidArgumentError: if the input asked for cannot be.
        ModelError: if weights or labels cannot be read or downloaded, or do not fit, or a factory fails.
    """
    if num_classes is not None and num_classes < 1:
        raise InvalidArgumentError(f"`num_classes` is at least 1, not {num_classes}")
    if activation is not None and activation not in ACTIVATIONS:
        raise unknown_name("activation", activation, ACTIVATIONS)
    if not isinstance(name, str | nn.Module | Model):
        raise InvalidArgumentError(
            f"a model is a name, a torch.nn.Module or a streamcam Model, not a {type(name).__name__}"
        )
    request = ModelRequest(
        name if isinstance(name, str) else _own_name(name),
        weights,
        _labels(labels),
        as_size(input_size),
        None if mean is None else tuple(mean),
        None if std is None else tuple(std),
        logits_key,
        activation,
        any_shape,
        num_classes,
        trust_pickle,
        _detection(confidence, iou, max_detections),
        (prompts,) if isinstance(prompts, str) else tuple(prompts),
        (templates,) if isinstance(templates, str) else tuple(templates),
        compares,
        weights_key,
    )
    if isinstance(name, str):
        model = _load_by_name(request)
    else:
        _check_texts(request, takes_prompts=False)
        model = load_module(name, request)
    model = model.in_float32()
    if weights_key is not None and not request.read:
        raise InvalidArgumentError(
            f"`weights_key` says where weights are in a file, and {request.name} reads none; "
            "give one with `weights`"
        )
    for parameter in request.detection:
        check_use(parameter, model.kind, request.name)
    start_evaluating(model.module)
    return model


def _own_name(network: nn.Module | Model) -> str:
    return network.name if isinstance(network, Model) else type(uncompiled(network)).__name__


def _load_by_name(request: ModelRequest) -> Model:
    family = next((family for family in FAMILIES if family.accepts(request.name)), None)
    if family is None:
        raise unknown_model(request.name)
    _check_texts(request, takes_prompts=family.takes_prompts)
    with _repeatable() if request.weights == NO_WEIGHTS else contextlib.nullcontext():
        try:
            return family.load(request)
        except UnknownNameError as error:
            raise _with_nearest_family(error, request) from error


def _detection(confidence: float | None, iou: float | None, most: int | None) -> dict[str, float]:
    """Check the settings of detectors and return those that were given."""
    for parameter, value in (("confidence", confidence), ("iou", iou)):
        if value is not None and not 0 <= value <= 1:
            raise InvalidArgumentError(f"`{parameter}` is a number from 0 to 1, not {value:g}")
    if most is not None and most < 1:
        raise InvalidArgumentError(f"`max_detections` counts objects from 1, not {most}")
    given = {"confidence": confidence, "iou": iou, "max_detections": most}
    return {parameter: value for parameter, value in given.items() if value is not None}


def _check_texts(request: ModelRequest, *, takes_prompts: bool) -> None:
    if not takes_prompts:
        refuse_prompts(request)
    check_prompts(request.prompts)
    for template in request.templates:
        if "{}" not in template:
            raise InvalidArgumentError(f"template {template!r} has no {{}} for the prompt; check `templates`")


@contextlib.contextmanager
def _repeatable() -> Iterator[None]:
    """Draw the same random weights every time, so that the converted network is found in the cache."""
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(0)
        yield


def _labels(labels: str | Path | Sequence[str] | None) -> tuple[str, ...] | None:
    if labels is None:
        return None
    if labels == IMAGENET:
        return imagenet_labels()
    names = read_labels(Path(labels)) if isinstance(labels, str | Path) else tuple(labels)
    if not names:
        raise InvalidArgumentError("`labels` names no class; give one label for each class")
    return names


def _with_nearest_family(error: UnknownNameError, request: ModelRequest) -> UnknownNameError:
    """Say which family a name may be meant for, as ``detection:`` where it begins with ``detect:``."""
    prefix, _, rest = request.name.partition(":")
    prefixes = [family.prefix for family in FAMILIES if family.prefix]
    nearest = difflib.get_close_matches(f"{prefix}:", prefixes, n=1, cutoff=0.6)
    if not nearest or nearest[0] == f"{prefix}:":
        return error
    return UnknownNameError(f"{error}; or is {nearest[0]}{rest} meant?")


def known_models(text: str = "") -> list[ModelInfo]:
    """List what `load_model` takes by name, the default first.

    Args:
        text: Only names that contain it, without regard to case. A family of many names is listed only where
            its prefix is in it, as ``"timm:vit"``.

    Raises:
        ModelError: if that family is not installed.
    """
    pattern = text.strip().casefold()
    families = [family for family in FAMILIES if not family.prefix or pattern.startswith(family.prefix)]
    return [info for family in families for info in family.infos() if pattern in info.name.casefold()]
