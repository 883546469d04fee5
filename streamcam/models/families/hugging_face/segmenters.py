"""Segmenters of transformers: those with a class at each place, and those that find masks."""

from __future__ import annotations

import torch

from streamcam.models.base import Model
from streamcam.models.families.hugging_face.folder import Folder
from streamcam.models.segmenter import Segmenter


class QuerySegmenter(Segmenter):
    """A network that finds masks and says what each shows, as MaskFormer and Mask2Former.

    As in its paper (https://arxiv.org/abs/2107.06278) a class has at a place the sum, over all masks, of the
    mask there times the probability of the class for that mask.
    """

    def places(self, answer: object) -> torch.Tensor:
        """Return how much of each class there is at each place, (N, classes, h, w), 0 or more."""
        kinds = answer.class_queries_logits.softmax(dim=-1)[..., :-1]  # type: ignore[attr-defined]
        masks = answer.masks_queries_logits.sigmoid()  # type: ignore[attr-defined]
        return torch.einsum("nqc,nqhw->nchw", kinds, masks)


def load_segmenter(folder: Folder) -> Model:
    """Load a network that answers with one logit for each class at every place, or that finds masks."""
    if folder.architecture.endswith("ForSemanticSegmentation"):
        return _load_places(folder)
    return _load_queries(folder)


def _load_places(folder: Folder) -> Model:
    module = folder.build("AutoModelForSemanticSegmentation")
    layer = "auto"
    if module.config.model_type == "segformer":  # type: ignore[union-attr]
        # Where its head has put all stages together; the last one alone holds little of the evidence.
        layer = "decode_head.batch_norm"
    return Segmenter(
        folder.request.name, module, folder.labels_of(module), folder.input_spec(), folder.origin, layer=layer
    )


def _load_queries(folder: Folder) -> Model:
    module = folder.build("AutoModelForUniversalSegmentation")
    layer = "model.pixel_level_module.decoder.mask_projection"
    return QuerySegmenter(
        folder.request.name, module, folder.labels_of(module), folder.input_spec(), folder.origin, layer=layer
    )
