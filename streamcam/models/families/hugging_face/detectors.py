"""Detectors of transformers: DETR and what was made of it, each of whose queries may find an object."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch

from streamcam.models.base import Model
from streamcam.models.detector import Candidates, Detector, softmax_log_odds
from streamcam.models.families.hugging_face.folder import Folder
from streamcam.models.refusals import refuse_answer

_LEVELS = ("model.decoder_input_proj", "model.input_proj", "model.backbone.projector.scale_layers")
"""Lists of layers, one for each resolution that is read: of RT-DETR and D-FINE, Deformable DETR, LW-DETR."""

_ONE_LEVEL = "model.input_projection"
"""The layer that leads from the backbone to the transformer in detectors of one resolution, as DETR."""


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
    parts = [name for name, _ in module.named_modules()]
    return QueryDetector(
        folder.request.name,
        module,
        folder.labels_of(module),
        folder.input_spec(),
        folder.origin,
        levels=tuple(name for name in parts if name.rpartition(".")[0] in _LEVELS),
        layer=_ONE_LEVEL if _ONE_LEVEL in parts else "auto",  # a plain transformer's tokens, as of YOLOS
        **folder.request.detection,
    )
