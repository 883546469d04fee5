"""Networks that compare images with texts, as ``clip:NAME``, with open_clip and ``streamcam[clip]``."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from streamcam.errors import InvalidArgumentError, ModelError, map_errors, unknown_name
from streamcam.models.base import InputSpec, Model, Output
from streamcam.models.families.base import ModelFamily, ModelInfo
from streamcam.models.hub import find_obstacle, quiet_downloads
from streamcam.models.refusals import in_words
from streamcam.models.request import DEFAULT_WEIGHTS, NO_WEIGHTS, ModelRequest
from streamcam.models.state_dicts import load_into

PREFIX = "clip:"


class PromptNetwork(nn.Module):
    """An image tower and the features of texts: (N, 3, H, W) → cosine similarities, (N, texts)."""

    texts: torch.Tensor
    """Features of the texts, of length 1, float32 (texts, features)."""

    def __init__(self, visual: nn.Module, texts: torch.Tensor) -> None:
        """Join both.

        Args:
            visual: The image tower: (N, 3, H, W) → (N, features).
            texts: See the attribute.
        """
        super().__init__()
        self.visual = visual
        self.register_buffer("texts", texts)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Compare each image with each text."""
        return self.compare(self.visual(images))

    def compare(self, features: torch.Tensor) -> torch.Tensor:
        """Compare the features of images, (N, features), with each text."""
        return F.normalize(features, dim=-1) @ self.texts.T


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class PromptModel(Model):
    """Classes are texts: how similar an image is to each, and of several which one is the most similar.

    Scores are cosine similarities, -1 to 1, and shown as they are where there is one text. Of several texts
    the probability is the softmax of the similarities times the network's own scale, as in its paper,
    https://arxiv.org/abs/2103.00020.
    """

    scale: float = 100.0
    """Factor of similarities in the softmax: the exponential of the network's learned logit scale."""

    @property
    def answers_values(self) -> bool:
        """As in `Model`: a single text has no probability."""
        return len(self.labels) == 1

    def read(self, answer: object) -> Output:
        """Return the similarities, which are what the network returns."""
        assert isinstance(answer, torch.Tensor)
        return Output(answer, raw=answer)

    def probabilities(self, scores: torch.Tensor) -> torch.Tensor:
        """Convert similarities (N, texts) to probabilities, if there are several texts."""
        return scores if self.answers_values else (self.scale * scores).softmax(dim=1)

    def identity(self) -> dict[str, object]:
        """Return the settings that its answers depend on."""
        return {"scale": self.scale}


def _load(request: ModelRequest) -> Model:
    open_clip = _import_open_clip()
    name = request.name.removeprefix(PREFIX)
    if name not in open_clip.list_models():
        known = [PREFIX + one for one in open_clip.list_models()]
        raise unknown_name("model", request.name, known, listed_by="streamcam models clip:")
    if not request.prompts:
        raise InvalidArgumentError(
            f"{request.name} compares images with texts; say with which ones by `prompts`"
        )
    if request.labels is not None and len(request.labels) != len(request.prompts):
        raise ModelError(
            f"{len(request.labels)} labels were given for {len(request.prompts)} prompts; "
            "give one label for each prompt, or none"
        )
    network, origin = _build(open_clip, name, request)
    network.eval()
    texts = _encode(request, network, _tokenizer(open_clip, name, request))
    visual = network.visual
    side = visual.image_size if isinstance(visual.image_size, int) else visual.image_size[0]
    published = InputSpec(side, side, tuple(visual.image_mean), tuple(visual.image_std))
    spec = request.input_spec(published)
    if spec.size != side:
        raise InvalidArgumentError(
            f"{request.name} takes only {side}x{side} images, so `input_size` cannot be {spec.size}"
        )
    labels = request.labels or request.prompts
    scale = float(network.logit_scale.detach().exp())
    module = PromptNetwork(visual, texts)
    return PromptModel(request.name, module, labels, spec, origin, notes=request.notes(), scale=scale)


def _import_open_clip() -> ModuleType:
    try:
        import open_clip
    except ImportError as error:
        raise ModelError('models named clip:NAME need open_clip: pip install "streamcam[clip]"') from error
    module: ModuleType = open_clip
    return module


def _build(open_clip: ModuleType, name: str, request: ModelRequest) -> tuple[Any, str]:
    """Build a network; return it with the origin of its weights."""
    tags = open_clip.list_pretrained_tags_by_model(name)
    tag = str(request.weights) if str(request.weights) in tags else None
    if request.weights == DEFAULT_WEIGHTS:
        if not tags:
            raise ModelError(f"{request.name} has no published weights; give a file with `weights`")
        tag = tags[0]
    untrained = {"load_weights": False, "pretrained_image": False, "pretrained_text": False}
    if tag is None:
        with map_errors(Exception, to=lambda error: _failure(request, error)), _quiet():
            network: nn.Module = open_clip.create_model(name, **untrained)
        if request.weights == NO_WEIGHTS:
            return network, NO_WEIGHTS
        load_into(network, request.read_weights(), model=request.name, origin=str(request.weights_file))
        return network, str(request.weights_file)

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
    with map_errors(Exception, to=lambda error: _failure(request, error)), quiet_downloads():
        return open_clip.get_tokenizer(name)


def _failure(request: ModelRequest, error: Exception) -> ModelError:
    """Say that a part of a network is missing: whatever open_clip raises."""
    return ModelError(f"{request.name} cannot be built ({in_words(error)})")


def _encode(request: ModelRequest, network: Any, tokenize: Any) -> torch.Tensor:
    """Return the features of each prompt, the mean over all templates, float32 (prompts, features)."""
    templates = request.templates or ("{}",)
    features = []
    for prompt in request.prompts:
        texts = [template.replace("{}", prompt) for template in templates]
        with torch.no_grad():
            encoded = F.normalize(network.encode_text(tokenize(texts)).float(), dim=-1)
        features.append(F.normalize(encoded.mean(dim=0), dim=-1))
    return torch.stack(features)


def _infos() -> Iterator[ModelInfo]:
    open_clip = _import_open_clip()
    for name in open_clip.list_models():
        tags = open_clip.list_pretrained_tags_by_model(name)
        yield ModelInfo(PREFIX + name, weights=tags[0] if tags else "")


CLIP = ModelFamily(lambda name: name.startswith(PREFIX), _load, _infos, PREFIX, takes_prompts=True)
