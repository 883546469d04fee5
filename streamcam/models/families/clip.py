"""Networks that compare images with texts, as ``clip:NAME`` or ``clip:FOLDER``, with ``streamcam[clip]``."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from streamcam.errors import ModelError, SourceNotFoundError, map_errors
from streamcam.models.base import InputSpec, Model
from streamcam.models.families.base import ModelFamily, ModelInfo
from streamcam.models.hub import find_obstacle, quiet_downloads
from streamcam.models.model_names import check_name
from streamcam.models.prompts import build_prompt_model, check_request
from streamcam.models.refusals import in_words
from streamcam.models.request import DEFAULT_WEIGHTS, NO_WEIGHTS, ModelRequest
from streamcam.models.state_dicts import load_into

PREFIX = "clip:"

_CONFIG = "open_clip_config.json"
_IN_FOLDER = "local-dir:"
"""Prefix of folders in open_clip."""


def _load(request: ModelRequest) -> Model:
    check_name(request.name)
    check_request(request)
    open_clip = _import_open_clip()
    name = _name_for_open_clip(open_clip, request)
    network, origin = _build(open_clip, name, request)
    network.eval()
    tokenize = _tokenizer(open_clip, name, request)

    def encode(texts: Sequence[str]) -> torch.Tensor:
        features: torch.Tensor = network.encode_text(tokenize(list(texts)))
        return features

    visual = network.visual
    if getattr(visual, "output_tokens", False):  # of CoCa, whose captions are made of them
        visual.output_tokens = False
    side = visual.image_size if isinstance(visual.image_size, int) else visual.image_size[0]
    published = InputSpec(side, side, tuple(visual.image_mean), tuple(visual.image_std))
    scale, bias = float(network.logit_scale.detach().exp()), getattr(network, "logit_bias", None)
    return build_prompt_model(
        request,
        visual,
        encode,
        published,
        origin,
        scale=scale,
        bias=None if bias is None else float(bias.detach()),
    )


def _import_open_clip() -> ModuleType:
    try:
        import open_clip
    except ImportError as error:
        raise ModelError('models named clip:NAME need open_clip: pip install "streamcam[clip]"') from error
    module: ModuleType = open_clip
    return module


def _name_for_open_clip(open_clip: ModuleType, request: ModelRequest) -> str:
    """Return what open_clip calls a network, or a folder that it wrote."""
    name = request.name.removeprefix(PREFIX)
    if name in open_clip.list_models() or not Path(name).is_dir():
        return name
    if not Path(name, _CONFIG).is_file():
        raise SourceNotFoundError(
            f"no {_CONFIG} in {name!r}; clip:FOLDER is a folder as open_clip writes it, and one of "
            "transformers is hf:FOLDER"
        )
    return _IN_FOLDER + name


def _build(open_clip: ModuleType, name: str, request: ModelRequest) -> tuple[Any, str]:
    """Build a network; return it with the origin of its weights."""
    tags = open_clip.list_pretrained_tags_by_model(name)
    tag = str(request.weights) if str(request.weights) in tags else None
    in_folder = name.startswith(_IN_FOLDER)
    if request.weights == DEFAULT_WEIGHTS and not in_folder:
        if not tags:
            raise ModelError(f"{request.name} has no published weights; give a file with `weights`")
        tag = tags[0]
    untrained = {"load_weights": False, "pretrained_image": False, "pretrained_text": False}
    if tag is None:
        with map_errors(Exception, to=lambda error: _failure(request, error)), _quiet():
            network: nn.Module = open_clip.create_model(name, **untrained)
        if request.weights == NO_WEIGHTS:
            return network, NO_WEIGHTS
        path = request.weights_file or Path(name.removeprefix(_IN_FOLDER))
        tensors = request.read_weights(path)
        load_into(network, tensors, model=request.name, origin=str(path))
        return network, str(path)

    def failure(error: Exception) -> ModelError:
        reason = find_obstacle() or in_words(error)
        return ModelError(
            f"the weights {tag} of {request.name} could not be downloaded ({reason}); "
            "give a file with `weights`, or use `weights='none'` for an untrained network"
        )

    with map_errors(Exception, to=failure), quiet_downloads(), _quiet():
        return open_clip.create_model(name, pretrained=tag), f"open_clip/{tag}"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep open_clip from logging on the root logger, which would also begin to print what others log."""
    root, handler = logging.getLogger(), logging.NullHandler()

    def refuse(_record: logging.LogRecord) -> bool:
        return False

    root.addHandler(handler)
    root.addFilter(refuse)
    try:
        yield
    finally:
        root.removeFilter(refuse)
        root.removeHandler(handler)


def _tokenizer(open_clip: ModuleType, name: str, request: ModelRequest) -> Any:
    with map_errors(Exception, to=lambda error: _failure(request, error)), quiet_downloads(), _quiet():
        return open_clip.get_tokenizer(name)


def _failure(request: ModelRequest, error: Exception) -> ModelError:
    """Say that a part of a network is missing: whatever open_clip raises."""
    return ModelError(f"{request.name} cannot be built ({in_words(error)})")


def _infos() -> Iterator[ModelInfo]:
    open_clip = _import_open_clip()
    for name in open_clip.list_models():
        tags = open_clip.list_pretrained_tags_by_model(name)
        yield ModelInfo(PREFIX + name, weights=tags[0] if tags else "")


CLIP = ModelFamily(lambda name: name.startswith(PREFIX), _load, _infos, PREFIX, takes_prompts=True)
