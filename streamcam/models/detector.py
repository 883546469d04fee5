"""Detectors: networks that answer with boxes, each with a score for every class."""

from __future__ import annotations

import abc
import dataclasses
import functools
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import nn

from streamcam.explanations import Instance
from streamcam.models.base import Model, Output, Separate, SeparateScores

CONFIDENCE = 0.5
IOU = 0.5
MAX_DETECTIONS = 20

_CONTINUES = 0.6
"""Share of the confidence at which an object that is tracked already is still reported: one whose score
wavers about the confidence would otherwise appear and disappear."""

_MOST_COMPARED = 2000
"""Number of the best candidates that suppression looks at."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """The boxes that a detector considers in one image, before suppression."""

    boxes: torch.Tensor
    """Left, top, right and bottom edge as fractions of the input, float32 (R, 4), or (R, classes, 4) where
    each class has a box; detached."""
    scores: torch.Tensor
    """Confidence in each class, 0 to 1, float32 (R, classes), detached."""
    log_odds: Callable[[torch.Tensor], torch.Tensor]
    """Candidates, int64 (K,) → log(s / (1 - s)) of their scores s, float32 (K, classes), differentiable."""
    masks: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None
    """(boxes (K, 4), their classes (K,)) → the part of each box that its object fills, bool (K, h, w)."""
    separate: Separate | None = None
    """Computes `log_odds` of candidates from features of each one's own, where the network can do that."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Detector(Model):
    """A network that finds objects.

    A class's score is that of its best candidate, and so is its probability. Scores are log-odds: their
    gradients point where those of probabilities do and do not fade for an object that is certain.

    A kind of detector defines `candidates`.
    """

    confidence: float = CONFIDENCE
    """Least score of an object, 0 to 1."""
    iou: float = IOU
    """Boxes of one class that overlap by more than this share of their union are one object; 1 keeps all."""
    max_detections: int = MAX_DETECTIONS
    """Most objects in an image."""

    @property
    def finds_objects(self) -> bool:
        """As in `Model`."""
        return True

    @property
    def certain_score(self) -> float:
        """As in `Model`: the confidence."""
        return self.confidence

    @abc.abstractmethod
    def candidates(self, answer: object) -> Sequence[Candidates]:
        """Return the candidates of each image.

        Args:
            answer: What `module` returned.

        Raises:
            ModelError: if the answer is not what this kind of detector returns.
        """

    def read(self, answer: object) -> Output:
        """Suppress candidates that overlap better ones, and report the rest.

        Raises:
            ModelError: if the answer is not what this kind of detector returns.
        """
        scores, instances, instance_scores, separate = [], [], [], []
        for image in self.candidates(answer):
            with torch.no_grad():
                rows, classes = self._select(image)
                best = image.scores.argmax(dim=0)
                needed, places = torch.unique(torch.cat([rows, best]), return_inverse=True)
            # Only these: the head of a network with a thousand candidates is as large as its backbone.
            odds = image.log_odds(needed)
            of_class = torch.arange(len(best), device=best.device)
            scores.append(odds[places[len(rows) :], of_class])
            instance_scores.append(odds[places[: len(rows)]])
            if image.separate is not None:
                separate.append(functools.partial(_separate_objects, image.separate, rows.tolist()))
            with torch.no_grad():
                instances.append(self._report(image, rows, classes))
        return Output(
            torch.stack(scores),
            instances,
            answer,
            instance_scores=instance_scores,
            separate_scores=separate if len(separate) == len(scores) else None,
        )

    def probabilities(self, scores: torch.Tensor) -> torch.Tensor:
        """Convert log-odds (N, classes) to probabilities (N, classes), which do not exclude each other."""
        return scores.sigmoid()

    def identity(self) -> dict[str, object]:
        """Return the settings that its answers depend on."""
        return {
            "confidence": self.confidence,
            "iou": self.iou,
            "max detections": self.max_detections,
        }

    def _select(self, image: Candidates) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the row and the class of each object, int64 (K,) each, the best first."""
        from torchvision.ops import batched_nms  # late: loading torchvision takes a second

        rows, classes = (image.scores >= _CONTINUES * self.confidence).nonzero(as_tuple=True)
        scores = image.scores[rows, classes]
        kept = scores.argsort(descending=True, stable=True)[:_MOST_COMPARED]
        rows, classes, scores = rows[kept], classes[kept], scores[kept]
        boxes = _boxes_of(image, rows, classes)
        has_area = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
        rows, classes, scores, boxes = rows[has_area], classes[has_area], scores[has_area], boxes[has_area]
        kept = batched_nms(boxes.float(), scores.float(), classes, self.iou)[: self.max_detections]
        return rows[kept], classes[kept]

    def _report(self, image: Candidates, rows: torch.Tensor, classes: torch.Tensor) -> list[Instance]:
        boxes = _boxes_of(image, rows, classes)
        masks = None if image.masks is None or not len(rows) else image.masks(boxes, classes).cpu().numpy()
        scores = image.scores[rows, classes].tolist()
        return [
            Instance(
                class_index,
                self.labels[class_index],
                score,
                (box[0], box[1], box[2], box[3]),
                None if masks is None else masks[number],
            )
            for number, (class_index, score, box) in enumerate(
                zip(classes.tolist(), scores, boxes.tolist(), strict=True)
            )
        ]


class ArrangedDetector(Detector):
    """A detector whose module was arranged here: it has ``levels``, and answers with candidates."""

    @property
    def pyramid(self) -> tuple[str, ...]:
        """As in `Model`: what stands before the head."""
        levels = self.module.get_submodule("levels")
        assert isinstance(levels, nn.ModuleList)
        return tuple(f"levels.{number}" for number in range(len(levels)))

    def candidates(self, answer: object) -> Sequence[Candidates]:
        """Return the candidates of each image, which is what the network returns."""
        assert isinstance(answer, Sequence)
        return answer


def _boxes_of(image: Candidates, rows: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Return the boxes of candidates for their classes, float32 (K, 4), cut at the image's edges."""
    boxes = image.boxes[rows] if image.boxes.ndim == 2 else image.boxes[rows, classes]
    return boxes.float().clamp(0, 1)


def _separate_objects(
    separate: Separate, candidates: Sequence[int], objects: Sequence[int], passes: int
) -> Sequence[SeparateScores] | None:
    """Compute scores of objects, given the candidate that each object is: see `Separate`."""
    return separate([candidates[index] for index in objects], passes)


def softmax_log_odds(logits: torch.Tensor) -> torch.Tensor:
    """Convert logits of exclusive classes to log-odds: each logit less the logsumexp of all others.

    That keeps its digits where a probability is 1 but for rounding.

    Args:
        logits: float32 (K, classes).

    Returns:
        float32 (K, classes).
    """
    logits = logits.float()
    own = torch.eye(logits.shape[1], dtype=torch.bool, device=logits.device)
    others = logits.unsqueeze(1).masked_fill(own, -torch.inf)
    return logits - others.logsumexp(dim=2)


def log_odds_of_root(logits: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Convert two logits to the log-odds of the geometric mean of their sigmoids.

    Args:
        logits: float32 (K, classes).
        others: float32, of a shape that goes with it.

    Returns:
        float32 (K, classes).
    """
    logarithm = (F.logsigmoid(logits.float()) + F.logsigmoid(others.float())) / 2
    # The bound keeps what is 1 but for rounding finite.
    return logarithm - torch.log((-torch.expm1(logarithm)).clamp(min=1e-12))
