"""Crops of features around objects: a head of convolutions sees no more of a level than a few places.

Run on crops of just these places, one for each object, it gives the scores and gradients that it gives on
the whole level, in a fraction of the time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import torch
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from streamcam.models.base import SeparateScores


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Crops:
    """Scores of candidates that convolutions compute at the places of several levels, for one image."""

    levels: Sequence[torch.Tensor]
    """Features of each level, float32 (C, h, w)."""
    heads: Sequence[Callable[[torch.Tensor], torch.Tensor]]
    """Of each level (N, C, h, w) → (N, candidates, …): place by place in rows, a few candidates at each."""
    reaches: Sequence[int]
    """How many places away each head sees: what `reach` returned."""
    counts: Sequence[int]
    """Number of candidates of each level."""
    log_odds: Callable[[torch.Tensor], torch.Tensor]
    """A head's answer for K candidates (K, …) → float32 (K, classes)."""

    def __call__(self, candidates: Sequence[int], passes: int) -> Sequence[SeparateScores] | None:
        """Compute scores on crops: see `Separate`."""
        ends = torch.tensor(self.counts).cumsum(0).tolist()
        begins = [end - count for count, end in zip(self.counts, ends, strict=True)]
        members = [
            [number for number, candidate in enumerate(candidates) if begin <= candidate < end]
            for begin, end in zip(begins, ends, strict=True)
        ]
        # Each crop takes a forward and a backward pass; without crops, every pass goes through whole levels.
        cropped = whole = 0
        for number, inside in enumerate(members):
            height, width = self._window(number)
            cropped += 2 * height * width * len(inside)
            whole += self.levels[number][0].numel() * min(passes, len(inside))
        if cropped >= whole:
            return None
        return [
            self._of_level(number, inside, [candidates[each] - begins[number] for each in inside])
            for number, inside in enumerate(members)
            if inside
        ]

    def _window(self, number: int) -> tuple[int, int]:
        """Return the (height, width) of a level's crops."""
        side = 2 * self.reaches[number] + 1
        _, height, width = self.levels[number].shape
        return min(side, height), min(side, width)

    def _of_level(self, number: int, members: Sequence[int], candidates: Sequence[int]) -> SeparateScores:
        """Compute scores of one level's candidates, counted from its first."""
        features, reach = self.levels[number], self.reaches[number]
        height, width = self._window(number)
        _, rows, columns = features.shape
        at_each_place = self.counts[number] // (rows * columns)
        crops, chosen = [], []
        for candidate in candidates:
            place, which = divmod(candidate, at_each_place)
            y, x = divmod(place, columns)
            # At an edge of the level the crop ends there too, and is padded as the level is.
            top = min(max(y - reach, 0), rows - height)
            left = min(max(x - reach, 0), columns - width)
            crops.append(features[:, top : top + height, left : left + width])
            chosen.append(((y - top) * width + x - left) * at_each_place + which)
        answers = self.heads[number](torch.stack(crops))
        return SeparateScores(members, crops, self.log_odds(answers[range(len(crops)), chosen]))


def crops(
    levels: Sequence[torch.Tensor],
    heads: Sequence[Callable[[torch.Tensor], torch.Tensor]],
    classifiers: Sequence[nn.Module],
    counts: Sequence[int],
    log_odds: Callable[[torch.Tensor], torch.Tensor],
) -> Crops | None:
    """Return what computes scores on crops of one image's features; None where a head sees whole levels.

    Args:
        levels: As in `Crops`.
        heads: As in `Crops`.
        classifiers: The layers of each head, which follow one another.
        counts: As in `Crops`.
        log_odds: As in `Crops`.
    """
    reaches = [reach(classifier) for classifier in classifiers]
    known = [each for each in reaches if each is not None]
    return Crops(levels, heads, known, counts, log_odds) if len(known) == len(reaches) else None


_POINTWISE = (
    nn.Identity,
    nn.Dropout,
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.SiLU,
    nn.GELU,
    nn.Sigmoid,
    nn.Hardswish,
    nn.BatchNorm2d,
    FrozenBatchNorm2d,
)
"""Layers that treat every place by itself in evaluation mode."""


def reach(head: nn.Module) -> int | None:
    """Return how many places away a head sees, whose layers follow one another.

    Args:
        head: A module that keeps the resolution.

    Returns:
        Number of places in each direction; None if it has other layers than convolutions and pointwise ones,
        such as normalization over all places.
    """
    places = 0
    for part in head.modules():
        if type(part) is nn.Conv2d:
            sides = [(side - 1) * step for side, step in zip(part.kernel_size, part.dilation, strict=True)]
            padded = [2 * side for side in part.padding] if isinstance(part.padding, tuple) else None
            if part.stride != (1, 1) or part.padding_mode != "zeros" or padded != sides:
                return None
            places += max(sides) // 2
        elif next(part.children(), None) is None and not isinstance(part, _POINTWISE):
            return None
    return places
