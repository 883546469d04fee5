"""Explanations that were made before an interruption, used again instead of running the network."""

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

Recorded = tuple[Explanation, FloatArray | None]
"""An explanation, and the probabilities by which its classes were ranked in time, float32 (classes,)."""

SECONDS_AT_RISK = 5.0
"""Explanations go to the disk when the oldest one has waited that long for its segment to be finished."""


class SkippingExplainer(FrameExplainer, Protocol):
    """An explainer that can be told which frames need no explanation; `streamcam.Explainer` is one."""

    def skip_frames(self, frames: list[Frame], tracker: Tracker | None = None) -> None:
        """Take note of frames whose explanations are known, for clips that begin with them."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Batch:
    """What was explained at once."""

    begin: int
    """The number of the first frame that was not known before, explained or left out."""
    end: int
    """The number behind the last one."""
    recorded: Sequence[Recorded]
    began_s: float
    """When the work on it began, on the clock."""


class RememberingExplainer:
    """Explains frames, keeps the explanations until their segment is finished, and repeats recorded ones.

    Batches are those of a render that was never interrupted, so results are too: one that holds a frame that
    is not recorded is explained whole. So is the first in any case, because backends settle on the first
    images what they run.

    Attributes:
        batch_size: How many frames it wants at once.
    """

    def __init__(
        self, explainer: SkippingExplainer, store: SegmentStore, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Assign.

        Args:
            explainer: What explains the frames that are not recorded.
            store: What is finished.
            clock: Tells the time in seconds.
        """
        self.batch_size = explainer.batch_size
        self._explainer = explainer
        self._store = store
        self._clock = clock
        self._companions = store.companions()
        self._is_settled = False
        self._repeated: dict[int, Recorded] = {}
        self._fresh: dict[int, Recorded] = {}
        self._end = store.ahead.frames
        self._short: _Batch | None = None
        self._unsaved: list[_Batch] = []

    def explain_frames(self, frames: list[Frame], tracker: Tracker | None = None) -> list[Explanation]:
        """Return one explanation for each frame, in order; a tracker sees all of them, repeated or not.

        Raises:
            SinkError: if what is recorded is damaged, or the disk takes no more.
        """
        began_s = self._clock()
        recorded = [self._recorded(frame.index) for frame in frames]
        known = [one for one in recorded if one is not None]
        if len(known) == len(frames) and self._is_settled:
            self._explainer.skip_frames(*((frames,) if tracker is None else (frames, tracker)))
            for frame, (explanation, probabilities) in zip(frames, known, strict=True):
                if tracker is not None and probabilities is not None:
                    tracker.restore_ranking(frame, probabilities, explanation.smoothed_predictions)
        else:
            self._is_settled = True
            arguments = (frames,) if tracker is None else (frames, tracker)
            explanations = self._explainer.explain_frames(*arguments)
            pairs = [_with_ranking(*pair, tracker) for pair in zip(frames, explanations, strict=True)]
            fresh = pairs[len(known) :]
            self._fresh.update((explanation.frame_index, (explanation, row)) for explanation, row in fresh)
            if fresh:
                self._note(_Batch(self._end, frames[-1].index + 1, fresh, began_s), len(frames))
            known += fresh
        return [explanation for explanation, _ in known]

    def companion(self, indices: range) -> dict[str, NDArray[Any]]:
        """Give up what is kept of the frames of a finished segment; called in the thread that writes them."""
        return to_arrays([self._fresh.pop(index) for index in indices if index in self._fresh])

    def save(self) -> None:
        """Put on the disk what is in no finished segment.

        For the explaining thread, or when it has ended.

        Raises:
            SinkError: if the disk refuses.
        """
        self._unsaved = [batch for batch in self._unsaved if batch.end > self._store.frames]
        if self._unsaved:
            known = to_arrays([one for batch in self._unsaved for one in batch.recorded])
            self._store.ahead.add(self._unsaved[0].begin, self._unsaved[-1].end, known)
            self._unsaved = []
            self._store.ahead.drop(self._store.frames)

    def _note(self, batch: _Batch, size: int) -> None:
        """Take note of a batch for the disk.

        One that is not full may be what an interruption left of it, and give other results than the whole
        would. That it is not shows in another one that follows; the video's last one needs no keeping.
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

    def _recorded(self, index: int) -> Recorded | None:
        """Look a frame up. Each is asked for once and in order, so few segments at a time are in memory."""
        while index not in self._repeated:
            companion = next(self._companions, None)
            if companion is None:
                return None
            self._repeated.update(
                (one[0].frame_index, one) for one in from_arrays(companion) if one[0].frame_index >= index
            )
        return self._repeated.pop(index)


def _with_ranking(frame: Frame, explanation: Explanation, tracker: Tracker | None) -> Recorded:
    if tracker is None:
        return explanation, None
    probabilities, shown = tracker.export_ranking(frame)
    return dataclasses.replace(explanation, smoothed_predictions=shown), probabilities


def to_arrays(recorded: Sequence[Recorded]) -> dict[str, NDArray[Any]]:
    """Put explanations into arrays that no other program has to be trusted with: numbers and JSON."""
    records, maps, rows = [], [np.zeros(0, np.float32)], [np.zeros(0, np.float32)]
    for explanation, probabilities in recorded:
        classes = 0 if probabilities is None else len(probabilities)
        rows += [] if probabilities is None else [probabilities]
        fields = {field.name: getattr(explanation, field.name) for field in dataclasses.fields(explanation)}
        heatmaps = fields.pop("heatmaps")
        maps += [heatmap.ravel() for heatmap in heatmaps.values()]
        shapes = [heatmap.shape for heatmap in heatmaps.values()]
        records.append({**fields, "shapes": shapes, "classes": classes})
    text = json.dumps(records, default=_plain)
    numbers = {"maps": np.concatenate(maps), "probabilities": np.concatenate(rows)}
    return {**numbers, "records": np.frombuffer(text.encode(), np.uint8)}


def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> list[Recorded]:
    """Make explanations again of what `to_arrays` gave."""
    maps, at = arrays["maps"], 0
    probabilities, row = arrays["probabilities"], 0
    recorded: list[Recorded] = []
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
    """Help JSON with what it does not know."""
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
    raise TypeError(f"{type(value).__name__} cannot be recorded")
