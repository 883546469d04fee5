"""Two models that are no classifiers of images, small enough to work their answers out by hand."""

from __future__ import annotations

import dataclasses

import torch
from torch import nn

from streamcam.explanations import Instance
from streamcam.models import InputSpec, Model, Output

COLORS = ("red", "green", "blue")
SIDE = 32
CELLS = 4
CLIP_LENGTH = 8

_PLAIN = InputSpec(SIDE, SIDE, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def _copying(convolution: nn.Conv2d | nn.Conv3d) -> nn.Module:
    """Let the first three channels of a 1x1 convolution copy its input, and the others be zero."""
    with torch.no_grad():
        convolution.weight.copy_(torch.eye(6, 3).view_as(convolution.weight))
    return convolution


class Cells(nn.Module):
    """The mean color of each of 4x4 cells: (N, 3, 32, 32) → a dict with the cells, (N, 3, 4, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(CELLS)
        self.features = _copying(nn.Conv2d(3, 6, 1, bias=False))

    def forward(self, batch: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"cells": self.features(self.pool(batch))[:, :3]}


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class CellDetector(Model):
    """Detects cells of one color: a class's score is that of its best cell, a box every cell above a half."""

    def read(self, answer: object) -> Output:
        assert isinstance(answer, dict)
        cells = answer["cells"]
        return Output(cells.amax(dim=(2, 3)), [_boxes(image) for image in cells.detach()], answer)

    def probabilities(self, scores: torch.Tensor) -> torch.Tensor:
        return scores.clamp(0, 1)


def _boxes(cells: torch.Tensor) -> list[Instance]:
    return [
        Instance(
            index,
            COLORS[index],
            float(cells[index, row, column]),
            (column / CELLS, row / CELLS, (column + 1) / CELLS, (row + 1) / CELLS),
        )
        for index, row, column in (cells > 0.5).nonzero().tolist()
    ]


def cell_detector() -> Model:
    return CellDetector("cells", Cells(), COLORS, _PLAIN, "none")


class MovingCells(nn.Module):
    """The mean color of 4x4 cells over two frames, and of all of them: (N, 3, 8, 32, 32) → (N, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool3d((CLIP_LENGTH // 2, CELLS, CELLS))
        self.features = _copying(nn.Conv3d(3, 6, 1, bias=False))

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        cells: torch.Tensor = self.features(self.pool(clips))
        return cells.mean(dim=(2, 3, 4))[:, :3]


class ClipColors(Model):
    """Scores the color of a clip of eight frames."""

    @property
    def clip_length(self) -> int:
        return CLIP_LENGTH

    @property
    def clip_fps(self) -> float:
        return 25.0

    def read(self, answer: object) -> Output:
        assert isinstance(answer, torch.Tensor)
        return Output(answer, raw=answer)


def clip_colors() -> Model:
    return ClipColors("clips", MovingCells(), COLORS, _PLAIN, "none")
