"""Reading weights from files, without ever running code that a file brings along."""

from __future__ import annotations

import argparse
import hashlib
import itertools
import pickle
import warnings
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from streamcam.errors import ModelError, SourceNotFoundError, map_errors

# Where training scripts commonly put the parameters inside a checkpoint.
_CHECKPOINT_KEYS = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "state_dict_ema",
    "model_ema",
    "ema",
)
# Settings and measurements that training scripts keep beside the parameters: unpickling them runs no code.
_HARMLESS: list[Any] = [
    argparse.Namespace,
    np.dtype,
    *{type(np.dtype(kind)) for kind in (*np.typecodes["AllInteger"], *np.typecodes["Float"], "?")},
    # Its module has been renamed; files have either name.
    *((np.float64(0).__reduce__()[0], f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
]
# What wrappers for parallel and compiled training put before every name.
_WRAPPER_PREFIXES = ("module.", "_orig_mod.")


class StateDict(OrderedDict[str, torch.Tensor]):
    """Named tensors, with the versions of the modules that they were saved from, where a file tells them."""

    _metadata: Any  # the name under which torch looks for them


def read_state_dict(path: Path) -> StateDict:
    """Read the parameters in a ``.safetensors`` or PyTorch file.

    PyTorch files are read with ``weights_only=True`` and never otherwise: a pickle can run anything.

    Raises:
        SourceNotFoundError: if there is no such file.
        ModelError: if it holds no weights, or more than plain tensors.
    """
    if not path.is_file():
        raise SourceNotFoundError(f"no weights file {str(path)!r}; check `weights`")
    # Bytes that are something else can raise anything here.
    with map_errors(Exception, to=lambda error: _unreadable(path, error)):
        if path.suffix == ".safetensors":
            loaded: object = load_file(path)
        else:
            with warnings.catch_warnings(), torch.serialization.safe_globals(_HARMLESS):
                # Of a protocol that torch itself does not write: what matters is whether it can be read.
                warnings.filterwarnings("ignore", "Detected pickle protocol")
                loaded = torch.load(path, map_location="cpu", weights_only=True)
    return _tensors_in(loaded, path)


def _unreadable(path: Path, error: Exception) -> ModelError:
    if isinstance(error, pickle.UnpicklingError):
        return ModelError(_refusal(path))
    if "TorchScript" in str(error):
        return ModelError(
            f"{str(path)!r} is a TorchScript program, not a weights file; save model.state_dict() of the "
            "network that it was made from"
        )
    reason = str(error).partition("\n")[0] or "it is empty"
    return ModelError(f"{str(path)!r} is not a weights file ({reason})")


def _refusal(path: Path) -> str:
    """Say why a file was not unpickled: because it would run code, or because it is no pickle at all."""
    with path.open("rb") as file:
        start = file.read(2)
    if start[:1] != b"\x80" and start != b"PK":  # how pickles and PyTorch's zip archives begin
        return (
            f"{str(path)!r} is not a weights file; `weights` takes .safetensors, or .pth as torch.save writes"
        )
    return (
        f"{str(path)!r} holds more than weights, and streamcam never runs code out of a file; "
        "save model.state_dict() with torch.save or as .safetensors"
    )


def _tensors_in(loaded: object, path: Path) -> StateDict:
    while isinstance(loaded, Mapping):
        nested = [loaded[key] for key in _CHECKPOINT_KEYS if isinstance(loaded.get(key), Mapping)]
        if not nested:
            break
        loaded = nested[0]
    if not isinstance(loaded, Mapping):
        raise ModelError(f"{str(path)!r} holds a {type(loaded).__name__}, not a table of named tensors")
    tensors = StateDict(
        (str(name), value) for name, value in loaded.items() if isinstance(value, torch.Tensor)
    )
    if not tensors:
        keys = ", ".join(map(str, itertools.islice(loaded, 8))) or "none"
        more = f" and {len(loaded) - 8} more" if len(loaded) > 8 else ""
        raise ModelError(
            f"{str(path)!r} holds no tensors where weights usually are; its keys are {keys}{more}; "
            "save model.state_dict() with torch.save or as .safetensors"
        )
    tensors._metadata = getattr(loaded, "_metadata", None)
    for prefix in _WRAPPER_PREFIXES:
        if all(name.startswith(prefix) for name in tensors):
            tensors = _without_prefix(tensors, prefix)
    return tensors


def _without_prefix(tensors: StateDict, prefix: str) -> StateDict:
    stripped = StateDict((name.removeprefix(prefix), value) for name, value in tensors.items())
    versions = tensors._metadata
    if versions is not None:  # module names have no dot at their end
        versions = {f"{name}.".removeprefix(prefix).rstrip("."): value for name, value in versions.items()}
    stripped._metadata = versions
    return stripped


def match_prefix(tensors: StateDict, own: Mapping[str, torch.Tensor]) -> StateDict:
    """Remove what a training framework put before the names of a network's tensors, as ``model.``.

    Args:
        tensors: What was read. Those outside the prefix, as a loss's own, are left out.
        own: The network's state.

    Returns:
        The tensors as they are, unless exactly one prefix makes all of the network's names of them.
    """
    if not own.keys().isdisjoint(tensors):
        return tensors
    needed = {name for name in own if not name.endswith("num_batches_tracked")}
    ends = (
        (name[: dot + 1], name[dot + 1 :])
        for name in tensors
        for dot, letter in enumerate(name)
        if letter == "."
    )
    found = Counter(prefix for prefix, name in ends if name in needed)
    complete = [prefix for prefix, count in found.items() if count == len(needed)]
    if len(complete) != 1:
        return tensors
    (prefix,) = complete
    inside = StateDict((name, value) for name, value in tensors.items() if name.startswith(prefix))
    inside._metadata = tensors._metadata
    return _without_prefix(inside, prefix)


def load_into(
    module: nn.Module, tensors: StateDict, *, model: str, origin: str, assign: bool = False
) -> None:
    """Load named tensors into a module, which is left half loaded where this raises.

    Args:
        module: Its parts may rename their tensors, as torchvision's do with the names in its older files.
        tensors: What was read, best with the versions in it.
        model: What a message calls the module.
        origin: What a message calls the tensors.
        assign: Whether the tensors take the place of the module's own, which may then be on no device;
            else they are copied into them.

    Raises:
        ModelError: if names or shapes differ; the message names the first differences.
    """
    own = module.state_dict()
    tensors = match_prefix(tensors, own)
    loaded = StateDict(tensors)
    # A file that tells no versions is taken for a recent one: its names are checked in any case.
    loaded._metadata = getattr(tensors, "_metadata", None) or getattr(own, "_metadata", None)
    for name, value in own.items():
        if name.endswith("num_batches_tracked"):  # it counts training steps; files from before 2018 lack it
            loaded.setdefault(name, torch.zeros(value.shape, dtype=value.dtype))
    if assign:  # files of half precision are common, and the module computes in its own
        for name in loaded.keys() & own.keys():
            loaded[name] = loaded[name].to(own[name].dtype)
    differences = _shape_differences(own, loaded)
    if not differences:
        try:
            missing, unexpected = module.load_state_dict(loaded, strict=False, assign=assign)
        except RuntimeError as error:  # shapes that differ once modules have renamed their tensors
            differences = [line.strip() for line in str(error).splitlines()[1:]] or [str(error)]
        else:
            differences = _name_differences(missing, unexpected, model)
    if differences:
        more = f" and {len(differences) - 3} more" if len(differences) > 3 else ""
        raise ModelError(f"{origin} does not fit {model}: {'; '.join(differences[:3])}{more}")


def _shape_differences(own: Mapping[str, torch.Tensor], loaded: Mapping[str, torch.Tensor]) -> list[str]:
    return [
        f"{name} is {tuple(loaded[name].shape)}, not {tuple(value.shape)}"
        for name, value in own.items()
        if name in loaded and loaded[name].shape != value.shape
    ]


def _name_differences(missing: Sequence[str], unexpected: Sequence[str], model: str) -> list[str]:
    lacking = [f"{name} is missing" for name in missing]
    unknown = [f"{name} is unknown to {model}" for name in unexpected]
    # In turn, so that what a message shows has some of each.
    return [text for pair in itertools.zip_longest(lacking, unknown) for text in pair if text is not None]


def check_sha256(path: Path, expected: str) -> None:
    """Make sure that a file is the one we mean.

    Raises:
        ModelError: if its SHA-256 is another.
    """
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise ModelError(
            f"{str(path)!r} is damaged or another version (SHA-256 {found[:12]}…, expected "
            f"{expected[:12]}…); reinstall the package it came with"
        )


def fingerprint(module: nn.Module) -> str:
    """Hash the names, types, shapes and values of all tensors of a module."""
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
