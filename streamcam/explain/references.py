"""The reference picture that frames are compared with."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch

from streamcam.errors import InvalidArgumentError
from streamcam.explain.hooks import evaluating
from streamcam.explain.preparation import PreparedModel
from streamcam.models import Classifier, Model
from streamcam.models.comparison import EmbeddingModel, PairModel, embedding_model
from streamcam.models.kinds import check_use
from streamcam.models.preprocessing import Preprocessor
from streamcam.sources.given_images import frame_of

if TYPE_CHECKING:
    from streamcam.sources.given_images import ImageLike


def as_comparison(model: Model, *, has_reference: bool) -> Model:
    """Return a model that compares, if there is a reference; else the model as it is.

    Args:
        model: The model that is explained.
        has_reference: Whether there is a picture to compare with.

    Raises:
        InvalidArgumentError: if the model cannot compare, or needs a reference that there is not.
    """
    compares = isinstance(model, PairModel | EmbeddingModel)
    if not has_reference:
        if isinstance(model, PairModel) and model.reference is None:
            raise InvalidArgumentError(
                f"{model.name} takes two images; give the second one with `reference`, or return a "
                "torch.nn.Module around it that takes one"
            )
        if isinstance(model, EmbeddingModel) and model.reference is None:
            raise InvalidArgumentError(f"{model.name} compares images with a picture; give `reference`")
        return model
    if compares:
        return model
    check_use("reference", model.kind, model.name)
    if not isinstance(model, Classifier) or type(model).prepare is not Model.prepare:
        raise InvalidArgumentError(
            f"`reference` is for networks that classify or embed images, and {model.name} makes its input "
            "or reads its answer in a way of its own; leave it out"
        )
    with evaluating(model.module):
        return embedding_model(model)


def with_reference(prepared: PreparedModel, picture: ImageLike, device: torch.device) -> PreparedModel:
    """Show a model that compares the picture to compare with, fitted as frames are.

    Args:
        prepared: The model, on its device.
        picture: The reference.
        device: Where the network is.

    Raises:
        InvalidArgumentError: if it is no image.
        SourceError: if its file cannot be read.
    """
    model, probe = prepared.model, prepared.probe
    assert isinstance(model, PairModel | EmbeddingModel)
    preprocessor = Preprocessor(model, probe.fit, device, probe.memory_format)
    inputs = preprocessor.prepare(preprocessor.pixels([frame_of(picture)]))
    with evaluating(model.module):
        return dataclasses.replace(prepared, model=model.with_reference(inputs))
