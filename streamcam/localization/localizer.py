"""The localizer: boxes and points of every frame's heat, with numbers that hold over time."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from streamcam.explanations import (
    HeatBox,
    HeatInside,
    HeatPeak,
    Instance,
    Localization,
    Prediction,
    StabilizedFrame,
    as_target,
    object_number,
)
from streamcam.frames import FloatArray, SourceInfo
from streamcam.localization.boxes import find_boxes
from streamcam.localization.grid import grid_shape, place_on_frame
from streamcam.localization.peaks import find_peaks
from streamcam.localization.regions import RegionOfInterest, read_region
from streamcam.localization.settings import LocalizationSettings
from streamcam.localization.shares import ShareHistory, share_inside
from streamcam.temporal import ObjectTracker

FAINT = 0.05
"""Heat that is nowhere stronger than this cannot be seen, and gets no box and no points."""


class Localizer:
    """Finds boxes and points in the heat of one video, frame by frame in order. Not thread-safe."""

    def __init__(self, settings: LocalizationSettings, info: SourceInfo | None = None) -> None:
        """Start a video.

        Args:
            settings: What to look for.
            info: The source of the frames, for the region of interest; of a live one, whose size is not known
                yet, it is read with the first frame.

        Raises:
            InvalidArgumentError: if a setting cannot be used.
        """
        settings.check()
        self._settings = settings
        self._tracker = ObjectTracker()
        self._info = info
        self._others: list[Localizer] = []
        self._pane = ""
        self._roi: RegionOfInterest | None = None
        self._history = ShareHistory()
        if info is not None and info.width:
            self._read_roi(info)

    @property
    def notes(self) -> tuple[str, ...]:
        """How much of the heat lay in the region of interest so far, in a sentence for each pane."""
        notes = self._history.notes(self._settings.roi)
        if self._others:
            notes = tuple(f"{self._pane}: {note}" for note in notes)
        return (*notes, *(f"{other._pane}: {note}" for other in self._others for note in other.notes))

    def _read_roi(self, info: SourceInfo) -> None:
        if self._settings.roi is not None:
            self._roi = read_region(self._settings.roi, info)

    def locate(self, stabilized: StabilizedFrame) -> StabilizedFrame:
        """Find what the settings ask for in the displayed heat of the next frame.

        Returns:
            The frame with its localization; itself if nothing is asked for.
        """
        if not self._settings.is_on:
            return stabilized
        while len(self._others) < len(stabilized.others):
            self._others.append(Localizer(self._settings, self._info))
        self._pane = stabilized.explanation.pane
        if stabilized.explanation.starts_shot:
            self._tracker.restart()
        boxes: list[HeatBox] = []
        peaks: list[HeatPeak] = []
        image = stabilized.frame.image
        if self._settings.roi is not None and self._roi is None:
            base = stabilized.frame.time_base
            self._read_roi(
                SourceInfo("the source", None, width=image.width, height=image.height, time_base=base)
            )
        grids: dict[int, FloatArray] = {}
        for target in stabilized.targets:
            heat = stabilized.heatmaps[target.index]
            grid = place_on_frame(heat, stabilized.explanation.region, (image.width, image.height))
            if not grid.max() > FAINT:
                continue
            grids[target.index] = grid
            if self._settings.boxes:
                boxes += self._find_boxes(grid, target, stabilized.instances)
            peaks += [
                HeatPeak(target.index, target.label, x, y, strength)
                for x, y, strength in find_peaks(grid, self._settings.threshold, self._settings.points)
            ]
        numbered = tuple(self._number(boxes, stabilized.frame.time_s)) if self._settings.boxes else None
        localization = Localization(numbered, tuple(peaks), self._measure(stabilized, grids))
        pairs = zip(self._others, stabilized.others, strict=True)
        others = tuple(localizer.locate(other) for localizer, other in pairs)
        return dataclasses.replace(stabilized, localization=localization, others=others)

    def _measure(self, stabilized: StabilizedFrame, grids: Mapping[int, FloatArray]) -> HeatInside | None:
        """Measure how much of the heat lies in the region of interest."""
        if self._roi is None:
            return None
        image = stabilized.frame.image
        mask = self._roi.mask(stabilized, grid_shape((image.width, image.height)))
        if mask is None:
            return None
        inside = HeatInside(
            mask, float(mask.mean()), {index: share_inside(grid, mask) for index, grid in grids.items()}
        )
        self._history.add(stabilized.frame.time_s, inside)
        return inside

    def _find_boxes(
        self, grid: FloatArray, target: Prediction, instances: tuple[Instance, ...]
    ) -> list[HeatBox]:
        subject = _subject_of(target, instances)
        return [
            HeatBox(target.index, dataclasses.replace(subject, box=found.box, mask=found.mask), found.share)
            for found in find_boxes(grid, self._settings.threshold, self._settings.components)
        ]

    def _number(self, boxes: list[HeatBox], time_s: float) -> list[HeatBox]:
        """Number boxes, the same one alike in every frame; an object's has the object's number."""
        free = [box for box in boxes if box.instance.track_id is None]
        # All of them are certain: where the heat lies is no guess.
        certain = [dataclasses.replace(box.instance, score=1.0) for box in free]
        numbers = {id(free[place]): one.track_id for place, one in self._tracker.update(certain, time_s, 1.0)}
        return [
            dataclasses.replace(box, instance=dataclasses.replace(box.instance, track_id=numbers[id(box)]))
            if id(box) in numbers
            else box
            for box in boxes
        ]


def _subject_of(target: Prediction, instances: tuple[Instance, ...]) -> Instance:
    """Return the class or object that a target stands for, without a place of its own."""
    whole = (0.0, 0.0, 1.0, 1.0)
    if object_number(target.index) is None:
        return Instance(target.index, target.label, target.probability, whole)
    for place, instance in enumerate(instances):
        if as_target(instance, place).index == target.index:
            number = object_number(target.index)
            return Instance(instance.class_index, instance.label, instance.score, whole, track_id=number)
    return Instance(
        target.index, target.label, target.probability, whole, track_id=object_number(target.index)
    )
