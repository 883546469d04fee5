"""The temporal stage: turns raw explanations into heatmaps that are stable in time."""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

import numpy as np

from streamcam.empty_maps import NOT_FINITE
from streamcam.explanations import (
    Explanation,
    Instance,
    Prediction,
    StabilizedFrame,
    is_concept,
    object_number,
)
from streamcam.frames import FloatArray, Frame, Region
from streamcam.media.images import ByteArray
from streamcam.temporal.flow import (
    FlowEstimator,
    compute_displacement,
    shift_box,
    upsample,
    upsampling_factor,
    warp,
)
from streamcam.temporal.level import RunningLevel, clip_heat, find_peak, scale_to_peak
from streamcam.temporal.listing import order_listed
from streamcam.temporal.settings import TemporalSettings, check_live
from streamcam.temporal.shots import is_other_shot
from streamcam.temporal.smoothing import (
    TIME_TOLERANCE_S,
    WINDOW_TIME_CONSTANTS,
    CausalSmoother,
    TimedMaps,
    average_zero_phase,
)
from streamcam.temporal.thumbnails import make_thumbnail

MAX_WAITING_BYTES = 256 * 2**20
"""Memory limit for images that wait for later frames; beyond it, the look-ahead is shortened."""

_SINGLE_SLOT = -(2**31)
"""The slot of a video in which one class at a time is explained; no class has this index."""

_CONCEPTS = -(2**31) + 1
"""Where the level of all concepts together is kept."""

_CERTAIN = 0.5
"""A class at least this probable is not dimmed."""

SlotHeat = dict[int, FloatArray | None]
"""Slot → heatmap, float32 (h, w); None if there was no map yet.

A slot is what is smoothed as one over time: a class, an object, or, if a single class is explained, whichever
it is."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Context:
    """The last explanation without its maps; valid until the next one."""

    targets: tuple[Prediction, ...] = ()
    labels: tuple[Prediction, ...] = ()
    map_shape: tuple[int, ...] = (1, 1)
    region: Region | None = None
    signed: bool = False

    @property
    def slots(self) -> tuple[int, ...]:
        """The slot of each target; a single target keeps its slot even if the class changes."""
        if len(self.targets) == 1 and object_number(self.targets[0].index) is None:
            return (_SINGLE_SLOT,)
        return tuple(target.index for target in self.targets)

    @property
    def cell(self) -> int:
        """How many rows and columns of an upsampled map are one cell of the raw map."""
        return upsampling_factor(self.map_shape)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _WaitingFrame:
    """A frame whose heatmaps are not finished."""

    frame: Frame
    explanation: Explanation
    context: _Context
    instances: tuple[Instance, ...]


class Stabilizer:
    """Stabilizes the explanations of one video, in order. Not thread-safe."""

    def __init__(self, settings: TemporalSettings | None = None, flow: FlowEstimator | None = None) -> None:
        """Start a video.

        Args:
            settings: Temporal settings; the defaults if None.
            flow: Estimates motion, where several stabilizers share the work; its own if None.

        Raises:
            InvalidArgumentError: if a setting cannot be used.
        """
        self._settings = settings or TemporalSettings()
        self._settings.check()
        mode = self._settings.smoothing_mode
        self._smoothing_s = self._settings.smoothing_s if mode.smooths else 0.0
        self._looks_ahead = mode.looks_ahead and self._smoothing_s > 0
        self._flow = (flow or FlowEstimator()) if mode.follows_motion else None
        self._context = _Context()
        self._thumbnail: ByteArray | None = None
        self._instances: tuple[Instance, ...] = ()
        self._recent_maps: dict[int, FloatArray] = {}  # warped to the last frame
        self._levels: dict[int, RunningLevel] = {}
        self._smoothers: dict[int, CausalSmoother] = {}
        self._samples: list[TimedMaps] = []
        self._expired_maps: dict[int, FloatArray] = {}  # the last maps that left the window
        self._waiting: collections.deque[_WaitingFrame] = collections.deque()

    def push(self, frame: Frame, explanation: Explanation) -> list[StabilizedFrame]:
        """Add the next frame and its explanation.

        Returns:
            The frames that are finished now, in order: none, one or several.
        """
        context = self._context_of(explanation)
        finished = []
        is_new_layout = (context.map_shape, context.region) != (self._context.map_shape, self._context.region)
        if explanation.starts_shot or is_new_layout:
            finished = self.flush()
            self._restart(starts_shot=explanation.starts_shot)
        self._context = context
        sample = self._add_sample(frame, explanation)
        waiting = _WaitingFrame(frame, explanation, context, self._instances)
        if not self._looks_ahead:
            return [self._finish(waiting, self._smooth_causally(sample))]
        self._samples.append(sample)
        self._waiting.append(waiting)
        return [*finished, *self._release_ready()]

    def flush(self) -> list[StabilizedFrame]:
        """Finish the frames that were held back, in order; to be called at the end of the video."""
        return [self._release(math.inf) for _ in range(len(self._waiting))]

    def propagate(self, frame: Frame) -> StabilizedFrame | None:
        """Apply the last heatmaps and labels to a newer frame that has not been explained yet.

        The stabilizer's state does not change: earlier frames may still be pushed.

        Args:
            frame: A frame after the last one pushed.

        Returns:
            Heatmaps, labels and objects of the last frame pushed, moved along the optical flow if the mode
            follows motion; without heat and objects if the frame belongs to another shot. None before the
            first explanation.

        Raises:
            InvalidArgumentError: if the mode looks ahead.
        """
        check_live(self._settings)
        context, instances = self._context, self._instances
        if context.region is None:
            return None
        heat: SlotHeat = {slot: smoother.state for slot, smoother in self._smoothers.items()}
        if self._thumbnail is not None:
            thumbnail = make_thumbnail(frame.image)
            if self._settings.cuts == "auto" and is_other_shot(self._thumbnail, thumbnail):
                heat, instances = {}, ()
            elif self._flow is not None:
                flow = self._flow.estimate(thumbnail, self._thumbnail)
                heat = {slot: self._warp_by_flow(values, flow) for slot, values in heat.items()}
                instances = _move_instances(instances, flow)
        explanation = Explanation(frame.index, {}, (), (), "", "", context.region, signed=context.signed)
        return self._finish(_WaitingFrame(frame, explanation, context, instances), heat)

    def _context_of(self, explanation: Explanation) -> _Context:
        if not explanation.is_explained:
            return self._context
        heatmap = next(iter(explanation.heatmaps.values()), None)  # no object, no heatmap
        return _Context(
            targets=explanation.targets,
            labels=order_listed(
                explanation.smoothed_predictions or explanation.predictions, self._context.labels
            ),
            map_shape=self._context.map_shape if heatmap is None else heatmap.shape,
            region=explanation.region,
            signed=explanation.signed,
        )

    def _restart(self, *, starts_shot: bool) -> None:
        """Discard the history; the levels of classes only where a new shot begins."""
        self._thumbnail, self._instances = None, ()
        self._recent_maps, self._smoothers, self._samples, self._expired_maps = {}, {}, [], {}
        if starts_shot:
            self._levels = {}

    def _add_sample(self, frame: Frame, explanation: Explanation) -> TimedMaps:
        """Scale a frame's maps to the displayed strength, and measure how heat and objects move to it."""
        context, maps = self._context, {}
        if explanation.is_explained:
            peaks = _peaks_of(explanation.heatmaps)
            for slot, target in zip(context.slots, context.targets, strict=True):
                heatmap = explanation.heatmaps[target.index]
                if explanation.flags.get(target.index) != NOT_FINITE and np.isfinite(heatmap).all():
                    scaled = heatmap * self._scale_factor(peaks[target.index], target, frame.time_s)
                    maps[slot] = scaled if self._flow is None else upsample(scaled)
        if explanation.is_explained:
            self._instances = explanation.instances
        previous, self._thumbnail = self._thumbnail, explanation.thumbnail
        from_previous: dict[int, FloatArray] = {}
        to_previous: dict[int, FloatArray] = {}
        if self._flow is not None:
            if self._thumbnail is None:
                self._thumbnail = make_thumbnail(frame.image)
            if previous is not None:
                flow = self._flow.estimate(self._thumbnail, previous)
                from_previous = self._compute_displacements(flow, {**self._recent_maps, **maps})
                if self._looks_ahead:
                    backward = self._flow.estimate(previous, self._thumbnail)
                    to_previous = self._compute_displacements(backward, self._recent_maps)
                if not explanation.is_explained:
                    self._instances = _move_instances(self._instances, flow)
            warped = {
                slot: warp(self._recent_maps[slot], from_previous[slot])
                for slot in self._recent_maps
                if slot in from_previous
            }
            self._recent_maps = {**warped, **maps}
        return TimedMaps(frame.time_s, maps, explanation.is_explained, from_previous, to_previous)

    def _scale_factor(self, peak: float, target: Prediction, time_s: float) -> np.float32:
        """Return the factor for a raw map, so that classes can be mixed and the usual strength is 1."""
        if self._settings.scale == "absolute":
            certainty = 1.0 if math.isnan(target.probability) else target.probability
            return np.float32(certainty / peak) if peak > 0 else np.float32(0)
        # Concepts are parts of one whole: what there is little of stays weak beside the others.
        key = _CONCEPTS if is_concept(target.index) else target.index
        level = self._levels.setdefault(key, RunningLevel())
        return np.float32(1 / level.update(peak, time_s))

    def _compute_displacements(
        self, flow: FloatArray, maps: Mapping[int, FloatArray]
    ) -> dict[int, FloatArray]:
        """Compute the displacement of each slot's heat, weighted by the slot's map."""
        region, cell = self._context.region or Region(), self._context.cell
        slots = self._context.slots
        return {slot: compute_displacement(flow, maps[slot], region, cell) for slot in slots if slot in maps}

    def _warp_by_flow(self, heat: FloatArray | None, flow: FloatArray) -> FloatArray | None:
        if heat is None:
            return None
        region = self._context.region or Region()
        return warp(heat, compute_displacement(flow, heat, region, self._context.cell))

    def _smooth_causally(self, sample: TimedMaps) -> SlotHeat:
        """Add each slot's map to its average; slots that are no longer explained are dropped."""
        self._smoothers = {
            slot: self._smoothers.get(slot) or CausalSmoother(self._smoothing_s)
            for slot in self._context.slots
        }
        return {
            slot: smoother.update(sample.maps.get(slot), sample.time_s, sample.from_previous.get(slot))
            for slot, smoother in self._smoothers.items()
        }

    def _release_ready(self) -> list[StabilizedFrame]:
        """Finish the frames whose whole window is known, and those that exceed the memory limit."""
        finished = []
        half_width_s = WINDOW_TIME_CONSTANTS * self._smoothing_s
        newest_s = self._samples[-1].time_s
        while newest_s - self._waiting[0].frame.time_s >= half_width_s - TIME_TOLERANCE_S:
            finished.append(self._release(math.inf))
        while (
            len(self._waiting) > 1
            and len(self._waiting) * _count_bytes(self._waiting[0].frame) > MAX_WAITING_BYTES
        ):
            finished.append(self._release(newest_s - self._waiting[0].frame.time_s))
        return finished

    def _release(self, half_width_s: float) -> StabilizedFrame:
        """Finish the frame that has waited longest."""
        waiting = self._waiting[0]
        index = len(self._samples) - len(self._waiting)
        heat: SlotHeat = {}
        for slot in waiting.context.slots:
            average = average_zero_phase(self._samples, index, slot, self._smoothing_s, half_width_s)
            heat[slot] = self._warp_expired(slot, index) if average is None else average
        self._waiting.popleft()
        window_s = WINDOW_TIME_CONSTANTS * self._smoothing_s
        start_s = waiting.frame.time_s - window_s - TIME_TOLERANCE_S
        while self._samples[0].time_s < start_s:
            sample = self._samples.pop(0)
            warped = {
                slot: warp(values, sample.from_previous.get(slot))
                for slot, values in self._expired_maps.items()
            }
            self._expired_maps = {**warped, **sample.maps}
        return self._finish(waiting, heat)

    def _warp_expired(self, slot: int, index: int) -> FloatArray | None:
        """Warp the last map before the window to a frame whose window holds none."""
        heat = self._expired_maps.get(slot)
        for sample in self._samples[: index + 1]:
            heat = None if heat is None else warp(heat, sample.from_previous.get(slot))
        return heat

    def _finish(self, waiting: _WaitingFrame, heat: SlotHeat) -> StabilizedFrame:
        """Bring heat to its displayed strength."""
        context = waiting.context
        heatmaps = {}
        for slot, target in zip(context.slots, context.targets, strict=True):
            values = heat.get(slot)
            if values is None:
                values = np.zeros(context.map_shape, np.float32)
            heatmaps[target.index] = values
        strong = self._at_displayed_strength(heatmaps, signed=context.signed)
        heatmaps = {
            target.index: strong[target.index] * self._dimming(target, context) for target in context.targets
        }
        return StabilizedFrame(
            waiting.frame, heatmaps, context.targets, context.labels, waiting.explanation, waiting.instances
        )

    def _at_displayed_strength(
        self, heatmaps: Mapping[int, FloatArray], *, signed: bool
    ) -> dict[int, FloatArray]:
        if self._settings.scale != "frame":
            return {index: clip_heat(values, signed=signed) for index, values in heatmaps.items()}
        if heatmaps and all(map(is_concept, heatmaps)):  # parts of one whole, as for levels
            return dict(zip(heatmaps, scale_to_peak(np.stack([*heatmaps.values()])), strict=True))
        return {index: scale_to_peak(values, signed=signed) for index, values in heatmaps.items()}

    def _dimming(self, target: Prediction, context: _Context) -> np.float32:
        """Return the factor that dims an improbable class, by its smoothed probability if there is one."""
        smoothed = {label.index: label.probability for label in context.labels}
        probability = smoothed.get(target.index, target.probability)
        if not self._settings.dim_uncertain or math.isnan(probability):
            return np.float32(1)
        return np.float32(min(1.0, probability / _CERTAIN))


def _move_instances(instances: tuple[Instance, ...], flow: FloatArray) -> tuple[Instance, ...]:
    """Move objects to a newer frame, given the flow from that frame back to theirs."""
    return tuple(dataclasses.replace(instance, box=shift_box(instance.box, flow)) for instance in instances)


def _count_bytes(frame: Frame) -> int:
    """Return the most bytes that a frame's images can take."""
    planes = 3 if frame.layered is None else 3 + 4
    return planes * int(frame.image.width) * int(frame.image.height)


def _peaks_of(heatmaps: Mapping[int, FloatArray]) -> dict[int, float]:
    """Return the peak of each map that its level is made of; of concepts that of all."""
    peaks = {index: find_peak(heatmap) for index, heatmap in heatmaps.items()}
    highest = max((peak for index, peak in peaks.items() if is_concept(index)), default=0.0)
    return {index: highest if is_concept(index) else peak for index, peak in peaks.items()}


class FrameStabilizer(Protocol):
    """Anything that stabilizes the explanations of a video; `Stabilizer` is one."""

    def push(self, frame: Frame, explanation: Explanation) -> list[StabilizedFrame]:
        """Add the next frame; return those that are finished now, in order."""

    def flush(self) -> list[StabilizedFrame]:
        """Finish the frames that were held back."""


def stabilize(
    explained: Iterable[tuple[Frame, Explanation]], stabilizer: FrameStabilizer
) -> Iterator[StabilizedFrame]:
    """Stabilize a whole video.

    Args:
        explained: Frames with their explanations, in order.
        stabilizer: A fresh stabilizer.

    Yields:
        Every frame once, in order.
    """
    for frame, explanation in explained:
        yield from stabilizer.push(frame, explanation)
    yield from stabilizer.flush()
