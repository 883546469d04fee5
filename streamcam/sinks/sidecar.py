"""The sidecar: one JSON object a line for every frame, with the raw maps, for tools and for science."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from streamcam.errors import SinkError
from streamcam.explanations import Explanation, Prediction
from streamcam.frames import FloatArray, Frame
from streamcam.sinks.part_file import begin, commit, discard

SIGNIFICANT_DIGITS = 4


class SidecarWriter:
    """Writes explanations as JSON lines: a header object, then one object a frame.

    The values are the raw maps, before smoothing and scaling. Two runs of one video with one setting write
    the same bytes.
    """

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        """Start the file beside its final name.

        Args:
            path: The file to make.
            header: The first line.

        Raises:
            SinkError: if the file cannot be made.
        """
        self._path = path
        self._file: TextIO | None = None
        try:
            self._file = begin(path).open("w", encoding="utf-8", newline="\n")
        except OSError as error:
            raise SinkError(f"{str(path)!r} cannot be written: {error.strerror}") from error
        try:
            self._write_line(header)
        except BaseException:
            self.abort()
            raise

    def write(self, frame: Frame, explanation: Explanation) -> None:
        """Add one frame.

        Raises:
            SinkError: if the disk refuses, or a value is not a number.
        """
        self._write_line(frame_record(frame, explanation))

    def finish(self) -> None:
        """Complete the file and make it appear under its name.

        Raises:
            SinkError: if the disk refuses.
        """
        if self._file is None:
            return
        try:
            self._file.close()
        except OSError as error:
            self.abort()
            raise SinkError(f"{str(self._path)!r} cannot be completed: {error.strerror}") from error
        self._file = None
        commit(self._path)

    def abort(self) -> None:
        """Remove what was written."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # what cannot be flushed goes anyway
                self._file.close()
            self._file = None
            discard(self._path)

    def _write_line(self, record: Mapping[str, Any]) -> None:
        if self._file is None:
            raise SinkError(f"{str(self._path)!r} is closed already")
        try:
            self._file.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")
        except OSError as error:
            raise SinkError(f"{str(self._path)!r} cannot be written: {error.strerror}") from error
        except ValueError as error:
            raise SinkError(f"{str(self._path)!r} cannot hold {_named(record)}: {error}") from error


def frame_record(frame: Frame, explanation: Explanation) -> dict[str, Any]:
    """Describe one frame as it stands in a sidecar.

    ``more`` holds the maps of classes after the first, ``shown`` the stabilized labels, where they were, and
    ``cut`` is there where another shot begins. A frame that was left out has its number and time only.
    """
    record: dict[str, Any] = {"frame": frame.index, "time_s": round(frame.time_s, 6)}
    if explanation.starts_shot:
        record["cut"] = True
    if not explanation.is_explained:
        return record
    region = explanation.region
    first, *others = [_target_record(explanation, target) for target in explanation.targets]
    record |= {
        "predictions": _prediction_records(explanation.predictions),
        **first,
        "method": explanation.method,
        "target_layer": explanation.target_layer,
        "region": [round(edge, 6) for edge in (region.left, region.top, region.right, region.bottom)],
    }
    if explanation.smoothed_predictions:
        record["shown"] = _prediction_records(explanation.smoothed_predictions)
    return {**record, "more": others} if others else record


def _named(record: Mapping[str, Any]) -> str:
    return f"frame {record['frame']}" if "frame" in record else "its header"


def _target_record(explanation: Explanation, target: Prediction) -> dict[str, Any]:
    return {
        "target": {"index": target.index, "label": target.label},
        "heatmap": _heatmap_record(explanation.heatmaps[target.index]),
    }


def _prediction_records(predictions: Sequence[Prediction]) -> list[dict[str, Any]]:
    return [
        {
            "index": prediction.index,
            "label": prediction.label,
            "probability": _rounded(prediction.probability),
        }
        for prediction in predictions
    ]


def _heatmap_record(heatmap: FloatArray) -> dict[str, Any]:
    return {
        "shape": list(heatmap.shape),
        "max": _rounded(float(np.max(heatmap))),
        "values": [_rounded(value) for value in heatmap.ravel().tolist()],
    }


def _rounded(value: float) -> float:
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")
