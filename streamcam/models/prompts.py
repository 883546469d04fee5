"""Networks that compare images with texts of the user: each text is a class."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Sequence
from typing import Self

import torch
import torch.nn.functional as F
from torch import nn

from streamcam.errors import InvalidArgumentError, ModelError
from streamcam.models.base import InputSpec, Model, Output
from streamcam.models.classifier import Classifier
from streamcam.models.comparison import SIMILARITY_LABELS, EmbeddingModel
from streamcam.models.kinds import check_use, refuse_missing_texts
from streamcam.models.refused_answers import refuse_answer
from streamcam.models.request import ModelRequest

TextEncoder = Callable[[Sequence[str]], torch.Tensor]
"""Converts texts to their features, (texts, features), of any length."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class PromptModel(Model):
    """Classes are texts: how similar an image is to each, and of several which one is the most similar.

    Scores are cosine similarities, -1 to 1, and shown as they are. Of several texts the probability is the
    softmax of the similarities times the network's own scale, as in CLIP's paper,
    https://arxiv.org/abs/2103.00020. A network that learned a bias, as SigLIP
    (https://arxiv.org/abs/2303.15343), judges each text by itself: by the sigmoid of similarity times scale
    plus bias.
    """

    scale: float = 100.0
    """Factor of similarities: the exponential of the network's learned logit scale."""
    bias: float | None = None
    """Number to add to them before the sigmoid; None for the softmax."""
    texts: torch.Tensor = dataclasses.field(kw_only=True)
    """Features of the texts, of length 1, float32 (texts, features), on the CPU."""
    encode: TextEncoder = dataclasses.field(kw_only=True)
    """The network's tower of texts."""
    templates: tuple[str, ...] = dataclasses.field(default=(), kw_only=True)
    """Sentences with ``{}`` for a prompt, over which its features are averaged; the prompt alone if empty."""

    @property
    def answers_values(self) -> bool:
        """As in `Model`: of a single text a softmax says nothing."""
        return len(self.labels) == 1 and self.bias is None

    @property
    def shows_scores(self) -> bool:
        """As in `Model`."""
        return True

    @property
    def takes_prompts(self) -> bool:
        """As in `Model`."""
        return True

    def read(self, answer: object) -> Output:
        """Compare what the network returned, the features of images, (N, features), with each text.

        Raises:
            ModelError: if it returned something else.
        """
        if not isinstance(answer, torch.Tensor) or answer.ndim != 2:
            raise refuse_answer(self.name, answer, answer)
        return Output(
            F.normalize(answer, dim=-1) @ _on(self.texts, answer.device, answer.dtype).T, raw=answer
        )

    def probabilities(self, scores: torch.Tensor) -> torch.Tensor:
        """Convert similarities (N, texts) to probabilities, unless they are shown alone."""
        if self.bias is not None:
            return (self.scale * scores + self.bias).sigmoid()
        return scores if self.answers_values else (self.scale * scores).softmax(dim=1)

    def identity(self) -> dict[str, object]:
        """Return the settings that its answers depend on."""
        texts = hashlib.sha256(self.texts.numpy().tobytes()).hexdigest()[:16]
        return {"scale": self.scale, "bias": self.bias, "texts": texts}

    def with_prompts(self, prompts: Sequence[str]) -> Self:
        """Return the same model, which compares images with other texts; the image tower is shared.

        Args:
            prompts: At least one text.

        Raises:
            InvalidArgumentError: if a text is empty or there twice.
        """
        check_prompts(prompts)
        texts = encode_prompts(self.encode, prompts, self.templates)
        return self._changed(texts=texts, labels=tuple(prompts))


@functools.lru_cache(maxsize=16)
def _on(texts: torch.Tensor, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """Return features of texts on a device; they stay there, as a copy for every batch would wait for it."""
    with torch.inference_mode(False):
        return texts.to(device, dtype)


def encode_prompts(encode: TextEncoder, prompts: Sequence[str], templates: Sequence[str]) -> torch.Tensor:
    """Return the features of each prompt, the mean over all templates, float32 (prompts, features).

    Args:
        encode: The network's tower of texts.
        prompts: The texts.
        templates: Sentences with ``{}`` for a prompt; the prompt alone if empty.
    """
    features = []
    for prompt in prompts:
        texts = [template.replace("{}", prompt) for template in templates or ("{}",)]
        with torch.inference_mode(False), torch.no_grad():
            encoded = F.normalize(encode(texts).float(), dim=-1)
        features.append(F.normalize(encoded.mean(dim=0), dim=-1))
    return torch.stack(features)


def check_prompts(prompts: Sequence[str]) -> None:
    """Check texts to compare images with.

    Raises:
        InvalidArgumentError: if one is empty or there twice.
    """
    if any(not prompt.strip() for prompt in prompts):
        raise InvalidArgumentError("a prompt is empty; check `prompts`")
    if len(set(prompts)) < len(prompts):
        raise InvalidArgumentError("a prompt is there twice; check `prompts`")


def refuse_prompts(request: ModelRequest) -> None:
    """Check that a request for another kind of network has neither prompts nor templates.

    Raises:
        InvalidArgumentError: if it has.
    """
    for parameter, texts in (("prompts", request.prompts), ("templates", request.templates)):
        if texts:
            check_use(parameter, "classifier", request.name)


def check_request(request: ModelRequest) -> None:
    """Check that a request has prompts or compares with a picture, and as many labels if it has any.

    Raises:
        InvalidArgumentError: if it has neither prompts nor a picture, or both.
        ModelError: if the labels are more or fewer.
    """
    if request.compares:
        if request.prompts or request.labels is not None:
            raise InvalidArgumentError(
                f"{request.name} compares images with texts or with a `reference`, not with both; "
                "leave out the one, or `prompts` and `labels`"
            )
        return
    if not request.prompts:
        raise refuse_missing_texts(request.name)
    if request.labels is not None and len(request.labels) != len(request.prompts):
        raise ModelError(
            f"{len(request.labels)} labels were given for {len(request.prompts)} prompts; "
            "give one label for each prompt, or none"
        )


def build_prompt_model(
    request: ModelRequest,
    visual: nn.Module,
    encode: TextEncoder,
    published: InputSpec,
    origin: str,
    *,
    scale: float,
    bias: float | None,
) -> PromptModel | EmbeddingModel:
    """Make a model of the two towers of a network.

    Args:
        request: Whose prompts are the classes.
        visual: The image tower: (N, 3, H, W) → (N, features).
        encode: The tower of texts.
        published: The image tower's input, which has one size.
        origin: Origin of the weights.
        scale: See `PromptModel`.
        bias: See `PromptModel`.

    Raises:
        InvalidArgumentError: if another size is requested.
    """
    spec = request.input_spec(published)
    if spec.sides != published.sides:
        own, asked = ("x".join(map(str, sides)) for sides in (published.sides, spec.sides))
        raise InvalidArgumentError(
            f"{request.name} takes only {own} images, so `input_size` cannot be {asked}"
        )
    if request.compares:
        embeds = Classifier(request.name, visual, (), spec, origin)
        return EmbeddingModel(
            request.name, visual, SIMILARITY_LABELS, spec, origin, embeds, notes=request.notes()
        )
    texts = encode_prompts(encode, request.prompts, request.templates)
    return PromptModel(
        request.name,
        visual,
        request.labels or request.prompts,
        spec,
        origin,
        notes=request.notes(),
        scale=scale,
        bias=bias,
        texts=texts,
        encode=encode,
        templates=request.templates,
    )
