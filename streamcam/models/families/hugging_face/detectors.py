"""Detectors of transformers: DETR and what was made of it, each of whose queries may find an object."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import nn

from streamcam.models.base import Model
from streamcam.models.detector import Candidates, Detector, softmax_log_odds
from streamcam.models.families.hugging_face.folder import Folder
from streamcam.models.refused_answers import refuse_answer

_LEVELS = ("model.decoder_input_proj", "model.input_proj", "model.backbone.projector.scale_layers")
"""Lists of layers, one for each resolution that is read: of RT-DETR and D-FINE, Deformable DETR, LW-DETR."""

_ENCODER = "model.encoder."
"""Beginning of the names in the encoder of detectors of one resolution, as DETR. On drawn shapes objects were
found again in its last tokens more often than in what it reads."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class QueryDetector(Detector):
    """A network that looks for objects with a fixed number of queries, as DETR and what was made of it.

    As in Carion et al. 2020, "End-to-End Object Detection with Transformers",
    https://arxiv.org/abs/2005.12872, each query answers with a box and with logits. Where these have one
    column more than there are classes, it means "no object" and a softmax is over all; else each class has a
    sigmoid.
    """

    iou: float = 1.0
    """As in `Detector`. These networks learn to find each object once, so that nothing is suppressed."""
    levels: tuple[str, ...] = ()
    """See `Model.pyramid`."""
    layer: str = "auto"
    """See `Model.auto_layer`."""

    @property
    def pyramid(self) -> tuple[str, ...]:
        """As in `Model`."""
        return self.levels

    @property
    def auto_layer(self) -> str:
        """As in `Model`."""
        return self.layer

    def candidates(self, answer: object) -> Sequence[Candidates]:
        """Return the queries of each image.

        Raises:
            ModelError: if the network returned no logits and boxes.
        """
        logits, boxes = getattr(answer, "logits", None), getattr(answer, "pred_boxes", None)
        if not isinstance(logits, torch.Tensor) or not isinstance(boxes, torch.Tensor):
            raise refuse_answer(self.name, answer, logits)
        center, size = boxes.detach().float().chunk(2, dim=2)
        corners = torch.cat([center - size / 2, center + size / 2], dim=2)
        return [self._of_image(*pair) for pair in zip(corners, logits, strict=True)]

    def _of_image(self, boxes: torch.Tensor, logits: torch.Tensor) -> Candidates:
        classes, values = len(self.labels), logits.detach().float()
        if logits.shape[1] == classes + 1:
            return Candidates(
                boxes,
                values.softmax(dim=1)[:, :classes],
                lambda rows: softmax_log_odds(logits[rows])[:, :classes],
            )
        return Candidates(boxes, values.sigmoid(), lambda rows: logits[rows].float())


def load_detector(folder: Folder) -> Model:
    """Load a network that answers with boxes and logits."""
    module = folder.build("AutoModelForObjectDetection")
    parts = dict(module.named_modules())
    levels = tuple(name for name in parts if name.rpartition(".")[0] in _LEVELS)
    norms = [name for name, part in parts.items() if isinstance(part, nn.LayerNorm)]
    # Of a plain transformer, as YOLOS, its own tokens.
    encoded = ["auto", *(name for name in norms if name.startswith(_ENCODER) and not levels)]
    return QueryDetector(
        folder.request.name,
        module,
        folder.labels_of(module),
        folder.input_spec(),
        folder.origin,
        levels=levels,
        layer=encoded[-1],
        **folder.request.detection,
    )
