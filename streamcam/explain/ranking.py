"""Rank the classes and follow the objects of consecutive frames over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from streamcam.explain.assembly import in_frame
from streamcam.explain.targets import ObjectsFound, Target
from streamcam.explanations import Instance
from streamcam.frames import FloatArray, Frame, Region

if TYPE_CHECKING:
    from streamcam.models import Model
    from streamcam.temporal import Tracker


class RankedModel(Protocol):
    """A model whose classes are ranked; `streamcam.Model` is one."""

    @property
    def labels(self) -> Sequence[str]:
        """Name of each class."""

    @property
    def answers_values(self) -> bool:
        """Whether scores are shown as they are."""


def rank_over_time(
    frames: Sequence[Frame],
    probabilities: FloatArray,
    values: FloatArray | None,
    model: RankedModel,
    targets: Sequence[Target],
    top_k: int,
    tracker: Tracker,
) -> NDArray[np.int64]:
    """Rank the classes of consecutive frames, so that those shown do not flicker.

    Args:
        frames: N frames in order.
        probabilities: float32 (N, classes).
        values: Numbers to show beside them, float32 (N, classes); None if there are none.
        model: The model that gave them.
        targets: What is explained.
        top_k: Number of predictions that are listed.
        tracker: Knows the frames before.

    Returns:
        Classes in order, int64 (N, the number shown or explained).
    """
    count = max(top_k, *(1 + (target.rank or 0) for target in targets))
    return tracker.rank(
        frames,
        probabilities,
        model.labels,
        count,
        listed=top_k,
        values=values,
        are_values=model.answers_values,
    )


def find_objects(
    frames: Sequence[Frame],
    instances: Sequence[Sequence[Instance]] | None,
    model: Model,
    region: Region,
    tracker: Tracker | None,
) -> ObjectsFound | None:
    """Choose the objects to report, and give each its number over time.

    Args:
        frames: N frames in order.
        instances: The objects found in each, as in `Output.instances`.
        model: The model that found them.
        region: The part of the frames that the network saw.
        tracker: Knows the objects of the frames before; None to number those of each frame by itself.

    Returns:
        For each frame (number, object) pairs; None if the model finds no objects.
    """
    if instances is None:
        return None
    boxed = [in_frame(image, region) for image in instances]
    certain = model.certain_score
    if not model.finds_objects:
        return [list(enumerate(image)) for image in boxed]
    if tracker is not None:
        return tracker.follow(frames, boxed, certain)
    return [[pair for pair in enumerate(image) if pair[1].score >= certain] for image in boxed]
