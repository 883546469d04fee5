"""Segmenters: networks that answer with one logit for each class at every place."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from streamcam.errors import InvalidArgumentError
from streamcam.explanations import Instance
from streamcam.frames import Region
from streamcam.models.base import Model, Output
from streamcam.models.kinds import Kind
from streamcam.models.refused_answers import refuse_answer

_BACKGROUND = ("__background__", "background")
_LONGEST_SIDE = 256
"""Masks have at most this many cells along a side."""

_LEAST_SHARE = 0.001
"""A class that won a smaller share of the image has no outline."""


class Spot:
    """A point or a box of the frame, and where it lies in the network's input."""

    def __init__(self, edges: Sequence[float]) -> None:
        """Assume a frame that fills the input and is as large as the spot needs.

        Args:
            edges: x and y of a point, or left, top, right and bottom of a box, in pixels of the frame.
        """
        self.edges = tuple(edges)
        self._share = (0.0, 0.0, 1.0, 1.0)

    def __repr__(self) -> str:
        return f"Spot{self.edges}"

    def place(self, width: int, height: int, region: Region) -> None:
        """Find out where it lies in the input.

        Args:
            width: Width of the frame in pixels.
            height: Height of the frame in pixels.
            region: The part of the frame that the network sees.

        Raises:
            InvalidArgumentError: if it lies outside of that.
        """
        left, top, right, bottom = (*self.edges, *self.edges)[:4]
        across, down = region.right - region.left, region.bottom - region.top
        share = (
            (left / width - region.left) / across,
            (top / height - region.top) / down,
            (right / width - region.left) / across,
            (bottom / height - region.top) / down,
        )
        if not (max(share[:2]) < 1 and min(share[2:]) >= 0):
            raise InvalidArgumentError(
                f"`at` {','.join(f'{edge:g}' for edge in self.edges)} lies in a part of the frame that the "
                "network does not see; use another `fit`"
            )
        self._share = share

    def mean(self, places: torch.Tensor) -> torch.Tensor:
        """Average values over it.

        Args:
            places: (N, classes, h, w).

        Returns:
            (N, classes).
        """
        rows, columns = places.shape[2:]
        left, top, right, bottom = self._share
        return places[:, :, _cells(top, bottom, rows), _cells(left, right, columns)].mean(dim=(2, 3))


def _cells(begin: float, end: float, count: int) -> slice:
    """Return the cells that a stretch of 0 to 1 touches, at least one."""
    first = min(max(math.floor(begin * count), 0), count - 1)
    return slice(first, max(first + 1, min(math.ceil(end * count), count)))


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Segmenter(Model):
    """A network that returns logits (N, classes, h, w), or a dict or object with them as `out` or `logits`.

    A class's score is the sum of its logits over the places where it is the largest, and its probability the
    share of these places. With a spot, the score is the mean logit over the spot, and the
    probability the softmax of that.
    """

    layer: str = "auto"
    """The layer to explain by default: the last one of the backbone, because heads repeat the answer."""
    spot: Spot | None = None
    """Where in the frame to explain the classes; everywhere if None."""

    @property
    def auto_layer(self) -> str:
        """As in `Model`."""
        return self.layer

    def aimed(self, edges: Sequence[float]) -> Self:
        """Return the same model, which scores classes at a point or in a box of the frame.

        Args:
            edges: As for `Spot`.
        """
        return self._changed(spot=Spot(edges))

    @property
    def kind(self) -> Kind:
        """As in `Model`."""
        return "segmenter"

    def places(self, answer: object) -> torch.Tensor:
        """Find the logits in the network's answer, (N, classes, h, w).

        Raises:
            ModelError: if there are none.
        """
        found = answer
        if isinstance(answer, Mapping):
            found = answer.get("out", answer.get("logits"))
        elif not isinstance(answer, torch.Tensor):
            found = getattr(answer, "logits", None)
        if not isinstance(found, torch.Tensor) or found.ndim != 4:
            raise refuse_answer(self.name, answer, found)
        return found

    def read(self, answer: object) -> Output:
        """Add up the logits of each class where it won; see `Segmenter`."""
        places = self.places(answer).float()
        masks = self._masks(places.detach())
        if self.spot is not None:
            scores = self.spot.mean(places)
            return Output(scores, masks, answer, probabilities=scores.detach().softmax(dim=1))
        logits, winners = places.max(dim=1)
        winners = winners.flatten(1)
        none = places.new_zeros(places.shape[:2])
        scores = none.scatter_add(1, winners, logits.flatten(1))
        shares = none.scatter_add(1, winners, torch.ones_like(winners, dtype=none.dtype)) / winners.shape[1]
        shares[:, self._backgrounds()] = 0  # which is nothing to explain, unless it is asked for
        return Output(scores, masks, answer, probabilities=shares)

    def probabilities(self, scores: torch.Tensor) -> torch.Tensor:
        """Estimate the share of each class in the image, for scores whose places are not known any more."""
        evidence = scores.clamp(min=0)
        return evidence / evidence.sum(dim=1, keepdim=True).clamp(min=1e-12)

    def identity(self) -> dict[str, object]:
        """Return the settings that its answers depend on."""
        return {"spot": repr(self.spot)}

    def _backgrounds(self) -> list[int]:
        return [index for index, label in enumerate(self.labels) if label.casefold() in _BACKGROUND]

    def _masks(self, places: torch.Tensor) -> list[list[Instance]]:
        """Return the region of each class in each image, the background's excepted."""
        step = -(-max(places.shape[2:]) // _LONGEST_SIDE)
        small = places[:, :, ::step, ::step]
        certainty, winners = small.softmax(dim=1).max(dim=1)
        hidden = set(self._backgrounds())
        return [
            [
                self._region(class_index, mask, values)
                for class_index in np.unique(image).tolist()
                if class_index not in hidden
                for mask in [image == class_index]
                if mask.mean() >= _LEAST_SHARE
            ]
            for image, values in zip(winners.cpu().numpy(), certainty.cpu().numpy(), strict=True)
        ]

    def _region(self, class_index: int, mask: NDArray[np.bool_], certainty: NDArray[np.float32]) -> Instance:
        rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
        top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
        height, width = mask.shape
        return Instance(
            class_index,
            self.labels[class_index],
            float(certainty[mask].mean()),
            (float(left / width), float(top / height), float(right / width), float(bottom / height)),
            mask[top:bottom, left:right],
            is_region=True,
        )
