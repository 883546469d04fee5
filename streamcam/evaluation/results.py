"""Results of an evaluation."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from streamcam.evaluation.statistics import Estimate


@dataclasses.dataclass(frozen=True, slots=True)
class Judged:
    """One method's values for one class in one frame."""

    method: str
    frame: int
    """`Frame.index`."""
    time_s: float
    shot: int
    class_index: int
    label: str
    probability: float
    values: Mapping[str, float]
    """Metric → value, NaN where it has none."""
    is_empty: bool
    """Whether the map shows nothing."""
    cost_s: float
    """How long the map took."""


@dataclasses.dataclass(frozen=True, slots=True)
class MethodResult:
    """The figures of one method."""

    name: str
    """With its options."""
    target_layer: str
    """Dotted names of its layers; empty if it needs none."""
    figures: Mapping[str, Estimate]
    """Metric → mean over the frames that have a map, with its confidence interval."""
    cost_s: float
    """Median time of a map, in seconds."""
    empty: int
    """In how many frames its map shows nothing."""
    randomization: Mapping[float, float]
    """Share of layers whose weights are random, from the network's end → mean rank correlation with the map
    of the network as it is."""


@dataclasses.dataclass(frozen=True, slots=True)
class EvaluationResult:
    """The outcome of an evaluation."""

    input: str
    model: str
    weights: str
    precision: str
    metrics: tuple[str, ...]
    """Those that were computed, in the order of `METRICS`."""
    methods: tuple[MethodResult, ...]
    """In the order in which they were asked for."""
    agreement: tuple[tuple[float, ...], ...]
    """Mean rank correlation of the maps of any two methods, in their order."""
    frames: int
    shots: int
    """How many shots the frames come from."""
    seed: int
    roi: str | None
    judged: tuple[Judged, ...]
    """Every value behind the figures."""
    notes: tuple[str, ...]
    """Sentences about what was left out, and why."""
    best: str | None
    """The method to use here; None if no figure can tell."""
    advice: str
    """Which one to use here and why, in a sentence or two."""
