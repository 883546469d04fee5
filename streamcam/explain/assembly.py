"""Explanations put together of maps, predictions and instances: one for each frame of a batch."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from streamcam.empty_maps import (
    ALL_NEGATIVE,
    CONSTANT,
    EMPTY_MAPS,
    MOSTLY_HIDDEN,
    NO_EVIDENCE,
    NOT_FINITE,
    NOTHING_FOUND,
    WAY_TO_HIDDEN,
)
from streamcam.explain.targets import FUNCTION_INDEX, ObjectsFound, Target
from streamcam.explanations import RATHER_THAN, Explanation, Instance, Prediction, as_concept, as_target
from streamcam.frames import FloatArray, Frame, Region

if TYPE_CHECKING:
    from streamcam.explain.concepts import Concepts

_logger = logging.getLogger("streamcam.explain")

_CONSTANT_WITHIN = 1e-4
"""A map whose values differ by no more than this share of the largest is the same everywhere."""


class Explained(Protocol):
    """The classes or objects of N images; `streamcam.explain.objectives.Objective` is one."""

    @property
    def classes(self) -> Any:
        """Class of each image: an array or a tensor of N whole numbers."""

    @property
    def objects(self) -> tuple[tuple[int, ...], ...] | None:
        """Indices of the objects of each image, or None."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class BatchResult:
    """Results for one batch of N images and T targets, off the device."""

    maps: FloatArray
    """Raw maps, (T, N, h, w): maybe negative, maybe not finite."""
    targets: list[Target]
    """T targets: one that explains each object is there for each."""
    objectives: Sequence[Explained]
    """T objectives."""
    best: list[list[int]]
    """Most probable classes of each image, best first."""
    probabilities: FloatArray
    """(N, classes)."""
    values: FloatArray | None
    """Numbers to show beside them, (N, classes); None if there are none."""
    found: ObjectsFound | None
    """Objects of each image, boxes as fractions of the frame; None if the network finds none."""


@dataclasses.dataclass(frozen=True, slots=True)
class Assembler:
    """Assembles explanations; its fields are what all of them share."""

    labels: Sequence[str]
    """Name of each class."""
    targets: Sequence[Target]
    method: str
    target_layer: str
    signed: bool
    """Whether maps keep negative values."""
    are_values: bool = False
    """Whether what counts as probabilities are a regressor's values."""
    concepts: Concepts | None = None
    """Names the concepts, where targets are these."""
    knows_opposites: bool = False
    """Whether negative values of the method's maps are evidence against what is explained."""

    def assemble(self, frames: Sequence[Frame], result: BatchResult, region: Region) -> list[Explanation]:
        """Return one explanation for each frame, in order.

        Args:
            frames: The frames of the batch.
            result: What was computed for them.
            region: Part of the frames that the network saw.
        """
        return [self._explanation(frame, row, result, region) for row, frame in enumerate(frames)]

    def _explanation(self, frame: Frame, row: int, result: BatchResult, region: Region) -> Explanation:
        heatmaps, opposites, flags, targets, hidden = {}, {}, {}, [], 0.0
        keeps_opposites = self.knows_opposites and not self.signed
        for number in range(len(result.targets)):
            named = self._target(number, row, result)
            if named is None or named.index in heatmaps:  # a class asked for that is also among the best
                continue
            values = result.maps[number][row]
            score = named.probability if named.value is None else named.value
            if result.targets[number].is_class and not math.isfinite(score):
                values = np.full_like(values, np.nan)  # a map of an answer that is none
            heatmaps[named.index], flag = sanitize_map(values, signed=self.signed)
            if self.are_values and not self.signed and flag is None:
                hidden = max(hidden, _share_below_zero(values))
            objects = result.objectives[number].objects
            if flag == NO_EVIDENCE and objects is not None and not objects[row]:
                flag = NOTHING_FOUND
            if result.targets[number].against is not None and keeps_opposites and flag != NOT_FINITE:
                opposites[named.index] = np.maximum(-values, 0)
            targets.append(named)
            if flag is not None:
                flags[named.index] = flag
        return Explanation(
            frame_index=frame.index,
            heatmaps=heatmaps,
            targets=tuple(targets),
            predictions=tuple(self._prediction(index, row, result) for index in result.best[row]),
            method=self.method,
            target_layer=self.target_layer,
            region=region,
            opposites=opposites,
            flags=flags,
            signed=self.signed,
            hidden=hidden,
            instances=() if result.found is None else tuple(instance for _, instance in result.found[row]),
            probabilities=result.probabilities[row],
        )

    def _target(self, number: int, row: int, result: BatchResult) -> Prediction | None:
        """Name what was explained in one image; None if it has fewer objects than another one."""
        target, objective = result.targets[number], result.objectives[number]
        if target.concept is not None:
            assert self.concepts is not None
            return as_concept(target.concept, self.concepts.names[target.concept])
        if target.function is not None:
            return Prediction(FUNCTION_INDEX - self.targets.index(target), target.label, math.nan)
        named: Prediction | None = self._prediction(int(objective.classes[row]), row, result)
        if target.objects:
            named = self._object(objective, row, result)
        if named is None or target.against is None:
            return named
        other = self.labels[target.against]
        return dataclasses.replace(named, label=f"{named.label}{RATHER_THAN}{other}")

    def _object(self, objective: Explained, row: int, result: BatchResult) -> Prediction | None:
        assert result.found is not None
        assert objective.objects is not None
        (index,) = objective.objects[row] or (None,)
        places = {index: place for place, (index, _) in enumerate(result.found[row])}
        return None if index is None else as_target(result.found[row][places[index]][1], places[index])

    def _prediction(self, index: int, row: int, result: BatchResult) -> Prediction:
        score = float(result.probabilities[row, index])
        value = None if result.values is None else float(result.values[row, index])
        return Prediction.of(index, self.labels[index], score, is_value=self.are_values, value=value)


def in_frame(instances: Sequence[Instance], region: Region) -> tuple[Instance, ...]:
    """Convert boxes from fractions of the network's input to fractions of the frame.

    Args:
        instances: Objects as a model reports them.
        region: Part of the frame that the input covers.
    """
    width, height = region.right - region.left, region.bottom - region.top

    def convert(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        left, top, right, bottom = box
        return (
            region.left + left * width,
            region.top + top * height,
            region.left + right * width,
            region.top + bottom * height,
        )

    return tuple(dataclasses.replace(instance, box=convert(instance.box)) for instance in instances)


def sanitize_map(values: FloatArray, *, signed: bool) -> tuple[FloatArray, str | None]:
    """Make a map finite, and non-negative unless it is signed.

    Args:
        values: Raw map, float32 (h, w).
        signed: Whether negative values stay.

    Returns:
        float32 (h, w), finite; and why it shows nothing, a key of `EMPTY_MAPS`, or None if it does.
    """
    lowest, highest = float(values.min()), float(values.max())
    if not (math.isfinite(lowest) and math.isfinite(highest)):
        return np.zeros_like(values), NOT_FINITE
    finished = values if signed else np.maximum(values, 0)
    if lowest == highest == 0:
        return finished, NO_EVIDENCE
    if highest <= 0 and not signed:
        return finished, ALL_NEGATIVE
    largest = max(-lowest, highest)
    return finished, CONSTANT if highest - lowest <= _CONSTANT_WITHIN * largest else None


def _share_below_zero(values: FloatArray) -> float:
    """Return how much of a finite map that is not all zero is below zero, 0 to 1."""
    return float(np.maximum(-values, 0).sum() / np.abs(values).sum())


def note_emptiness(explanations: Iterable[Explanation], notes: list[str]) -> None:
    """Add to notes why maps show nothing, or little of a value, once, and log it as a warning."""
    for explanation in explanations:
        note = None
        if explanation.emptiness is not None:
            note = f"the map shows nothing: {EMPTY_MAPS[explanation.emptiness]}"
        elif explanation.hidden > MOSTLY_HIDDEN:
            note = WAY_TO_HIDDEN
        if note is not None and note not in notes:
            notes.append(note)
            _logger.warning("%s", note)
