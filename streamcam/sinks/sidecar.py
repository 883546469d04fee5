"""Sidecar files: raw maps and predictions as JSON lines, one object a frame, for tools and for science."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

import streamcam
from streamcam.explanations import (
    Explanation,
    HeatBox,
    Instance,
    Localization,
    Prediction,
    RenderedFrame,
    StabilizedFrame,
    is_value_alone,
    object_number,
)
from streamcam.frames import FloatArray, SourceInfo
from streamcam.sinks.shapes import pixel_box, pixel_polygons
from streamcam.sinks.text import TextSink, open_text_part

SIGNIFICANT_DIGITS = 4


def open_sidecar_sink(path: Path, info: SourceInfo, *, overwrite: bool) -> SidecarSink:
    """Start a sidecar beside its final name.

    Args:
        path: The file to make.
        info: The source of the frames, named in the header.
        overwrite: Whether a file that is there at the end is replaced.

    Raises:
        OutputExistsError: if another render is writing it.
        SinkError: if the file cannot be made.
    """
    return SidecarSink(path, open_text_part(path), info, overwrite=overwrite)


class SidecarSink(TextSink):
    """JSON lines: a header object, then one object a frame.

    The values are the raw maps, before smoothing and scaling. Two runs of one video with the same settings
    write the same bytes.
    """

    def __init__(self, path: Path, file: TextIO, info: SourceInfo, *, overwrite: bool) -> None:
        """Take over an open file; see `open_sidecar_sink`."""
        super().__init__(path, file, overwrite=overwrite)
        self._info = info
        self._run: Mapping[str, Any] = {}

    def describe(self, run: Mapping[str, Any]) -> None:
        """Take what goes into the header beside the input's name and size."""
        self._run = run

    def format_line(self, frame: RenderedFrame) -> str:
        """Return the record of one frame; of a frame without an explanation its number and time."""
        stabilized = frame.stabilized
        index = self.written if stabilized is None else stabilized.frame.index
        explanation = None if stabilized is None else stabilized.explanation
        header = "" if self.written else f"{_to_json(self._header(), 'its header')}\n"
        record = frame_record(index, frame.time_s, explanation)
        if stabilized is not None:
            _add_localization(record, stabilized)
        return header + _to_json(record, f"frame {index}")

    def _header(self) -> dict[str, Any]:
        video = {"input": self._info.name, "width": self._info.width, "height": self._info.height}
        return {"streamcam": streamcam.__version__, **self._run, **video}


def _to_json(record: Mapping[str, Any], name: str) -> str:
    try:
        return json.dumps(record, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def frame_record(index: int, time_s: float, explanation: Explanation | None) -> dict[str, Any]:
    """Build the JSON object of one frame.

    ``more`` holds the maps of classes or objects after the first, ``shown`` the stabilized labels,
    ``instances`` the objects found, ``empty`` says why a map shows nothing, and ``cut`` is there where
    another shot begins. A frame that was not explained has its number and time only. A number that is not
    finite is null. Where several explanations are compared, ``panes`` holds all this of each, with its name.
    """
    record: dict[str, Any] = {"frame": index, "time_s": round(time_s, 6)}
    if explanation is None:
        return record
    if explanation.starts_shot:
        record["cut"] = True
    if not explanation.is_explained:
        return record
    if explanation.pane:
        panes = (explanation, *explanation.others)
        return {**record, "panes": [{"pane": pane.pane, **_explanation_record(pane)} for pane in panes]}
    return {**record, **_explanation_record(explanation)}


def _explanation_record(explanation: Explanation) -> dict[str, Any]:
    region = explanation.region
    # Nothing where each object is explained and there is none.
    first, *others = [_target_record(explanation, target) for target in explanation.targets] or [{}]
    record = {
        "predictions": _prediction_records(explanation.predictions),
        **first,
        "method": explanation.method,
        "target_layer": explanation.target_layer or None,
        "region": [round(edge, 6) for edge in (region.left, region.top, region.right, region.bottom)],
    }
    if explanation.smoothed_predictions:
        record["shown"] = _prediction_records(explanation.smoothed_predictions)
    if explanation.instances:
        record["instances"] = [_instance_record(instance) for instance in explanation.instances]
    return {**record, "more": others} if others else record


def _add_localization(record: dict[str, Any], stabilized: StabilizedFrame) -> None:
    """Add where the heat lies to the JSON object of a frame, or to that of each pane."""
    size = (stabilized.frame.image.width, stabilized.frame.image.height)
    panes = [record]
    if stabilized.others and stabilized.localization is not None:
        names = [each.explanation.pane for each in (stabilized, *stabilized.others)]
        panes = record.setdefault("panes", [{"pane": name} for name in names])
    for each, pane in zip(panes, (stabilized, *stabilized.others), strict=False):
        if pane.localization is not None:
            each |= localization_record(pane.localization, pane.targets, size)


def localization_record(
    localization: Localization, targets: Sequence[Prediction], size: tuple[int, int]
) -> dict[str, Any]:
    """Build the part of a frame's JSON object that says where the displayed heat lies, in pixels.

    Args:
        localization: What was found.
        targets: The targets of the heatmaps.
        size: Size of the frame, (width, height) in pixels.
    """
    record: dict[str, Any] = {}
    if localization.boxes:
        record["heat_boxes"] = [_heat_box_record(box, size) for box in localization.boxes]
    if localization.peaks:
        record["points"] = [
            {
                "label": peak.label,
                "x": round(peak.x * size[0], 1),
                "y": round(peak.y * size[1], 1),
                "heat": _rounded(peak.strength),
            }
            for peak in localization.peaks
        ]
    inside = localization.inside
    if inside is not None:
        labels = {target.index: target.label for target in targets}
        heat = [{"label": labels[index], "inside": _rounded(share)} for index, share in inside.shares.items()]
        record["roi"] = {"area": _rounded(inside.area), "heat": heat}
    return record


def _heat_box_record(box: HeatBox, size: tuple[int, int]) -> dict[str, Any]:
    instance = box.instance
    record: dict[str, Any] = {"index": instance.class_index, "label": instance.label}
    if instance.track_id is not None:
        record["track"] = instance.track_id
    return record | {
        "box": pixel_box(instance, size),
        "polygons": pixel_polygons(instance, size),
        "share": _rounded(box.share),
    }


def _target_record(explanation: Explanation, target: Prediction) -> dict[str, Any]:
    number = object_number(target.index)
    named = {"index": target.index} if number is None else {"object": number}
    record: dict[str, Any] = {
        "target": {**named, "label": target.label},
        "heatmap": _heatmap_record(explanation.heatmaps[target.index]),
    }
    reason = explanation.flags.get(target.index)
    return record if reason is None else {**record, "empty": reason}


def _prediction_records(predictions: Sequence[Prediction]) -> list[dict[str, Any]]:
    return [
        {
            "index": prediction.index,
            "label": prediction.label,
            **({} if is_value_alone(prediction) else {"probability": _rounded(prediction.probability)}),
            **({} if prediction.value is None else {"value": _rounded(prediction.value)}),
        }
        for prediction in predictions
    ]


def _instance_record(instance: Instance) -> dict[str, Any]:
    record: dict[str, Any] = {
        "index": instance.class_index,
        "label": instance.label,
        "score": _rounded(instance.score),
        "box": [round(edge, 6) if math.isfinite(edge) else None for edge in instance.box],
    }
    if instance.mask is not None:
        record["mask"] = _mask_record(instance.mask)
    if instance.track_id is not None:
        record["track"] = instance.track_id
    return record


def _mask_record(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Encode a mask in COCO's run lengths: down the columns, the first run being of pixels outside."""
    pixels = np.concatenate([[False], mask.ravel(order="F")])
    ends = np.flatnonzero(pixels[1:] != pixels[:-1])
    runs = np.diff(np.concatenate([[0], ends, [mask.size]]))
    return {"size": list(mask.shape), "counts": runs.tolist()}


def _heatmap_record(heatmap: FloatArray) -> dict[str, Any]:
    return {
        "shape": list(heatmap.shape),
        "max": _rounded(float(np.max(heatmap))),
        "values": [_rounded(value) for value in heatmap.ravel().tolist()],
    }


def _rounded(value: float) -> float | None:
    """Round a number; None for NaN and infinity, which JSON does not know."""
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}") if math.isfinite(value) else None
