"""The temporal stage: explanations of single frames in, heat that is fit to be shown out."""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from streamcam.explanations import NOT_FINITE, Explanation, Prediction, StabilizedFrame
from streamcam.frames import FloatArray, Frame, Region
from streamcam.media.images import ByteArray
from streamcam.temporal.causal import Smoother
from streamcam.temporal.flow import MotionFinder, carried, moved, refined, refinement, shift_of
from streamcam.temporal.level import RunningLevel, limited, scale_to_unit, strongest
from streamcam.temporal.settings import TemporalSettings, check_live
from streamcam.temporal.shots import differ
from streamcam.temporal.thumbnails import view_of
from streamcam.temporal.zero_phase import INSTANT_S, REACH, Moment, mean_around

HELD_BYTES = 256 * 2**20
"""Images that wait for those after them take no more memory than this; where they would, less is looked
ahead."""

_ONLY = -(2**31)
"""The slot of a video in which one class at a time is explained; no class has that index."""

_CERTAIN = 0.5
"""A class at least this probable is not dimmed."""

Heats = dict[int, FloatArray | None]
"""Slot → float32 (h, w); None where there was no map yet."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Subject:
    """What heat is of: all that an explanation says besides its maps. It holds until the next explanation."""

    targets: tuple[Prediction, ...] = ()
    labels: tuple[Prediction, ...] = ()
    shape: tuple[int, ...] = (1, 1)
    """Of the maps."""
    region: Region | None = None
    signed: bool = False

    @property
    def slots(self) -> tuple[int, ...]:
        """Where each target's heat is smoothed: a single one is followed even where it changes."""
        return (_ONLY,) if len(self.targets) == 1 else tuple(target.index for target in self.targets)

    @property
    def cell(self) -> int:
        """How many rows and columns of refined heat are one in a map."""
        return refinement(self.shape)


@dataclasses.dataclass(frozen=True, slots=True)
class _Waiting:
    """A frame whose heat is not finished."""

    frame: Frame
    explanation: Explanation
    subject: _Subject


class Stabilizer:
    """Steadies the explanations of one video, in order. Belongs to one thread."""

    def __init__(self, settings: TemporalSettings | None = None) -> None:
        """Make ready.

        Args:
            settings: How; the defaults if None.

        Raises:
            InvalidArgumentError: if a setting cannot be used.
        """
        self._settings = settings or TemporalSettings()
        self._settings.check()
        mode = self._settings.smoother
        self._smoothing_s = self._settings.smoothing_s if mode.smooths else 0.0
        self._looks_ahead = mode.looks_ahead and self._smoothing_s > 0
        self._motion = MotionFinder() if mode.follows_motion else None
        self._subject = _Subject()
        self._view: ByteArray | None = None
        self._near: dict[int, FloatArray] = {}
        self._levels: dict[int, RunningLevel] = {}
        self._smoothers: dict[int, Smoother] = {}
        self._moments: list[Moment] = []
        self._outdated: dict[int, FloatArray] = {}
        self._waiting: collections.deque[_Waiting] = collections.deque()

    def push(self, frame: Frame, explanation: Explanation) -> list[StabilizedFrame]:
        """Take the next frame and its explanation.

        Returns:
            The frames that are ready now, in order: perhaps none yet, perhaps several.
        """
        subject = self._subject_of(explanation)
        ready = []
        if explanation.cut or (subject.shape, subject.region) != (self._subject.shape, self._subject.region):
            ready = self.flush()
            self._restart(cut=explanation.cut)
        self._subject = subject
        moment = self._moment(frame, explanation)
        waiting = _Waiting(frame, explanation, subject)
        if not self._looks_ahead:
            return [self._finished(waiting, self._smoothed(moment))]
        self._moments.append(moment)
        self._waiting.append(waiting)
        return [*ready, *self._released()]

    def flush(self) -> list[StabilizedFrame]:
        """Return the frames that were still held back, in order; to be called at the end."""
        return [self._release(math.inf) for _ in range(len(self._waiting))]

    def carry(self, frame: Frame) -> StabilizedFrame | None:
        """Tell what to show of an image that nobody has explained yet.

        Nothing is remembered of it: frames from before it may still be pushed.

        Args:
            frame: A frame after the last one pushed.

        Returns:
            Heat and labels of the last frame pushed; where heat follows motion, carried along to this
            image. Without heat where this image is of another shot. None before the first explanation.

        Raises:
            InvalidArgumentError: if the mode looks ahead.
        """
        check_live(self._settings)
        subject = self._subject
        if subject.region is None:
            return None
        heats: Heats = {slot: smoother.state for slot, smoother in self._smoothers.items()}
        if self._view is not None:
            view = view_of(frame.image)
            if self._settings.cuts == "auto" and differ(self._view, view):
                heats = {}
            elif self._motion is not None:
                motion = self._motion.to(self._view, view)
                heats = {slot: self._carried(heat, motion) for slot, heat in heats.items()}
        explanation = Explanation(frame.index, {}, (), (), "", "", subject.region, signed=subject.signed)
        return self._finished(_Waiting(frame, explanation, subject), heats)

    def _subject_of(self, explanation: Explanation) -> _Subject:
        if not explanation.is_explained:
            return self._subject
        return _Subject(
            targets=explanation.targets,
            labels=explanation.shown or explanation.predictions,
            shape=next(iter(explanation.heatmaps.values())).shape,
            region=explanation.region,
            signed=explanation.signed,
        )

    def _restart(self, *, cut: bool) -> None:
        """Begin afresh; what a class usually reaches is forgotten only where another shot begins."""
        self._view = None
        self._near, self._smoothers, self._moments, self._outdated = {}, {}, [], {}
        if cut:
            self._levels = {}

    def _moment(self, frame: Frame, explanation: Explanation) -> Moment:
        """Gather what smoothing needs of a frame: its maps in the units shown, and how heat moves."""
        subject, maps = self._subject, {}
        if explanation.is_explained:
            for slot, target in zip(subject.slots, subject.targets, strict=True):
                heatmap = explanation.heatmaps[target.index]
                if explanation.flags.get(target.index) != NOT_FINITE and np.isfinite(heatmap).all():
                    scaled = heatmap * self._scale_of(heatmap, target, frame.time_s)
                    maps[slot] = scaled if self._motion is None else refined(scaled)
        before, self._view = self._view, explanation.view
        back: dict[int, FloatArray] = {}
        forth: dict[int, FloatArray] = {}
        if self._motion is not None:
            if self._view is None:
                self._view = view_of(frame.image)
            if before is not None:
                back = self._shifts(self._motion.to(before, self._view), {**self._near, **maps})
                if self._looks_ahead:
                    forth = self._shifts(self._motion.to(self._view, before), self._near)
            stale = {slot: carried(self._near[slot], back[slot]) for slot in self._near if slot in back}
            self._near = {**stale, **maps}
        return Moment(frame.time_s, maps, back, forth)

    def _scale_of(self, heatmap: FloatArray, target: Prediction, time_s: float) -> np.float32:
        """What a raw map is multiplied by, so that classes can be mixed and the usual strength is 1."""
        peak = strongest(heatmap)
        if self._settings.scale == "absolute":
            certainty = 1.0 if math.isnan(target.probability) else target.probability
            return np.float32(certainty / peak) if peak > 0 else np.float32(0)
        level = self._levels.setdefault(target.index, RunningLevel())
        return np.float32(1 / level.update(peak, time_s))

    def _shifts(self, motion: FloatArray, near: Mapping[int, FloatArray]) -> dict[int, FloatArray]:
        """Work out how each slot's heat is carried along, going by what is hot."""
        region, cell = self._subject.region or Region(), self._subject.cell
        slots = self._subject.slots
        return {slot: shift_of(motion, near[slot], region, cell) for slot in slots if slot in near}

    def _carried(self, heat: FloatArray | None, motion: FloatArray) -> FloatArray | None:
        if heat is None:
            return None
        return carried(heat, shift_of(motion, heat, self._subject.region or Region(), self._subject.cell))

    def _smoothed(self, moment: Moment) -> Heats:
        """Mix each slot's map into what was before; slots that are no longer explained are forgotten."""
        self._smoothers = {
            slot: self._smoothers.get(slot) or Smoother(self._smoothing_s) for slot in self._subject.slots
        }
        return {
            slot: smoother.update(moment.maps.get(slot), moment.time_s, moment.back.get(slot))
            for slot, smoother in self._smoothers.items()
        }

    def _released(self) -> list[StabilizedFrame]:
        """Finish the frames that enough is known after, or that there is no memory to hold back."""
        ready = []
        reach_s = REACH * self._smoothing_s
        newest_s = self._moments[-1].time_s
        while newest_s - self._waiting[0].frame.time_s >= reach_s - INSTANT_S:
            ready.append(self._release(math.inf))
        while len(self._waiting) > 1 and len(self._waiting) * _size_of(self._waiting[0].frame) > HELD_BYTES:
            ready.append(self._release(newest_s - self._waiting[0].frame.time_s))
        return ready

    def _release(self, reach_s: float) -> StabilizedFrame:
        """Finish the frame that has waited longest."""
        waiting = self._waiting[0]
        index = len(self._moments) - len(self._waiting)
        heats: Heats = {}
        for slot in waiting.subject.slots:
            heat = mean_around(self._moments, index, slot, self._smoothing_s, reach_s)
            heats[slot] = self._outdated_heat(slot, index) if heat is None else heat
        self._waiting.popleft()
        past_s = waiting.frame.time_s - REACH * self._smoothing_s - INSTANT_S
        while self._moments[0].time_s < past_s:
            moment = self._moments.pop(0)
            kept = {slot: moved(heat, moment.back.get(slot)) for slot, heat in self._outdated.items()}
            self._outdated = {**kept, **moment.maps}
        return self._finished(waiting, heats)

    def _outdated_heat(self, slot: int, index: int) -> FloatArray | None:
        """Carry on the last map there was, where none is within reach."""
        heat = self._outdated.get(slot)
        for moment in self._moments[: index + 1]:
            heat = None if heat is None else moved(heat, moment.back.get(slot))
        return heat

    def _finished(self, waiting: _Waiting, heats: Heats) -> StabilizedFrame:
        """Bring heat to the strength that is shown."""
        subject = waiting.subject
        shown = {}
        for slot, target in zip(subject.slots, subject.targets, strict=True):
            heat = heats.get(slot)
            if heat is None:
                heat = np.zeros(subject.shape, np.float32)
            scale = scale_to_unit if self._settings.scale == "frame" else limited
            shown[target.index] = scale(heat, signed=subject.signed) * self._dimming(target, subject)
        return StabilizedFrame(waiting.frame, shown, subject.targets, subject.labels, waiting.explanation)

    def _dimming(self, target: Prediction, subject: _Subject) -> np.float32:
        """How much of a class's heat is shown, going by its probability, stabilized where that is known."""
        stabilized = {label.index: label.probability for label in subject.labels}
        probability = stabilized.get(target.index, target.probability)
        if not self._settings.dim_uncertain or math.isnan(probability):
            return np.float32(1)
        return np.float32(min(1.0, probability / _CERTAIN))


def _size_of(frame: Frame) -> int:
    """How many bytes a frame's image has at most."""
    return 3 * int(frame.image.width) * int(frame.image.height)


def stabilize(
    explained: Iterable[tuple[Frame, Explanation]], stabilizer: Stabilizer
) -> Iterator[StabilizedFrame]:
    """Steady a whole video: every frame comes out once, in order."""
    for frame, explanation in explained:
        yield from stabilizer.push(frame, explanation)
    yield from stabilizer.flush()
