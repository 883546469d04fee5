"""Reading weights from files, without running code that a file brings along unless that is asked for."""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import pathlib
import pickle
import types
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch import nn

from streamcam.errors import ModelError, SourceNotFoundError, map_errors
from streamcam.models.checkpoint_labels import labels_beside, labels_in, network_in
from streamcam.models.checkpoints import find_weights
from streamcam.models.state_dicts import StateDict

# Settings and measurements that training scripts keep beside the parameters: unpickling them runs no code.
_HARMLESS: list[Any] = [
    *(argparse.Namespace, types.SimpleNamespace),
    *(datetime.datetime, datetime.date, datetime.time, datetime.timedelta, datetime.timezone),
    np.dtype,
    np.ndarray,
    *{type(np.dtype(kind)) for kind in (*np.typecodes["AllInteger"], *np.typecodes["Float"], "?")},
    # Their modules have been renamed; files have either name.
    *(
        (function, f"numpy.{core}.multiarray.{name}")
        for function, name in (
            (np.float64(0).__reduce__()[0], "scalar"),
            (np.zeros(1).__reduce__()[0], "_reconstruct"),
        )
        for core in ("core", "_core")
    ),
    # Of another system, too: nothing is looked for where a path leads.
    *(
        (pure, f"{module}.{name}")
        for pure, names in (
            (pathlib.PurePosixPath, ("PosixPath", "PurePosixPath")),
            (pathlib.PureWindowsPath, ("WindowsPath", "PureWindowsPath")),
        )
        for name in names
        for module in ("pathlib", "pathlib._local")
    ),
]
_HARMLESS_NAMES = {
    one[1] if isinstance(one, tuple) else f"{one.__module__}.{one.__qualname__}" for one in _HARMLESS
}


# What Hugging Face's libraries and open_clip call the weights in a folder.
_IN_FOLDERS = (
    *("model.safetensors", "model.safetensors.index.json"),
    *("pytorch_model.bin", "pytorch_model.bin.index.json"),
    *("open_clip_model.safetensors", "open_clip_pytorch_model.bin"),
)
# How the name of a file ends that lists the files in which the tensors are.
_INDEX = ".index.json"


def read_state_dict(path: Path, *, trust_pickle: bool = False, key: str | None = None) -> StateDict:
    """Read the parameters in a ``.safetensors`` or PyTorch file, and names of classes and of the network.

    Args:
        path: The file, a folder with one of Hugging Face's names in it, or an index of several files as they
            write it, ``model.safetensors.index.json``.
        trust_pickle: Whether PyTorch files may run code, as those of whole networks do when they are read.
            Otherwise they are read with ``weights_only=True``: a pickle can run anything.
        key: Where they are in it, as for `find_weights`.

    Raises:
        SourceNotFoundError: if there is no such file.
        ModelError: if it holds no weights, or more than plain tensors.
    """
    if path.is_dir():
        path = next((path / name for name in _IN_FOLDERS if (path / name).is_file()), path)
    if not path.is_file():
        raise SourceNotFoundError(f"no weights file {str(path)!r}; check `weights`")
    if path.name.endswith(_INDEX):
        loaded: object = {}
        for part in _listed_in(path):
            loaded |= _read(part, trust_pickle=trust_pickle)
    else:
        loaded = _read(path, trust_pickle=trust_pickle)
    tensors = find_weights(loaded, path, key)
    tensors.labels = labels_in(loaded) or labels_beside(path)
    tensors.network = network_in(loaded)
    return tensors


def _read(path: Path, *, trust_pickle: bool) -> Any:
    """Return all that one file holds."""
    # Bytes that are something else can raise anything here.
    with map_errors(Exception, to=lambda error: _unreadable(path, error)):
        if path.suffix == ".safetensors":
            return _read_safetensors(path)
        with warnings.catch_warnings(), torch.serialization.safe_globals(_HARMLESS):
            # Of a protocol that torch itself does not write: what matters is whether it can be read.
            warnings.filterwarnings("ignore", "Detected pickle protocol")
            # The refusal of such a file says more.
            warnings.filterwarnings(
                "ignore", "'torch.load' received a zip file that looks like a TorchScript"
            )
            return torch.load(path, map_location="cpu", weights_only=not trust_pickle)


def _listed_in(index: Path) -> list[Path]:
    """Return the files among which an index divides the tensors; they lie beside it.

    Raises:
        SourceNotFoundError: if one is missing.
        ModelError: if it is no such index.
    """
    try:
        names = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
        parts = [index.with_name(name) for name in names]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{str(index)!r} is not an index of weights files ({error})") from error
    missing = [part.name for part in parts if not part.is_file()]
    if missing:
        raise SourceNotFoundError(
            f"{str(index)!r} lists {missing[0]!r}, which is not beside it; "
            f"put all {len(parts)} files into one folder"
        )
    return parts


def _read_safetensors(path: Path) -> dict[str, object]:
    """Return the tensors of a file, and the texts beside them under their own names."""
    with safe_open(path, framework="pt") as file:
        texts: dict[str, object] = dict(file.metadata() or {})
        return texts | {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping


def _unreadable(path: Path, error: Exception) -> ModelError:
    if isinstance(error, pickle.UnpicklingError):
        return ModelError(_refusal(path))
    if isinstance(error, ImportError | AttributeError):  # only where it is trusted
        return ModelError(f"{str(path)!r} cannot be read without the code that it was written with ({error})")
    if "TorchScript" in str(error):
        return ModelError(
            f"{str(path)!r} is a TorchScript program, not a weights file; use it as it is, "
            f"`model={str(path)!r}`, or save model.state_dict() of the network that it was made from"
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
        f"{str(path)!r} holds more than weights, and reading it would run code{named_code(path)}; save "
        "model.state_dict() with torch.save or as .safetensors, or set `trust_pickle=True` if you trust it"
    )


def named_code(path: Path) -> str:
    """Name what a file would import and call, as far as torch can see without reading it."""
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # of formats that torch cannot look into
        return ""
    strange = sorted(set(names) - _HARMLESS_NAMES, key=lambda name: (name.startswith("torch."), name))
    more = ", …" if len(strange) > 3 else ""
    return f" ({', '.join(strange[:3])}{more})" if strange else ""


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
    """Hash the names, types, shapes and values of all tensors of a module, and what quantized parts keep."""
    digest = hashlib.sha256()
    for name, value in module.state_dict().items():
        _hash(digest, name, value)
    return digest.hexdigest()


def _hash(digest: hashlib._Hash, name: str, value: object) -> None:
    """Add what a module keeps under a name to a hash: a tensor, or of quantized parts a tuple of such."""
    if isinstance(value, tuple | list):
        for number, part in enumerate(value):
            _hash(digest, f"{name}.{number}", part)
    elif isinstance(value, torch.Tensor):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        plain = value.dequantize() if value.is_quantized else value
        digest.update(plain.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    else:
        digest.update(f"{name} {value}".encode())
