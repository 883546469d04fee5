"""Torchvision's detectors, arranged so that objects can be explained one by one.

Each network takes a batch that is resized and normalized already, and returns `Candidates` of each image.
Between backbone and head stands one `Level` for every resolution: what comes before needs no gradients.
Suppression and limits are left to `streamcam.models.Detector`.
"""

from __future__ import annotations

import abc
import functools
import itertools
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torchvision.models.detection import FCOS, FasterRCNN, RetinaNet
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.ssd import SSD

from streamcam.models.base import SeparateScores
from streamcam.models.crops import crops
from streamcam.models.detector import Candidates, log_odds_of_root, softmax_log_odds


class Level(nn.Module):
    """The features that a head reads at one resolution, as they are: a place for hooks."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the features."""
        return features


class DetectionNetwork(nn.Module, abc.ABC):
    """A backbone with features of several resolutions, and a head: (N, 3, H, W) → `Candidates` of each."""

    first_class = 1
    """The class that comes first in `Candidates`: before it is the background."""

    def __init__(self, detector: Any, resolutions: int) -> None:
        """Take over the parts of a network of torchvision.

        Args:
            detector: The network.
            resolutions: Number of resolutions that its head reads.
        """
        super().__init__()
        self.backbone = detector.backbone
        self.levels = nn.ModuleList(Level() for _ in range(resolutions))

    @property
    @abc.abstractmethod
    def classes(self) -> int:
        """Number of classes, those before the first included."""

    @abc.abstractmethod
    def forward(self, images: torch.Tensor) -> Sequence[Candidates]:
        """Find the candidates of each image."""

    def _features(self, images: torch.Tensor) -> OrderedDict[str, torch.Tensor]:
        features = self.backbone(images)
        return OrderedDict([("0", features)]) if isinstance(features, torch.Tensor) else features


class TwoStageNetwork(DetectionNetwork):
    """Faster R-CNN and what was made of it: a class of its own for each of a thousand proposed regions."""

    def __init__(self, detector: FasterRCNN) -> None:
        """Take over the parts of a Faster, Mask or Keypoint R-CNN."""
        # The coarsest resolution is for proposals only, where there are several.
        super().__init__(detector, max(1, len(detector.rpn.anchor_generator.sizes) - 1))
        self.rpn = detector.rpn
        self.roi_heads = detector.roi_heads

    @property
    def classes(self) -> int:
        """As in `DetectionNetwork`."""
        count: int = self.roi_heads.box_predictor.cls_score.out_features
        return count

    def forward(self, images: torch.Tensor) -> Sequence[Candidates]:
        """Find the candidates of each image."""
        sizes = [(images.shape[-2], images.shape[-1])] * len(images)
        features = self._features(images)
        names = [name for name in self.roi_heads.box_roi_pool.featmap_names if name in features]
        for name, level in zip(names, self.levels, strict=True):
            features[name] = level(features[name])
        # Gradients are taken again for the few regions that are asked for; proposals have none.
        with torch.no_grad():
            proposals, _ = self.rpn(ImageList(images, sizes), features)
            logits, deltas = self._classify(features, proposals, sizes)
            boxes = self.roi_heads.box_coder.decode(deltas, proposals).float()
            boxes = boxes / boxes.new_tensor([sizes[0][1], sizes[0][0]] * 2)
            scores = logits.float().softmax(dim=1)[:, 1:]
        counts = [len(regions) for regions in proposals]
        return [
            self._candidates(features, row, sizes[0], *parts)
            for row, parts in enumerate(
                zip(proposals, _split(boxes[:, 1:], counts), _split(scores, counts), strict=True)
            )
        ]

    def _candidates(
        self,
        features: OrderedDict[str, torch.Tensor],
        row: int,
        size: tuple[int, int],
        proposals: torch.Tensor,
        boxes: torch.Tensor,
        scores: torch.Tensor,
    ) -> Candidates:
        own = OrderedDict((name, values[row : row + 1]) for name, values in features.items())

        def log_odds(rows: torch.Tensor) -> torch.Tensor:
            logits = self._classify(own, [proposals[rows]], [size])[0]
            return softmax_log_odds(logits)[:, 1:]

        def masks(boxes: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
            pixels = boxes * boxes.new_tensor([size[1], size[0]] * 2)
            heads = self.roi_heads
            logits = heads.mask_predictor(heads.mask_head(heads.mask_roi_pool(own, [pixels], [size])))
            inside: torch.Tensor = logits[torch.arange(len(classes)), classes + 1] > 0
            return inside

        def separate(rows: Sequence[int], passes: int) -> Sequence[SeparateScores] | None:
            if passes == 1:
                return None
            regions = [self._pool(own, [proposals[row : row + 1]], [size]) for row in rows]
            logits = self._classify_regions(torch.cat(regions))[0]
            return [SeparateScores(range(len(rows)), regions, softmax_log_odds(logits)[:, 1:])]

        has_masks: bool = self.roi_heads.has_mask()
        return Candidates(boxes, scores, log_odds, masks if has_masks else None, separate)

    def _classify(
        self,
        features: OrderedDict[str, torch.Tensor],
        regions: list[torch.Tensor],
        sizes: list[tuple[int, int]],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return self._classify_regions(self._pool(features, regions, sizes))

    def _pool(
        self,
        features: OrderedDict[str, torch.Tensor],
        regions: list[torch.Tensor],
        sizes: list[tuple[int, int]],
    ) -> torch.Tensor:
        pooled: torch.Tensor = self.roi_heads.box_roi_pool(features, regions, sizes)
        return pooled

    def _classify_regions(self, pooled: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits, deltas = self.roi_heads.box_predictor(self.roi_heads.box_head(pooled))
        return logits, deltas


def _split(values: torch.Tensor, counts: Sequence[int]) -> list[torch.Tensor]:
    """Cut rows into parts of these lengths."""
    ends = list(itertools.accumulate(counts))
    return [values[end - count : end] for count, end in zip(counts, ends, strict=True)]


class OneStageNetwork(DetectionNetwork):
    """A network that classifies a few boxes around every place of every resolution."""

    def __init__(self, detector: Any, resolutions: int) -> None:
        """Take over the parts of a network of torchvision."""
        super().__init__(detector, resolutions)
        self.head = detector.head
        self.anchor_generator = detector.anchor_generator
        self._box_coder = detector.box_coder

    @property
    def classes(self) -> int:
        """As in `DetectionNetwork`."""
        count: int = self.head.classification_head.num_classes
        return count

    def forward(self, images: torch.Tensor) -> Sequence[Candidates]:
        """Find the candidates of each image."""
        height, width = images.shape[-2:]
        features = [
            level(values) for level, values in zip(self.levels, self._features(images).values(), strict=True)
        ]
        logits = [self._classify(number, values) for number, values in enumerate(features)]
        with torch.no_grad():
            anchors = self.anchor_generator(ImageList(images, [(height, width)] * len(images)), features)
            deltas = self._regress(features, logits)
            scale = images.new_tensor([width, height, width, height])
            boxes = [self._decode(*pair) / scale for pair in zip(deltas, anchors, strict=True)]
            scores = [self._scores([level[row] for level in logits]) for row in range(len(images))]
        heads = [functools.partial(self._classify, number) for number in range(len(features))]
        counts = [level.shape[1] for level in logits]
        return [
            Candidates(
                boxes[row],
                scores[row],
                Gather([level[row] for level in logits], self._log_odds),
                separate=crops(
                    [level[row] for level in features],
                    heads,
                    [self._classifier(number) for number in range(len(features))],
                    counts,
                    self._log_odds,
                ),
            )
            for row in range(len(images))
        ]

    def _decode(self, deltas: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
        """Return the boxes of one image in pixels, float32 (R, 4)."""
        boxes: torch.Tensor = self._box_coder.decode_single(deltas, anchors)
        return boxes

    def _scores(self, levels: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return confidences of one image, float32 (R, classes)."""
        return torch.cat([self._log_odds(values).sigmoid() for values in levels])

    def _classifier(self, number: int) -> nn.Module:  # noqa: ARG002 - for SSD
        """Return the layers that `_classify` calls at one resolution."""
        classifier: nn.Module = self.head.classification_head
        return classifier

    @abc.abstractmethod
    def _classify(self, number: int, features: torch.Tensor) -> torch.Tensor:
        """Return what confidences at one resolution are made of, (N, R, …)."""

    def _regress(
        self,
        features: list[torch.Tensor],
        classified: Sequence[torch.Tensor],  # noqa: ARG002 - for FCOS
    ) -> torch.Tensor:
        """Return the boxes of all resolutions relative to their anchors, (N, R, 4)."""
        deltas: torch.Tensor = self.head.regression_head(features)
        return deltas

    @abc.abstractmethod
    def _log_odds(self, values: torch.Tensor) -> torch.Tensor:
        """Convert a part of what `_classify` returns, (K, …), to log-odds, float32 (K, classes)."""


class Gather:
    """Picks candidates from several resolutions, so that gradients pass only through theirs."""

    def __init__(self, levels: Sequence[torch.Tensor], log_odds: Any) -> None:
        self._levels = levels
        self._log_odds = log_odds

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        picked: torch.Tensor = self._log_odds(_Pick.apply(rows, *self._levels))
        return picked


class _Pick(torch.autograd.Function):
    """Picks rows of several tensors, as if these were one.

    To autograd, what is not differentiated has a gradient of zeros, and goes all the way back as such; from
    here on it has none, so that the head is not differentiated where no object is.
    """

    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, *levels: torch.Tensor) -> torch.Tensor:
        ends = list(itertools.accumulate(map(len, levels)))
        ctx.lengths = [len(values) for values in levels]
        ctx.picked, ctx.places, parts = [], [], []
        for values, end in zip(levels, ends, strict=True):
            begin = end - len(values)
            inside = ((rows >= begin) & (rows < end)).nonzero().squeeze(1)
            ctx.picked.append(rows[inside] - begin)
            ctx.places.append(inside)
            parts.append(values[ctx.picked[-1]])
        return torch.cat(parts)[torch.cat(ctx.places).argsort()]

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        gradients: list[torch.Tensor | None] = [None]
        for length, picked, places in zip(ctx.lengths, ctx.picked, ctx.places, strict=True):
            part = gradient[places]
            whole = part.new_zeros(length, *part.shape[1:])
            gradients.append(whole.index_add(0, picked, part) if part.any() else None)
        return tuple(gradients)


class RetinaNetwork(OneStageNetwork):
    """RetinaNet: a sigmoid for every class."""

    first_class = 0

    def __init__(self, detector: RetinaNet) -> None:
        """Take over the parts of a RetinaNet."""
        super().__init__(detector, len(detector.anchor_generator.sizes))

    def _classify(self, number: int, features: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        logits: torch.Tensor = self.head.classification_head([features])
        return logits

    def _log_odds(self, values: torch.Tensor) -> torch.Tensor:
        return values[..., self.first_class :].float()


class FcosNetwork(OneStageNetwork):
    """FCOS: the geometric mean of a class's sigmoid and of how central the place is."""

    first_class = 0

    def __init__(self, detector: FCOS) -> None:
        """Take over the parts of an FCOS."""
        super().__init__(detector, len(detector.anchor_generator.sizes))

    def _classify(self, number: int, features: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        # One part of the head tells how central the place is, which is part of the score, and the box.
        deltas, centered = self.head.regression_head([features])
        return torch.cat([self.head.classification_head([features]), centered, deltas.detach()], dim=2)

    def _regress(
        self,
        features: list[torch.Tensor],  # noqa: ARG002
        classified: Sequence[torch.Tensor],
    ) -> torch.Tensor:
        return torch.cat([values[..., -4:] for values in classified], dim=1)

    def _decode(self, deltas: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
        boxes: torch.Tensor = self._box_coder.decode(deltas, anchors)
        return boxes

    def _log_odds(self, values: torch.Tensor) -> torch.Tensor:
        return log_odds_of_root(values[..., self.first_class : -5], values[..., -5:-4])


class SsdNetwork(OneStageNetwork):
    """SSD: a softmax over the classes and the background, for images of one size."""

    def __init__(self, detector: SSD) -> None:
        """Take over the parts of an SSD."""
        super().__init__(detector, len(detector.anchor_generator.aspect_ratios))
        width, height = detector.transform.fixed_size
        self._size = (height, width)

    @property
    def classes(self) -> int:
        """As in `DetectionNetwork`."""
        count: int = self.head.classification_head.num_columns
        return count

    def forward(self, images: torch.Tensor) -> Sequence[Candidates]:
        """Find the candidates of each image.

        Raises:
            ValueError: if the images do not have the network's size.
        """
        if tuple(images.shape[-2:]) != self._size:
            raise ValueError(f"images have {self._size[1]}x{self._size[0]} pixels here")
        return super().forward(images)

    def _classifier(self, number: int) -> nn.Module:
        classifier: nn.Module = self.head.classification_head.module_list[number]
        return classifier

    def _classify(self, number: int, features: torch.Tensor) -> torch.Tensor:
        logits = self._classifier(number)(features)
        columns = self.head.classification_head.num_columns
        count, _, rows, width = logits.shape
        by_place: torch.Tensor = logits.view(count, -1, columns, rows, width).permute(0, 3, 4, 1, 2)
        return by_place.reshape(count, -1, columns)

    def _scores(self, levels: Sequence[torch.Tensor]) -> torch.Tensor:
        # Not from log-odds, which take the square of the classes in memory.
        return torch.cat([values.float().softmax(dim=1)[:, 1:] for values in levels])

    def _log_odds(self, values: torch.Tensor) -> torch.Tensor:
        return softmax_log_odds(values)[:, 1:]


def arrange(detector: nn.Module) -> DetectionNetwork:
    """Arrange a detector of torchvision, whose parts are then shared.

    Args:
        detector: A Faster, Mask or Keypoint R-CNN, RetinaNet, FCOS or SSD.
    """
    if isinstance(detector, FasterRCNN):
        return TwoStageNetwork(detector)
    if isinstance(detector, RetinaNet):
        return RetinaNetwork(detector)
    if isinstance(detector, FCOS):
        return FcosNetwork(detector)
    assert isinstance(detector, SSD)
    return SsdNetwork(detector)
