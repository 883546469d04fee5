"""Stored explanations of an interrupted render, used again instead of running the network."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from streamcam.explanations import Explanation, Instance, Prediction
from streamcam.frames import FloatArray, Frame, Region
from streamcam.pipeline.batches import FrameExplainer
from streamcam.sinks import SegmentStore
from streamcam.temporal import Tracker

Stored = tuple[Explanation, FloatArray | None]
"""An explanation, and the probabilities by which its classes were ranked in time, float32 (classes,)."""

SECONDS_AT_RISK = 5.0
"""Explanations are saved once the oldest has waited this long for its segment to be finished."""


class SkippingExplainer(FrameExplainer, Protocol):
    """An explainer that can skip frames whose explanations are known; `streamcam.Explainer` is one."""

    def skip_frames(
        self, frames: list[Frame], tracker: Tracker | None = None, context: Sequence[Frame] = ()
    ) -> None:
        """Take note of frames whose explanations are known, for clips that hold them."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Batch:
    """A batch that was explained."""

    begin: int
    """The number of its first frame that was not stored before, explained or skipped."""
    end: int
    """The number of its last frame plus one."""
    recorded: Sequence[Stored]
    began_s: float
    """The time when its computation began, in seconds."""


class ResumingExplainer:
    """Explains frames, keeps the explanations until their segment is finished, and repeats stored ones.

    Batches are those of a render that was never interrupted, so results are too: a batch with a frame that is
    not stored is explained as a whole. So is the first in any case, because backends choose by the
    first images how they compute.

    Attributes:
        batch_size: How many frames a batch has.
        clip_s: How far from a frame the others of its clip may be, in seconds.
    """

    def __init__(
        self, explainer: SkippingExplainer, store: SegmentStore, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Prepare to explain the frames of a video in order.

        Args:
            explainer: Explains the frames that are not stored.
            store: The finished segments.
            clock: Returns the time in seconds.
        """
        self.batch_size = explainer.batch_size
        self.clip_s = explainer.clip_s
        self._explainer = explainer
        self._store = store
        self._clock = clock
        self._stored = store.explanations()
        self._is_settled = False
        self._repeated: dict[int, Stored] = {}
        self._fresh: dict[int, Stored] = {}
        self._end = store.pending.frames
        self._short: _Batch | None = None
        self._unsaved: list[_Batch] = []

    def explain_frames(
        self, frames: list[Frame], tracker: Tracker | None = None, context: Sequence[Frame] = ()
    ) -> list[Explanation]:
        """Return one explanation for each frame, in order; a tracker sees all of them, stored or not.

        Raises:
            SinkError: if a stored file is damaged, or the disk is full.
        """
        began_s = self._clock()
        arguments: tuple[Any, ...] = (frames,) if tracker is None else (frames, tracker)
        if self.clip_s:
            arguments = (frames, tracker, context)
        recorded = [self._find_stored(frame.index) for frame in frames]
        known = [one for one in recorded if one is not None]
        if len(known) == len(frames) and self._is_settled:
            self._explainer.skip_frames(*arguments)
            for frame, (explanation, probabilities) in zip(frames, known, strict=True):
                if tracker is not None and probabilities is not None:
                    tracker.restore_ranking(
                        frame,
                        probabilities,
                        explanation.smoothed_predictions,
                        listed=len(explanation.predictions),
                    )
                    tracker.restore_objects(frame, explanation.instances)
        else:
            self._is_settled = True
            explanations = self._explainer.explain_frames(*arguments)
            pairs = [_with_ranking(*pair, tracker) for pair in zip(frames, explanations, strict=True)]
            fresh = pairs[len(known) :]
            self._fresh.update((explanation.frame_index, (explanation, row)) for explanation, row in fresh)
            if fresh:
                self._collect(_Batch(self._end, frames[-1].index + 1, fresh, began_s), len(frames))
            known += fresh
        return [explanation for explanation, _ in known]

    def pop_explanations(self, indices: range) -> dict[str, NDArray[Any]]:
        """Return and forget the explanations of a finished segment; called in the thread that writes it."""
        return to_arrays([self._fresh.pop(index) for index in indices if index in self._fresh])

    def save(self) -> None:
        """Save explanations that are in no finished segment.

        Called in the explaining thread, or when it has ended.

        Raises:
            SinkError: if the disk refuses.
        """
        self._unsaved = [batch for batch in self._unsaved if batch.end > self._store.frames]
        if self._unsaved:
            known = to_arrays([one for batch in self._unsaved for one in batch.recorded])
            self._store.pending.add(self._unsaved[0].begin, self._unsaved[-1].end, known)
            self._unsaved = []
            self._store.pending.drop(self._store.frames)

    def _collect(self, batch: _Batch, size: int) -> None:
        """Collect a batch for the disk.

        A batch that is not full may have been cut off by an interruption, and other results than the full
        one. It was not cut off if another follows; the video's last one need not be saved.
        """
        self._end = batch.end
        self._unsaved += [] if self._short is None else [self._short]
        self._short = batch
        if size == self.batch_size:
            self._unsaved.append(batch)
            self._short = None
        self._unsaved = [one for one in self._unsaved if one.end > self._store.frames]
        if self._unsaved and self._clock() - self._unsaved[0].began_s >= SECONDS_AT_RISK:
            self.save()

    def _find_stored(self, index: int) -> Stored | None:
        """Find a stored frame. Each is asked for once, in order, so few segments are in memory at a time."""
        while index not in self._repeated:
            arrays = next(self._stored, None)
            if arrays is None:
                return None
            self._repeated.update(
                (one[0].frame_index, one) for one in from_arrays(arrays) if one[0].frame_index >= index
            )
        return self._repeated.pop(index)


def _with_ranking(frame: Frame, explanation: Explanation, tracker: Tracker | None) -> Stored:
    if tracker is None:
        return explanation, None
    probabilities, shown = tracker.export_ranking(frame)
    return dataclasses.replace(explanation, smoothed_predictions=shown), probabilities


def to_arrays(recorded: Sequence[Stored]) -> dict[str, NDArray[Any]]:
    """Convert explanations to arrays that are safe to load: numbers and JSON."""
    records, maps, rows = [], [np.zeros(0, np.float32)], [np.zeros(0, np.float32)]
    for explanation, probabilities in recorded:
        classes = 0 if probabilities is None else len(probabilities)
        rows += [] if probabilities is None else [probabilities]
        fields = {field.name: getattr(explanation, field.name) for field in dataclasses.fields(explanation)}
        heatmaps = fields.pop("heatmaps")
        del fields["others"]  # comparisons are not resumed
        maps += [heatmap.ravel() for heatmap in heatmaps.values()]
        shapes = [heatmap.shape for heatmap in heatmaps.values()]
        records.append({**fields, "shapes": shapes, "classes": classes})
    text = json.dumps(records, default=_plain)
    numbers = {"maps": np.concatenate(maps), "probabilities": np.concatenate(rows)}
    return {**numbers, "records": np.frombuffer(text.encode(), np.uint8)}


def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> list[Stored]:
    """Convert the arrays of `to_arrays` back to explanations."""
    maps, at = arrays["maps"], 0
    probabilities, row = arrays["probabilities"], 0
    recorded: list[Stored] = []
    for record in json.loads(arrays["records"].tobytes()):
        targets = tuple(Prediction(**target) for target in record.pop("targets"))
        heatmaps: dict[int, FloatArray] = {}
        for target, (rows, columns) in zip(targets, record.pop("shapes"), strict=True):
            heatmaps[target.index] = maps[at : at + rows * columns].reshape(rows, columns)
            at += rows * columns
        predictions = tuple(Prediction(**prediction) for prediction in record.pop("predictions"))
        flags = {int(index): why for index, why in record.pop("flags").items()}
        region = Region(**record.pop("region"))
        shown = tuple(Prediction(**label) for label in record.pop("smoothed_predictions"))
        classes = record.pop("classes")
        record["instances"] = tuple(_instance_from(**instance) for instance in record["instances"])
        explanation = Explanation(
            heatmaps=heatmaps,
            targets=targets,
            predictions=predictions,
            region=region,
            flags=flags,
            smoothed_predictions=shown,
            **record,
        )
        recorded.append((explanation, probabilities[row : row + classes] if classes else None))
        row += classes
    return recorded


def _instance_from(*, box: Sequence[float], mask: Sequence[Sequence[bool]] | None, **fields: Any) -> Instance:
    left, top, right, bottom = box
    return Instance(
        box=(left, top, right, bottom), mask=None if mask is None else np.array(mask, np.bool_), **fields
    )


def _plain(value: object) -> Any:
    """Convert a value that JSON does not know."""
    if isinstance(value, Instance):
        mask = None if value.mask is None else value.mask.tolist()
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {**fields, "mask": mask}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be stored")
