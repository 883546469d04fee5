"""Explanations as tables: arrays of numbers, for files that need no code to be read.

Each explanation is one row of ``frames``, which counts its rows in the other tables; those follow in the same
order. Texts are numbered and stand once, as JSON, one a line, in ``texts``.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamcam.explanations import RATHER_THAN, Explanation, Instance, Prediction
from streamcam.frames import FloatArray, Region

Tables = Mapping[str, NDArray[Any]]
"""Name → array; see `FORMATS`."""

_FRAME = np.dtype(
    [
        ("frame", "<i8"),
        ("is_explained", "?"),
        ("starts_shot", "?"),
        ("signed", "?"),
        ("region", "<f8", (4,)),  # left, top, right, bottom
        ("method", "<i4"),  # the number of a text, as all names
        ("target_layer", "<i4"),
        ("targets", "<i4"),  # how many rows it has there
        ("predictions", "<i4"),
        ("smoothed_predictions", "<i4"),
        ("instances", "<i4"),
        ("classes", "<i4"),  # how many probabilities
    ]
)
_PREDICTION = np.dtype(
    [
        ("frame", "<i8"),
        ("index", "<i8"),
        ("label", "<i4"),
        ("probability", "<f8"),
        ("value", "<f8"),
        ("is_value", "?"),
    ]
)
_TARGET = np.dtype([*_PREDICTION.descr, ("empty", "<i4"), ("rows", "<i4"), ("columns", "<i4")])
_INSTANCE = np.dtype(
    [
        ("frame", "<i8"),
        ("class_index", "<i8"),
        ("label", "<i4"),
        ("score", "<f8"),
        ("box", "<f8", (4,)),
        ("track_id", "<i8"),  # -1 for none
        ("is_region", "?"),
        ("mask_rows", "<i4"),  # -1 without a mask
        ("mask_columns", "<i4"),
    ]
)
FORMATS: dict[str, np.dtype[Any]] = {
    "texts": np.dtype("u1"),
    "targets": _TARGET,
    "heatmaps": np.dtype("<f4"),  # of the targets, one after the other, row by row
    "predictions": _PREDICTION,
    "smoothed_predictions": _PREDICTION,
    "probabilities": np.dtype("<f4"),
    "instances": _INSTANCE,
    "masks": np.dtype("u1"),  # 8 pixels each, the first in the highest bit; each mask begins a byte
    "frames": _FRAME,
}
"""Name of a table → the format of its rows."""

_NONE = -1
"""The number of a text that is not there."""


class TableEncoder:
    """Converts explanations to tables. Texts keep their numbers from one call to the next."""

    def __init__(self) -> None:
        self._texts: dict[str, int] = {}

    def encode(self, explanations: Sequence[Explanation]) -> dict[str, NDArray[Any]]:
        """Return the tables of some explanations; of texts those that were not in earlier ones."""
        known = len(self._texts)
        rows: dict[str, list[Any]] = {name: [] for name in FORMATS}
        for explanation in explanations:
            self._add(explanation, rows)
        new = itertools.islice(self._texts, known, None)
        text = "".join(f"{json.dumps(text)}\n" for text in new)
        flat = {"heatmaps", "probabilities", "masks"}
        tables = {
            name: np.concatenate([np.zeros(0, dtype), *rows[name]]).astype(dtype, copy=False)
            if name in flat
            else np.array(rows[name], dtype)
            for name, dtype in FORMATS.items()
        }
        return {**tables, "texts": np.frombuffer(text.encode("ascii"), np.uint8)}

    def _add(self, explanation: Explanation, rows: dict[str, list[Any]]) -> None:
        frame, region = explanation.frame_index, explanation.region
        for target in explanation.targets:
            heatmap = explanation.heatmaps[target.index]
            if target.index in explanation.opposites:  # where one of the two is positive, the other is 0
                heatmap = heatmap - explanation.opposites[target.index]
            empty = explanation.flags.get(target.index)
            number = _NONE if empty is None else self._number(empty)
            rows["targets"].append((*self._prediction(frame, target), number, *heatmap.shape))
            rows["heatmaps"].append(heatmap.ravel())
        for name in ("predictions", "smoothed_predictions"):
            rows[name] += [self._prediction(frame, one) for one in getattr(explanation, name)]
        for instance in explanation.instances:
            shape = (_NONE, _NONE) if instance.mask is None else instance.mask.shape
            track_id = _NONE if instance.track_id is None else instance.track_id
            label = self._number(instance.label)
            named = (frame, instance.class_index, label, instance.score, instance.box)
            rows["instances"].append((*named, track_id, instance.is_region, *shape))
            rows["masks"] += [] if instance.mask is None else [np.packbits(instance.mask)]
        if explanation.probabilities is not None:
            rows["probabilities"].append(explanation.probabilities)
        rows["frames"].append(
            (
                frame,
                explanation.is_explained,
                explanation.starts_shot,
                explanation.signed,
                (region.left, region.top, region.right, region.bottom),
                self._number(explanation.method),
                self._number(explanation.target_layer),
                len(explanation.targets),
                len(explanation.predictions),
                len(explanation.smoothed_predictions),
                len(explanation.instances),
                0 if explanation.probabilities is None else len(explanation.probabilities),
            )
        )

    def _prediction(self, frame: int, prediction: Prediction) -> tuple[Any, ...]:
        is_value = prediction.value is not None
        value = prediction.value if is_value else math.nan
        label = self._number(prediction.label)
        return (frame, prediction.index, label, prediction.probability, value, is_value)

    def _number(self, text: str) -> int:
        return self._texts.setdefault(text, len(self._texts))


def read_texts(lines: NDArray[np.uint8]) -> list[str]:
    """Return the texts of one or several ``texts`` tables, in the order of their numbers.

    Raises:
        ValueError: if they are damaged.
    """
    return [json.loads(line) for line in lines.tobytes().decode("ascii").splitlines()]


def from_tables(tables: Tables, texts: Sequence[str] | None = None) -> list[Explanation]:
    """Convert tables back to explanations.

    Args:
        tables: As from `TableEncoder.encode`; ``probabilities`` may be left out.
        texts: The texts by number; those of the tables if None.

    Raises:
        ValueError: if the tables do not fit together; KeyError and IndexError likewise.
    """
    return list(_Decoder(tables, read_texts(tables["texts"]) if texts is None else texts).decode())


@dataclasses.dataclass(slots=True, eq=False)
class _Decoder:
    """Reads tables from their beginning."""

    tables: Tables
    texts: Sequence[str]
    positions: dict[str, int] = dataclasses.field(default_factory=dict)
    """Name of a table → its next row."""

    def decode(self) -> Iterator[Explanation]:
        for row in self.tables["frames"]:
            targets, heatmaps, opposites, flags = [], {}, {}, {}
            for named in self._take("targets", int(row["targets"])):
                target = self._prediction(named)
                shape = int(named["rows"]), int(named["columns"])
                targets.append(target)
                heatmap = self._take("heatmaps", shape[0] * shape[1]).reshape(shape)
                if RATHER_THAN in target.label and not row["signed"]:
                    opposites[target.index] = np.maximum(-heatmap, 0)
                    heatmap = np.maximum(heatmap, 0)
                heatmaps[target.index] = heatmap
                if named["empty"] != _NONE:
                    flags[target.index] = self.texts[named["empty"]]
            predictions, smoothed = (
                tuple(self._prediction(one) for one in self._take(name, int(row[name])))
                for name in ("predictions", "smoothed_predictions")
            )
            yield Explanation(
                frame_index=int(row["frame"]),
                heatmaps=heatmaps,
                targets=tuple(targets),
                predictions=predictions,
                method=self.texts[row["method"]],
                target_layer=self.texts[row["target_layer"]],
                region=Region(*row["region"].tolist()),
                opposites=opposites,
                flags=flags,
                signed=bool(row["signed"]),
                starts_shot=bool(row["starts_shot"]),
                smoothed_predictions=smoothed,
                probabilities=self._probabilities(int(row["classes"])),
                instances=tuple(
                    self._instance(one) for one in self._take("instances", int(row["instances"]))
                ),
            )

    def _take(self, name: str, count: int) -> NDArray[Any]:
        begin = self.positions.get(name, 0)
        self.positions[name] = begin + count
        taken = self.tables[name][begin : begin + count]
        if len(taken) != count:
            raise ValueError(f"{name} ends too early")
        return taken

    def _probabilities(self, classes: int) -> FloatArray | None:
        return self._take("probabilities", classes) if classes and "probabilities" in self.tables else None

    def _prediction(self, row: Any) -> Prediction:
        value = float(row["value"]) if row["is_value"] else None
        return Prediction(int(row["index"]), self.texts[row["label"]], float(row["probability"]), value)

    def _instance(self, row: Any) -> Instance:
        left, top, right, bottom = row["box"].tolist()
        shape = int(row["mask_rows"]), int(row["mask_columns"])
        mask = None
        if shape[0] != _NONE:
            pixels = shape[0] * shape[1]
            bits = np.unpackbits(self._take("masks", -(-pixels // 8)), count=pixels)
            mask = bits.astype(np.bool_).reshape(shape)
        return Instance(
            class_index=int(row["class_index"]),
            label=self.texts[row["label"]],
            score=float(row["score"]),
            box=(left, top, right, bottom),
            mask=mask,
            track_id=None if row["track_id"] == _NONE else int(row["track_id"]),
            is_region=bool(row["is_region"]),
        )
