"""Networks that compare an image with a reference picture: by what they say of both, or as siamese pairs."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
from typing import Self

import torch
import torch.nn.functional as F
from torch import nn

from streamcam.errors import ModelError
from streamcam.models.base import Model, Output
from streamcam.models.check_images import check_images
from streamcam.models.classifier import Classifier
from streamcam.models.labels import numbered_labels

SIMILARITY_LABELS = ("similarity",)
"""The labels of a network that compares images by the cosine similarity of their embeddings."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class EmbeddingModel(Model):
    """How similar an image is to a reference: the cosine similarity of their embeddings, -1 to 1."""

    classifier: Classifier
    """Finds the embedding, (N, D), where logits are found."""
    reference: torch.Tensor | None = None
    """Embedding of the reference, (1, D); all numbers are the same until it is known."""

    @property
    def answers_values(self) -> bool:
        """As in `Model`: a similarity is no probability."""
        return True

    def embed(self, answer: object) -> torch.Tensor:
        """Return the embeddings in the network's answer, float32 (N, D).

        Raises:
            ModelError: if there are none.
        """
        embedding = self.classifier.find_logits(answer).float()
        if embedding.shape[1] < 2:
            raise ModelError(
                f"{self.name} returns one number for an image, by which images cannot be compared; "
                "return its features, or leave `reference` out"
            )
        return embedding

    def read(self, answer: object) -> Output:
        """Compare the embeddings with the reference's."""
        embedding = self.embed(answer)
        reference = embedding.new_ones(1, embedding.shape[1]) if self.reference is None else self.reference
        return Output(_similarity(embedding, reference), raw=answer)

    def probabilities(self, scores: torch.Tensor) -> torch.Tensor:
        """Return the similarities as they are."""
        return scores

    def identity(self) -> dict[str, object]:
        """Return the settings that its answers depend on."""
        return {"reference": _digest(self.reference)}

    def with_reference(self, inputs: torch.Tensor) -> Self:
        """Return the same model with a reference.

        Args:
            inputs: The reference, (1, C, H, W), as `prepare` makes it.
        """
        with torch.no_grad():
            return self._changed(reference=self.embed(self.module(self.input.as_taken(inputs))))


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class PairModel(Classifier):
    """A network of two images, the first of which is explained and the second the reference.

    It returns one number or logits for each pair, or the embeddings of both, whose cosine similarity then is
    the score.
    """

    reference: torch.Tensor | None = None
    """The reference, (1, C, H, W), as `prepare` makes it; gray until it is known."""

    def answer(self, inputs: torch.Tensor) -> object:
        """Run the network on images and the reference."""
        reference = torch.zeros_like(inputs[:1]) if self.reference is None else self.reference
        if reference.shape[2:] != inputs.shape[2:]:
            reference = F.interpolate(reference, inputs.shape[2:], mode="bilinear", antialias=True)
        pair = (inputs, reference.expand_as(inputs))
        answer: object = self.module(*(self.input.as_taken(images) for images in pair))
        return answer

    def find_logits(self, answer: object) -> torch.Tensor:
        """As in `Classifier`; of two embeddings the cosine similarity, (N, 1)."""
        embeddings = two_embeddings(answer) if self.logits_key is None else None
        if embeddings is None:
            return super().find_logits(answer)
        return _similarity(*embeddings)

    def identity(self) -> dict[str, object]:
        """Return the settings that its answers depend on."""
        return {**super().identity(), "reference": _digest(self.reference)}

    def with_reference(self, inputs: torch.Tensor) -> Self:
        """Return the same model with a reference, (1, C, H, W), as `prepare` makes it."""
        return self._changed(reference=inputs)


def _similarity(embeddings: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Return the cosine similarity of embeddings, (N, D), to a reference, (N or 1, D): (N, 1).

    Gradients take the embeddings' length as fixed, so that each place counts by its share of the scalar
    product (Zhu et al., https://arxiv.org/abs/1909.12977). The cosine itself has none where both are equal.
    """
    lengths = torch.linalg.vector_norm(embeddings.detach(), dim=1, keepdim=True).clamp(min=1e-12)
    cosines: torch.Tensor = (embeddings / lengths * F.normalize(reference, dim=1)).sum(dim=1, keepdim=True)
    return cosines


def two_embeddings(answer: object) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Return the embeddings, (N, D) each, in the answer of a siamese network; None if it returns no two."""
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        return None
    first, second = answer
    tensors = isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor)
    if not tensors or first.shape != second.shape or first.ndim != 2 or first.shape[1] < 2:
        return None
    return first.float(), second.float()


def embedding_model(classifier: Classifier) -> EmbeddingModel:
    """Make a model that compares images of a classifier.

    Of one that names its classes, what its last layer takes is the embedding; of others their answer.
    """
    module, notes = classifier.module, classifier.notes
    labels = classifier.labels
    if labels != numbered_labels(len(labels)):
        headless = _without_head(classifier)
        if headless is None:
            notes = (*notes, f"{classifier.name} does not end in a linear layer: its answers are compared")
        else:
            module = headless
    return EmbeddingModel(
        classifier.name,
        module,
        SIMILARITY_LABELS,
        classifier.input,
        classifier.weights,
        classifier,
        notes=notes,
    )


def _without_head(classifier: Classifier) -> nn.Module | None:
    """Return a network without its last linear layer, sharing its weights; None if it does not end in one."""
    linear: dict[str, torch.Tensor] = {}
    handles = [
        part.register_forward_hook(lambda _part, _inputs, output, name=name: linear.update({name: output}))
        for name, part in classifier.module.named_modules()
        if isinstance(part, nn.Linear)
    ]
    device = next(classifier.module.parameters()).device if handles else torch.device("cpu")
    width, height = classifier.input.sides
    pixels = torch.from_numpy(check_images(height, width, 1)).to(device).movedim(-1, 1)
    try:
        with torch.no_grad():
            inputs = classifier.input.as_taken(classifier.prepare(pixels))
            logits = classifier.find_logits(classifier.module(inputs))
    finally:
        for handle in handles:
            handle.remove()
    name = next((name for name, output in linear.items() if output is logits), None)
    if not name:
        return None
    shared = {id(value): value for value in (*classifier.module.parameters(), *classifier.module.buffers())}
    module = copy.deepcopy(classifier.module, shared)
    module.set_submodule(name, nn.Identity())
    return module


def _digest(values: torch.Tensor | None) -> str | None:
    return None if values is None else hashlib.sha256(values.cpu().numpy().tobytes()).hexdigest()[:16]
