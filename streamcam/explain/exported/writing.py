"""Write an explainer into one file, checked against torch before it gets its name."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from streamcam.errors import InvalidArgumentError, ModelError
from streamcam.explain.activities import announce
from streamcam.explain.backends.backbone import describe_device
from streamcam.explain.compiled.graphs import CompiledGraphs
from streamcam.explain.compiled.record import Record
from streamcam.explain.compiled.tracing import (
    TracedGraphs,
    TracingError,
    reason_against,
    record_of,
    trace_graphs,
)
from streamcam.explain.exported.container import (
    Description,
    ExportedFile,
    GraphEntries,
    check_export,
    write_exported,
)
from streamcam.explain.exported.opening import load_graphs
from streamcam.explain.exported.shared_weights import SharedWeights
from streamcam.explain.finite_answers import has_finite_answers
from streamcam.explain.precision_check import close_to
from streamcam.files import check_output, unfinished
from streamcam.models.check_images import check_images
from streamcam.models.geometry import SHAPES, Size, fit_geometry
from streamcam.models.kinds import check_takes_images
from streamcam.models.openvino_runtime import load_openvino

if TYPE_CHECKING:
    from streamcam.explain.explainer import Explainer

_WEIGHTS = "weights.bin"
_TOLERANCE = 1e-4
"""How far the file's scores and maps may be from those that were compared with torch's."""


def export_explainer(
    explainer: Explainer,
    path: str | Path,
    *,
    shapes: Sequence[Size] = SHAPES,
    format: str = "openvino",
    overwrite: bool = False,
) -> Description:
    """Write an explainer into one file: network, gradients and method, for machines without torch.

    `open_explainer` opens it, and the commands take it as ``model``.

    Args:
        explainer: Of a classifier on the processor, by a method of one pass.
        path: The file to write, ``net.explain``.
        shapes: (width, height) of frames that it will explain, of which only the ratio matters. Fits other
            than ``full`` have one shape of input for all frames, which is always there.
        format: ``"openvino"``, or ``"onnx"`` for files that other programs run too.
        overwrite: Whether to replace an existing file.

    Returns:
        What it holds.

    Raises:
        InvalidArgumentError: if the explainer cannot be exported, or the name has another ending.
        OutputExistsError: if the file exists, or another process is writing it.
        NoDirectoryError: if there is no directory for it.
        ModelError: if the graphs cannot be made, or compute something else than torch.
        SinkError: if the file cannot be written.
    """
    path = Path(path)
    check_export(path, shapes, format)
    check_output(path, overwrite=overwrite, inputs=())
    check_takes_images(explainer.model.kind, explainer.model.name, "an export")
    reason, record = reason_against(explainer), record_of(explainer)
    if explainer.runner.calibrated_by is not None:
        reason, record = "int8 was checked by one video and on one processor", None
    if record is None:
        raise InvalidArgumentError(
            f"{explainer.model.name} by {explainer.method!r} cannot be exported: {reason}; classifiers "
            "can be, by methods of one pass, as gradcam, with `device='cpu'`"
        )
    _check_answers(explainer)
    if format == "onnx" and explainer.precision != "fp32":
        explainer = explainer.variant(precision="fp32")
    traced = {size: _trace(explainer, record, size) for size in _sizes(record, shapes)}
    if format == "onnx":
        from streamcam.explain.exported.onnx_graphs import as_onnx

        weights = ""
        graphs, entries = as_onnx(explainer, traced, record.batch_size)
    else:
        graphs, weights, entries = _as_openvino(traced)
    description = Description(
        record=dataclasses.replace(record, layers=(record.target_layer,), methods=(record.method,)),
        method=explainer.settings["method"],
        format=format,
        graphs=graphs,
        weights=weights,
        device=describe_device(record.device),
        openvino=load_openvino().__version__,
    )
    with unfinished(path, overwrite=overwrite) as part:
        write_exported(part, description, entries)
        _verify(ExportedFile(part), traced)
    return description


def _check_answers(explainer: Explainer) -> None:
    width, height = explainer.model.input.sides
    (explanation,) = explainer.explain(check_images(height, width, 1)[0])
    if not has_finite_answers(explanation):
        raise ModelError(f"{explainer.model.name} answers NaN; check its `weights`")


def _sizes(record: Record, shapes: Iterable[Size]) -> list[Size]:
    """Return (width, height) of the inputs of frames of these shapes, that of other fits last."""
    model = record.model
    of_frames = [fit_geometry(record.fit, shape, model).size for shape in shapes]
    return list(dict.fromkeys([*of_frames, model.sides]))


def _trace(explainer: Explainer, record: Record, size: Size) -> TracedGraphs:
    try:
        return trace_graphs(explainer, record, size)
    except TracingError as error:
        raise ModelError(
            f"{record.model.name} by {record.method!r} cannot be exported for inputs of {size[0]}x{size[1]}: "
            f"{error}; export another method or layer, or frames of other `shapes`"
        ) from error


def _as_openvino(
    traced: dict[Size, TracedGraphs],
) -> tuple[tuple[GraphEntries, ...], str, dict[str, bytes]]:
    """Return the graphs, the name of the entry of their weights, and the entries."""
    weights = SharedWeights()
    entries: dict[str, bytes] = {}
    backbones: dict[int, str] = {}
    graphs = []
    for (width, height), each in traced.items():
        size = f"{width}x{height}"
        model = each.backbone.model
        if id(model) not in backbones:  # most are of one conversion
            backbones[id(model)] = f"backbone-{size}.xml" if backbones else "backbone.xml"
            entries[backbones[id(model)]] = weights.save(model)
        head, maps = f"head-{size}.xml", f"maps-{size}.xml"
        entries[head], entries[maps] = weights.save(each.head), weights.save(each.maps)
        graphs.append(GraphEntries(width, height, backbones[id(model)], head, maps, each.backbone.precision))
    entries[_WEIGHTS] = weights.content()
    return tuple(graphs), _WEIGHTS, entries


def _verify(file: ExportedFile, traced: dict[Size, TracedGraphs]) -> None:
    """Run what was written.

    Raises:
        ModelError: if it computes something else than what it was made of.
    """
    announce("checking what was written")
    record = file.description.record
    for entries in file.description.graphs:
        expected = traced[entries.size].compiled
        found = load_graphs(file, entries, entries.precision)
        if not _agree(found, expected, check_images(entries.height, entries.width, record.batch_size)):
            raise ModelError(
                f"what was written for inputs of {entries.width}x{entries.height} computes something else "
                "than the network; nothing was kept"
            )


def _agree(found: CompiledGraphs, expected: CompiledGraphs, pixels: np.ndarray) -> bool:
    ours, theirs = found.run(pixels), expected.run(pixels)
    weights = np.zeros_like(theirs.scores)
    weights[np.arange(len(weights)), theirs.scores.argmax(axis=1)] = 1
    return close_to(ours.scores, theirs.scores, _TOLERANCE) and close_to(
        found.maps(ours, weights), expected.maps(theirs, weights), _TOLERANCE
    )
