"""Explanations that were made before an interruption, used again instead of running the network."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamcam.frames import Explanation, FloatArray, Frame, Prediction, Region
from streamcam.pipeline.streaming import FrameExplainer
from streamcam.sinks import SegmentStore


class RecordingExplainer:
    """Explains frames, keeps the explanations until their segment is finished, and repeats recorded ones.

    Batches are those of a render that was never interrupted, so results are too: one that holds a frame that
    is not recorded is explained whole.

    Attributes:
        batch_size: How many frames it wants at once.
    """

    def __init__(self, explainer: FrameExplainer, store: SegmentStore) -> None:
        """Assign.

        Args:
            explainer: What explains the frames that are not recorded.
            store: The segments that are finished.
        """
        self.batch_size = explainer.batch_size
        self._explainer = explainer
        self._store = store
        self._to_load = iter(range(store.count))
        self._repeated: dict[int, Explanation] = {}
        self._fresh: dict[int, Explanation] = {}

    def explain_frames(self, frames: list[Frame]) -> list[Explanation]:
        """Return one explanation for each frame, in order."""
        recorded = [self._recorded(frame.index) for frame in frames]
        known = [explanation for explanation in recorded if explanation is not None]
        if len(known) == len(frames):
            return known
        fresh = self._explainer.explain_frames(frames)[len(known) :]
        self._fresh.update((explanation.frame_index, explanation) for explanation in fresh)
        return known + fresh

    def companion(self, indices: range) -> dict[str, NDArray[Any]]:
        """Give up what is kept of the frames of a finished segment; called in the thread that writes them."""
        return to_arrays([self._fresh.pop(index) for index in indices])

    def _recorded(self, index: int) -> Explanation | None:
        """Look a frame up. Each is asked for once and in order, so one segment at a time is in memory."""
        if index not in self._repeated:
            for number in itertools.islice(self._to_load, 1):
                companion = self._store.load(number).companion
                self._repeated.update((one.frame_index, one) for one in from_arrays(companion))
        return self._repeated.pop(index, None)


def to_arrays(explanations: Sequence[Explanation]) -> dict[str, NDArray[Any]]:
    """Put explanations into arrays that no other program has to be trusted with: numbers and JSON."""
    records, maps = [], [np.zeros(0, np.float32)]
    for explanation in explanations:
        fields = {field.name: getattr(explanation, field.name) for field in dataclasses.fields(explanation)}
        heatmaps = fields.pop("heatmaps")
        maps += [heatmap.ravel() for heatmap in heatmaps.values()]
        shapes = [heatmap.shape for heatmap in heatmaps.values()]
        records.append({**fields, "shapes": shapes})
    text = json.dumps(records, default=_plain)
    return {"maps": np.concatenate(maps), "records": np.frombuffer(text.encode(), np.uint8)}


def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> list[Explanation]:
    """Make explanations again of what `to_arrays` gave."""
    maps, at = arrays["maps"], 0
    explanations = []
    for record in json.loads(arrays["records"].tobytes()):
        targets = tuple(Prediction(**target) for target in record.pop("targets"))
        heatmaps: dict[int, FloatArray] = {}
        for target, (rows, columns) in zip(targets, record.pop("shapes"), strict=True):
            heatmaps[target.index] = maps[at : at + rows * columns].reshape(rows, columns)
            at += rows * columns
        predictions = tuple(Prediction(**prediction) for prediction in record.pop("predictions"))
        flags = {int(index): why for index, why in record.pop("flags").items()}
        region = Region(**record.pop("region"))
        explanations.append(
            Explanation(
                heatmaps=heatmaps,
                targets=targets,
                predictions=predictions,
                region=region,
                flags=flags,
                **record,
            )
        )
    return explanations


def _plain(value: object) -> Any:
    """Help JSON with what it does not know."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be recorded")
