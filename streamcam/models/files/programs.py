"""Files that PyTorch writes of whole networks: exported programs, TorchScript and pickled modules."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pickle
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from streamcam.errors import ModelError, map_errors
from streamcam.models.checkpoints import find_network
from streamcam.models.files.image_input import ImageInput, describe_input
from streamcam.models.refusals import in_words
from streamcam.models.weights import named_code

_RUNS_CODE = ("custom_obj", "opaque_obj")
"""Beginnings of the names of pickled objects in an exported program."""

_MACHINE_CODE = "data/aotinductor/"
"""Where programs that were compiled ahead of time keep their libraries."""

_FORCE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"

Kind = Literal["exported", "scripted", "pickled"]


def kind_of_program(path: Path) -> Kind | None:
    """Find out what a file of PyTorch holds; None where that is no network, as in files of weights."""
    if not path.is_file():
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.partition("/")[2] for name in archive.namelist()} | set(archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return "pickled" if named_code(path) else None
    if any(name.startswith("models/") for name in names) or "serialized_exported_program.json" in names:
        return "exported"
    if any(name.startswith("code/") for name in names):
        return "scripted"
    return "pickled" if named_code(path) else None


def open_exported(path: Path, name: str) -> tuple[nn.Module, ImageInput]:
    """Read an exported program, with the modules that it was made from, so that their outputs can be seen.

    Args:
        path: What `torch.export.save` wrote.
        name: What a message calls the network.

    Raises:
        ModelError: if it cannot be read, reading it would run code, or it does not take one image.
    """

    def failure(error: Exception) -> ModelError:
        if isinstance(error, pickle.UnpicklingError):
            return ModelError(_would_run_code(name))
        return ModelError(f"{str(path)!r} cannot be read as an exported program ({in_words(error)})")

    with map_errors(Exception, to=failure):
        _check_payloads(path, name)
        with _only_weights(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about how it was written
            program = torch.export.load(path)
    module = torch.export.unflatten(program)
    values = {node.name: node.meta.get("val") for node in program.graph.find_nodes(op="placeholder")}
    inputs = [(given, *_shape_and_type(values.get(given))) for given in program.graph_signature.user_inputs]
    return module, describe_input(name, inputs)


def open_scripted(path: Path) -> torch.jit.ScriptModule:
    """Read a TorchScript program.

    Raises:
        ModelError: if it cannot be read.
    """

    def failure(error: Exception) -> ModelError:
        return ModelError(f"{str(path)!r} cannot be read as TorchScript ({in_words(error)})")

    with zipfile.ZipFile(path) as archive:
        code = [name for name in archive.namelist() if "/code/" in name and name.endswith(".py")]
        if any(b"ops.torchvision." in archive.read(name) for name in code):
            import torchvision  # noqa: F401  # which tells torch of its operations
    with map_errors(Exception, to=failure), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is deprecated
        program: torch.jit.ScriptModule = torch.jit.load(  # type: ignore[no-untyped-call]
            path, map_location="cpu"
        )
    return program.eval()


def open_pickled(
    path: Path, name: str, *, trust_pickle: bool, key: str | None = None
) -> tuple[nn.Module, object, str | None]:
    """Read a module that was pickled, as by ``torch.save(model)`` or inside a checkpoint.

    Args:
        path: The file.
        name: What a message calls the network.
        trust_pickle: Whether code in it may run.
        key: The entry in which the module is, if the file has several.

    Returns:
        The module, all that the file holds, and which of several modules this is, for the user.

    Raises:
        ModelError: if it is not trusted, needs code that is not here, or holds no module.
    """
    if not trust_pickle:
        raise ModelError(_would_run_code(name, named_code(path)))

    def failure(error: Exception) -> ModelError:
        return ModelError(
            f"{str(path)!r} cannot be read without the code that it was written with ({in_words(error)})"
        )

    with map_errors(Exception, to=failure):
        loaded = torch.load(path, map_location="cpu", weights_only=False)
    module, note = find_network(loaded, path, key)
    if module is None:
        raise ModelError(
            f"{str(path)!r} holds no network but what belongs to one; pass it with `weights`, and name the "
            "network, as resnet50"
        )
    return module, loaded, note


def _would_run_code(name: str, named: str = "") -> str:
    return (
        f"{name} holds pickled objects, and reading it would run code{named}; write the network with "
        "torch.export.save or as ONNX, or set `trust_pickle=True` if you trust the file"
    )


def _check_payloads(path: Path, name: str) -> None:
    """Refuse programs with machine code, or with objects that are unpickled without any restriction."""
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if _MACHINE_CODE in member.filename:
                raise ModelError(
                    f"{name} is compiled to machine code, which would run, and whose layers cannot be read; "
                    "write the network with torch.export.save"
                )
            if not member.filename.endswith("_config.json"):
                continue
            payloads = json.loads(archive.read(member)).get("config", {}).values()
            if any(str(payload.get("path_name", "")).startswith(_RUNS_CODE) for payload in payloads):
                raise ModelError(_would_run_code(name))


@contextlib.contextmanager
def _only_weights() -> Iterator[None]:
    """Let whatever torch unpickles here be tensors only, and log nothing of what it cannot read."""
    before, logger = os.environ.get(_FORCE), logging.getLogger("torch.export")
    disabled, logger.disabled = logger.disabled, True
    os.environ[_FORCE] = "1"
    try:
        yield
    finally:
        logger.disabled = disabled
        if before is None:
            del os.environ[_FORCE]
        else:
            os.environ[_FORCE] = before


def _shape_and_type(value: object) -> tuple[list[int | None] | None, torch.dtype | None]:
    if not isinstance(value, torch.Tensor):
        return None, None
    return [length if isinstance(length, int) else None for length in value.shape], value.dtype
