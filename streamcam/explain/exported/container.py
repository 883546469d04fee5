"""The file of an exported explainer: a zip of graphs and their description, without code or pickles.

Its entries are not compressed, so a small file cannot grow when it is read.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamcam
from streamcam.errors import InvalidArgumentError, ModelError, SourceNotFoundError, map_errors, unknown_name
from streamcam.explain.compiled.record import Record
from streamcam.explain.exported.plain_values import check_types
from streamcam.models.geometry import FITS, Size
from streamcam.models.model_names import EXPORTED_SUFFIX, is_explainer_file

FORMATS = ("openvino", "onnx")
"""Formats of the graphs."""

PRECISIONS = ("fp32", "bf16", "fp16")
"""Precisions that the network up to the target layer may have been checked in."""

_DEVICE = "CPU"
_ACTIVATIONS = ("softmax", "sigmoid", "none", "value")

_FOR_ONNX = ("onnx", "onnxruntime")
"""Packages that write graphs as ONNX, and run them."""

_KIND = "streamcam explainer"
_VERSION = 2
"""Raised by whatever makes older versions of streamcam read files wrongly."""
_DESCRIPTION = "explainer.json"
_LARGEST_DESCRIPTION = 16_000_000
_LARGEST_SIDE = 16_384


def refuse_exported(name: str) -> None:
    """Refuse an exported explainer where a network is asked many questions.

    Raises:
        InvalidArgumentError: always, with what it holds.
        ModelError: if it is damaged.
    """
    raise InvalidArgumentError(
        f"{name!r} holds {ExportedFile(name).description}, which render, report, live and audit run; "
        "for anything else name the network itself with `model`"
    )


def check_export(path: str | Path, shapes: Sequence[Size], format: str) -> None:
    """Check how an explainer is to be exported, before it is loaded.

    Args:
        path: As for `export_explainer`, as the others.
        shapes: (width, height) of frames.
        format: Format of the graphs.

    Raises:
        InvalidArgumentError: if something cannot be used.
        ModelError: if a package is missing.
    """
    if not is_explainer_file(path):
        raise InvalidArgumentError(
            f"{str(path)!r} does not end in {EXPORTED_SUFFIX}; name it like net{EXPORTED_SUFFIX}"
        )
    if format not in FORMATS:
        raise unknown_name("format", format, FORMATS)
    lacking = [name for name in _FOR_ONNX if importlib.util.find_spec(name) is None]
    if format == "onnx" and lacking:
        raise ModelError(f'ONNX needs {" and ".join(lacking)}: pip install "streamcam[onnx]"')
    for width, height in shapes:
        if width < 1 or height < 1:
            raise InvalidArgumentError(f"`shapes` are widths and heights of frames, not {width}:{height}")


@dataclasses.dataclass(frozen=True, slots=True)
class GraphEntries:
    """The graphs for images of one shape: names of entries."""

    width: int
    """Of the network's input, in pixels."""
    height: int
    backbone: str
    head: str
    maps: str
    precision: str
    """Precision that the backbone was checked in."""

    @property
    def size(self) -> Size:
        """(width, height) of the network's input."""
        return self.width, self.height


@dataclasses.dataclass(frozen=True, slots=True)
class Description:
    """The description of an exported explainer."""

    record: Record
    method: str
    """The method with its options, as it was asked for."""
    format: str
    """A name in `FORMATS`."""
    graphs: tuple[GraphEntries, ...]
    weights: str
    """Entry of the weights that all graphs share; empty where each has its own."""
    device: str
    """Description of the processor that it was checked on."""
    openvino: str
    """Version of OpenVINO that it was checked with."""

    @property
    def sizes(self) -> list[Size]:
        """(width, height) of each input that there are graphs for."""
        return [entries.size for entries in self.graphs]

    def __str__(self) -> str:
        sizes = ", ".join(f"{width}x{height}" for width, height in self.sizes)
        record = self.record
        return f"{record.model.name}, {self.method} of {record.target_layer}, for inputs of {sizes}"


def input_names(count: int) -> list[str]:
    """Return the names of the inputs of an ONNX graph of maps, in order; that of scores has no first one."""
    return ["class_weights", *(f"features_{number}" for number in range(count - 1))]


class ExportedFile:
    """An exported explainer that can be read.

    Attributes:
        name: Its name, for messages.
        description: What it holds.
    """

    def __init__(self, path: str | Path) -> None:
        """Read the description.

        Raises:
            SourceNotFoundError: if there is no such file.
            ModelError: if it is damaged, or of another version.
        """
        self.name = str(path)
        self._path = Path(path)
        if not self._path.is_file():
            raise SourceNotFoundError(f"model {self.name!r} does not exist, or is no file")
        text = self._read(_DESCRIPTION, _LARGEST_DESCRIPTION)
        with self._refusing_damage():
            self.description = _parse(text, self.name)

    def read(self, entry: str) -> bytes:
        """Return the content of an entry.

        Raises:
            ModelError: if it is missing or damaged.
        """
        return self._read(entry, self._path.stat().st_size)

    def damaged(self, reason: object) -> ModelError:
        """Return the error for a file that is damaged."""
        return ModelError(
            f"{self.name!r} is no exported explainer, or damaged ({' '.join(str(reason).split())[:200]}); "
            "make it again with streamcam export"
        )

    def _refusing_damage(self) -> Any:
        return map_errors(
            OSError,
            EOFError,
            ValueError,
            KeyError,
            TypeError,
            RecursionError,
            NotImplementedError,
            RuntimeError,  # of an encrypted entry
            zipfile.BadZipFile,
            to=self.damaged,
        )

    def _read(self, entry: str, limit: int) -> bytes:
        with self._refusing_damage(), zipfile.ZipFile(self._path) as archive:
            info = archive.getinfo(entry)
            if info.compress_type != zipfile.ZIP_STORED or info.file_size > limit:
                raise ValueError(f"{entry} is compressed or too large")
            return archive.read(info)


def write_exported(path: Path, description: Description, entries: Mapping[str, bytes]) -> None:
    """Write an exported explainer.

    Args:
        path: The file, which is replaced.
        description: What it holds.
        entries: Name of each entry → its content.
    """
    plain = {
        "kind": _KIND,
        "version": _VERSION,
        "streamcam": streamcam.__version__,
        **dataclasses.asdict(description),
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in {_DESCRIPTION: json.dumps(plain, indent=1).encode(), **entries}.items():
            # Not today's date: one network gives one file.
            archive.writestr(zipfile.ZipInfo(name), content)


def _parse(text: bytes, name: str) -> Description:
    values = json.loads(text)
    if not isinstance(values, dict) or values.get("kind") != _KIND:
        raise ValueError("another kind of file")
    version = values.get("version")
    if version != _VERSION:
        made_by = values.get("streamcam")
        newer = isinstance(version, int) and version > _VERSION
        raise ModelError(
            f"{name!r} was exported by {'a newer' if newer else 'another'} streamcam ({made_by}, format "
            f"{version}), and this one ({streamcam.__version__}) reads format {_VERSION}: "
            f"{'update streamcam, or ' if newer else ''}make it again with streamcam export"
        )
    fields = {field.name for field in dataclasses.fields(Description)}
    values = {field: value for field, value in values.items() if field in fields}
    record = Record.from_json(json.dumps(values.pop("record")))
    graphs = tuple(GraphEntries(**entries) for entries in values.pop("graphs"))
    description = Description(**values, record=record, graphs=graphs)
    check_types(description)
    _check_values(description)
    return description


def _check_values(description: Description) -> None:
    """Refuse values that no export writes.

    Raises:
        ValueError: if there are some.
    """
    record, model = description.record, description.record.model
    sides = (*model.sides, *(side for size in description.sizes for side in size))
    precisions = (record.precision, *(entries.precision for entries in description.graphs))
    if not (
        description.format in FORMATS
        and description.graphs
        and len(set(description.sizes)) == len(description.graphs)
        and all(each in PRECISIONS for each in precisions)
        and record.device == _DEVICE
        and model.activation in _ACTIVATIONS
        and record.fit in FITS
        and 1 <= record.batch_size <= 1024
        and model.labels
        and all(1 <= side <= _LARGEST_SIDE for side in (*sides, model.resize))
        and len(model.mean) == len(model.std)
        and len(model.mean) in (1, 3)
        and all(deviation > 0 for deviation in model.std)
    ):
        raise ValueError("impossible values")
