"""Open exported explainers, without torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from streamcam.errors import InvalidArgumentError, ModelError, unknown_name
from streamcam.explain.backends.backbone import OpenVinoBackbone, describe_device
from streamcam.explain.compiled.explainer import CompiledExplainer
from streamcam.explain.compiled.graphs import CompiledGraphs
from streamcam.explain.compiled.record import Record
from streamcam.explain.exported.container import PRECISIONS, ExportedFile, GraphEntries, input_names
from streamcam.explain.targets import TargetRequest, asks_for_objects
from streamcam.models.geometry import FITS, Size
from streamcam.models.openvino_runtime import available, core, load_openvino

if TYPE_CHECKING:
    import openvino

_UNSET: tuple[object, ...] = (None, (), [], "", False, "auto", "default")
"""Values of parameters that nobody gave."""

_AT_RUN = ("classes", "against", "top_k", "precision", "fit")
"""Settings that are chosen when an exported explainer is opened."""


def open_explainer(
    path: str | Path,
    *,
    classes: TargetRequest | Sequence[TargetRequest] | None = None,
    against: int | str | None = None,
    top_k: int = 3,
    precision: str = "auto",
    fit: str | None = None,
) -> CompiledExplainer:
    """Open an explainer that `export_explainer` wrote. Needs OpenVINO, and neither torch nor the network.

    Args:
        path: The file, ``net.explain``.
        classes: As for `streamcam.Explainer`, without functions and objects.
        against: As for `streamcam.Explainer`.
        top_k: As for `streamcam.Explainer`.
        precision: ``"fp32"``, ``"bf16"`` or ``"fp16"`` for the network; ``"auto"`` for that in which it was
            checked if this is the same kind of processor and the same OpenVINO, and float32 elsewhere.
        fit: As for `streamcam.Explainer`; None for the one that it was exported with.

    Returns:
        An explainer for `streamcam.render`, `streamcam.stream` and others; `explain` takes images.

    Raises:
        SourceNotFoundError: if there is no such file.
        ModelError: if it is damaged, of another version, or OpenVINO cannot read it.
        InvalidArgumentError: if it does not hold what is asked for.
    """
    file = ExportedFile(path)
    if not available():
        raise ModelError(f"{file.name!r} is run by OpenVINO, which is not installed: pip install openvino")
    if precision not in ("auto", *PRECISIONS):
        raise unknown_name("precision", precision, ("auto", *PRECISIONS))
    if fit is not None and fit not in FITS:
        raise unknown_name("fit", fit, FITS)
    asked = classes if isinstance(classes, list | tuple) else [classes]
    if any(map(callable, asked)) or asks_for_objects(classes):
        raise InvalidArgumentError(
            f"{file.name!r} explains classes, not functions or objects; set `classes` to names or indices"
        )
    description = file.description
    record = description.record
    notes = record.notes
    if precision == "auto" and any(
        _precision(file, each, precision) != each.precision for each in description.graphs
    ):
        notes += (
            f"{file.name!r} was checked in reduced precision with another processor or OpenVINO, so it "
            "runs in float32 here, which may be slower; export it again here to change that",
        )
    record = dataclasses.replace(
        record,
        fit=fit or record.fit,
        precision=_precision(file, description.graphs[0], precision),
        notes=notes,
        identity={**record.identity, "fit": fit or record.fit, "precision": precision},
    )

    def graphs_for(size: Size, batch_size: int) -> CompiledGraphs:  # noqa: ARG001
        entries = next((each for each in description.graphs if each.size == size), None)
        if entries is None:
            raise InvalidArgumentError(_lacks(file, size, record.fit))
        return load_graphs(file, entries, _precision(file, entries, precision))

    def in_torch() -> NoReturn:
        raise InvalidArgumentError(
            f"{file.name!r} holds {description} and nothing else; name the network itself with `model`"
        )

    return CompiledExplainer(
        record,
        graphs_for,
        in_torch,
        fills_up=True,
        classes=classes,
        against=against,
        top_k=top_k,
    )


def open_for(model: Mapping[str, Any], settings: Mapping[str, Any]) -> CompiledExplainer:
    """Open an exported explainer that is named as a model.

    Args:
        model: Arguments of `streamcam.load_model`; only the name may be given.
        settings: Arguments of `streamcam.Explainer`.

    Raises:
        StreamcamError: as `open_explainer`; InvalidArgumentError if a setting asks for something else than
            what was exported.
    """
    file = ExportedFile(model["name"])
    held = file.description
    may_be: dict[str, tuple[object, ...]] = {
        "method": (held.method, held.record.method),
        "target_layer": (held.record.target_layer,),
        "signed": (held.record.signed,),
        "batch_size": (held.record.batch_size,),
        "device": ("cpu",),
        "backend": ("openvino",),
    }
    given = {**{name: value for name, value in model.items() if name != "name"}, **settings}
    for name, value in given.items():
        if name not in _AT_RUN and value not in _UNSET and value not in may_be.get(name, ()):
            raise InvalidArgumentError(
                f"{file.name!r} holds {held}, and `{name}` was settled when it was exported; leave it out, "
                "or export the network again with it"
            )
    return open_explainer(model["name"], **{name: settings[name] for name in _AT_RUN if name in settings})


def load_graphs(file: ExportedFile, entries: GraphEntries, precision: str) -> CompiledGraphs:
    """Read graphs, and compile them for this processor.

    Args:
        file: The exported explainer.
        entries: The graphs.
        precision: Precision of the backbone.

    Raises:
        ModelError: if they are damaged, or OpenVINO cannot run them.
    """
    description = file.description
    record = description.record
    content = {name: file.read(name) for name in (entries.backbone, entries.head, entries.maps)}
    weights = [_tensor(file.read(description.weights))] if description.weights else []

    def read(name: str, first_input: int = 0) -> openvino.Model:
        graph = core().read_model(content[name], *weights)
        if description.format == "onnx" and name != entries.backbone:
            names = input_names(1 + len(graph.inputs))[first_input:]
            for port in graph.inputs:
                port.get_tensor().set_names({str(names.index(port.get_any_name()))})
        return graph

    try:
        head = read(entries.head, first_input=1)
        if list(head.outputs[0].shape) != [record.batch_size, len(record.model.labels)]:
            raise ModelError(f"{file.name!r} is damaged: its graphs have other classes than its labels")
        maps, network = read(entries.maps), read(entries.backbone)
        if not _belong_together(network, head, maps, record, entries.size):
            raise ModelError(
                f"{file.name!r} is damaged: its graphs for inputs of {entries.width}x{entries.height} do not "
                "belong together; make it again with streamcam export"
            )
        backbone = OpenVinoBackbone(network, record.model, record.device, precision)
        request = backbone.request_for((record.batch_size, entries.height, entries.width, 3))
        return CompiledGraphs.compile(request, head, maps, record, precision)
    except (RuntimeError, ValueError, IndexError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(
            f"{file.name!r} cannot be run by OpenVINO {load_openvino().__version__} "
            f"({' '.join(str(error).split())[:200]}); it was made with {description.openvino}: "
            "make it again with streamcam export"
        ) from error


def _belong_together(
    backbone: openvino.Model, head: openvino.Model, maps: openvino.Model, record: Record, size: Size
) -> bool:
    """Return whether graphs take what the others make of images of a size."""
    shaped = backbone.clone()
    shaped.reshape([record.batch_size, len(record.model.mean), size[1], size[0]])
    weights = [record.batch_size, len(record.model.labels)]
    given = [weights, *(list(port.shape) for port in shaped.outputs)]
    made = list(maps.outputs[0].shape)
    return (
        all(given[1 + int(port.get_any_name())] == list(port.shape) for port in head.inputs)
        and all(given[int(port.get_any_name())] == list(port.shape) for port in maps.inputs)
        and (len(made), made[0]) == (3, record.batch_size)
    )


def _tensor(content: bytes) -> Any:
    return load_openvino().Tensor(np.frombuffer(content, np.uint8))


def _precision(file: ExportedFile, entries: GraphEntries, asked: str) -> str:
    if asked != "auto":
        return asked
    # Rounding is a matter of the processor and of OpenVINO, and it was checked with one of each.
    made = file.description
    here = describe_device(made.record.device), load_openvino().__version__
    return entries.precision if (made.device, made.openvino) == here else "fp32"


def _lacks(file: ExportedFile, size: Size, fit: str) -> str:
    sizes = file.description.sizes
    sides = file.description.record.model.sides
    others = [name for name in FITS if name != "full"] if sides in sizes else []
    way = f"use `fit` {', '.join(others[:-1])} or {others[-1]}, or " if others and fit == "full" else ""
    return (
        f"{file.name!r} has graphs for inputs of {', '.join(f'{each[0]}x{each[1]}' for each in sizes)}, and "
        f"none for {size[0]}x{size[1]}, which these frames need; {way}export it again with their `shapes`"
    )
