"""Ultralytics' detectors, arranged so that objects can be explained one by one."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from ultralytics.utils import tal

from streamcam.models.crops import crops
from streamcam.models.detection_networks import Gather, Level
from streamcam.models.detector import Candidates


class _Features(nn.Module):
    """Stands where the head was, and returns what it would read."""

    def __init__(self, head: Any) -> None:
        super().__init__()
        # Where the network takes a layer's input from, and which number it has.
        self.f, self.i = head.f, head.i

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        return features


class YoloNetwork(nn.Module):
    """Backbone and neck, and a head: (N, 3, H, W) → `Candidates` of each image.

    Between neck and head stands one `Level` for every resolution: what comes before needs no gradients.
    """

    def __init__(self, network: Any) -> None:
        """Take over the parts of a network.

        Args:
            network: A DetectionModel of ultralytics, in float32.
        """
        super().__init__()
        head = network.model[-1]
        network.model[-1] = _Features(head)
        self.body = network
        self.levels = nn.ModuleList(Level() for _ in range(head.nl))
        self.head = head
        self.head.xyxy = True  # boxes by their corners

    def forward(self, images: torch.Tensor) -> Sequence[Candidates]:
        """Find the candidates of each image."""
        features = [level(values) for level, values in zip(self.levels, self.body(images), strict=True)]
        head = self.head  # whose parts for classes and boxes are named cv3 and cv2
        classifiers = [functools.partial(_classify, part) for part in head.cv3]
        logits = [classify(values) for classify, values in zip(classifiers, features, strict=True)]
        with torch.no_grad():
            deltas = [part(values).flatten(2) for part, values in zip(head.cv2, features, strict=True)]
            anchors, strides = tal.make_anchors(features, head.stride)  # type: ignore[no-untyped-call]
            decoded = head.decode_bboxes(head.dfl(torch.cat(deltas, dim=2)), anchors.T.unsqueeze(0))
            height, width = images.shape[-2:]
            scale = images.new_tensor([width, height, width, height])
            boxes = decoded.mT * strides / scale
            scores = torch.cat(logits, dim=1).float().sigmoid()
        counts = [level.shape[1] for level in logits]
        return [
            Candidates(
                boxes[row],
                scores[row],
                Gather([level[row] for level in logits], torch.Tensor.float),
                separate=crops(
                    [level[row] for level in features],
                    classifiers,
                    list(head.cv3),
                    counts,
                    torch.Tensor.float,
                ),
            )
            for row in range(len(images))
        ]


def _classify(part: nn.Module, features: torch.Tensor) -> torch.Tensor:
    """Run one resolution's part of the head: (N, C, h, w) → (N, h * w, classes)."""
    planes: torch.Tensor = part(features)
    return planes.flatten(2).mT
