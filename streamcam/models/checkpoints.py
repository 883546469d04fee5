"""The parameters of a network among all that a training script saves."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from streamcam.errors import ModelError, unknown_name
from streamcam.models.state_dicts import StateDict, without_prefix

_AVERAGED = ("state_dict_ema", "model_ema", "params_ema", "ema")
"""Where training scripts put parameters that are averaged over training, which they evaluate and publish."""

_KEYS = (
    *_AVERAGED,
    *("state_dict", "model_state_dict", "model_state", "model", "net", "network", "params", "module"),
)
"""Where they commonly put the parameters, the preferred ones first."""

# What wrappers for parallel and compiled training put before every name.
_WRAPPER_PREFIXES = ("module.", "_orig_mod.")
# How many parameters torch's AveragedModel has averaged.
_COUNTER = "n_averaged"


def find_weights(loaded: object, path: Path, key: str | None = None) -> StateDict:
    """Find the parameters in what a file holds: averaged ones where they are there, as timm and YOLO do.

    Args:
        loaded: What was read.
        path: The file, for messages.
        key: The entry in which they are, or what stands before the names of one network of several.

    Raises:
        UnknownNameError: if there is no such entry.
        ModelError: if there are none, or those of several networks.
    """
    content, note, in_entry = loaded, None, False
    while isinstance(content, Mapping):
        if key is not None and not in_entry and _holds_weights(content.get(key)):
            content, in_entry, note = content[key], True, None
            continue
        places = _places(content, path, key)
        if not places:
            break
        if len(places) > 1 and note is None:
            note = _note(path, places)
        content = content[places[0]]
    if isinstance(content, nn.Module):  # only where pickles are trusted
        content = content.state_dict()
    if not isinstance(content, Mapping):
        raise ModelError(f"{str(path)!r} holds a {type(content).__name__}, not a table of named tensors")
    tensors = StateDict(
        (str(name), value) for name, value in content.items() if isinstance(value, torch.Tensor)
    )
    if not tensors:
        raise ModelError(
            f"{str(path)!r} holds no tensors where weights usually are; its keys are {_listed(content)}; "
            "save model.state_dict() with torch.save or as .safetensors"
        )
    tensors._metadata = getattr(content, "_metadata", None)
    if any(name.startswith(_WRAPPER_PREFIXES) for name in tensors):
        tensors.pop(_COUNTER, None)
    for prefix in _WRAPPER_PREFIXES:
        if all(name.startswith(prefix) for name in tensors):
            tensors = without_prefix(tensors, prefix)
    if key is not None and not in_entry:
        tensors = _of_network(tensors, key, loaded, path)
    tensors.note = None if key is not None else note
    return tensors


def find_network(loaded: object, path: Path, key: str | None = None) -> tuple[nn.Module | None, str | None]:
    """Find the network in what a trusted file holds, as `find_weights` finds weights.

    Args:
        loaded: What was read.
        path: The file, for messages.
        key: The entry in which it is.

    Returns:
        None if there is no network; and which of several it is, for the user.

    Raises:
        UnknownNameError: if there is no such entry.
    """
    if not isinstance(loaded, Mapping):
        return (loaded if isinstance(loaded, nn.Module) else None), None
    networks = {str(name): value for name, value in loaded.items() if isinstance(value, nn.Module)}
    places = [name for name in (*_KEYS, *networks) if name in networks]
    if key is not None and key not in networks:
        raise unknown_name(f"`weights_key` of {str(path)!r}", key, networks)
    if key is not None:
        return networks[key], None
    places = list(dict.fromkeys(places))
    if not places:
        return None, None
    return networks[places[0]], _note(path, places) if len(places) > 1 else None


def _places(content: Mapping[str, object], path: Path, key: str | None) -> list[str]:
    """Return the entries of a checkpoint in which weights are, the preferred one first.

    Raises:
        UnknownNameError: if there are several, and none has the name that was given.
        ModelError: if there are several, of names that say nothing.
    """
    holding = [str(key) for key, value in content.items() if _holds_weights(value)]
    known = [key for key in _KEYS if key in holding]
    if known:
        return known + [key for key in holding if key not in known and "ema" in key.lower()]
    if any(isinstance(value, torch.Tensor) for value in content.values()):
        return []  # these are the weights themselves
    if len(holding) > 1 and key is not None:
        raise unknown_name(f"`weights_key` of {str(path)!r}", key, holding)
    if len(holding) > 1:
        raise ModelError(
            f"{str(path)!r} holds weights at {', '.join(holding[:8])}; choose one with `weights_key`"
        )
    return holding


def _holds_weights(value: object) -> bool:
    """Return whether an entry is a network, or has named tensors; those of an optimizer have numbers."""
    if isinstance(value, nn.Module):
        return True
    if not isinstance(value, Mapping):
        return False
    named = (isinstance(name, str) and isinstance(one, torch.Tensor) for name, one in value.items())
    return any(named) or any(_holds_weights(value.get(key)) for key in _KEYS)


def _note(path: Path, places: list[str]) -> str:
    """Say which of several weights are used, and how to use the others."""
    used, *others = places
    averaged = ", averaged over training," if used in _AVERAGED else ""
    return (
        f"{path.name!r} holds weights at {' and '.join(places)}: those at {used}{averaged} are used; "
        f"`weights_key={others[0]!r}` takes the others"
    )


def _of_network(tensors: StateDict, key: str, loaded: object, path: Path) -> StateDict:
    """Return the tensors whose names begin with a key, without it."""
    prefix = f"{key}."
    inside = StateDict((name, value) for name, value in tensors.items() if name.startswith(prefix))
    if not inside:
        entries = loaded.items() if isinstance(loaded, Mapping) else ()
        keys = {str(name) for name, value in entries if _holds_weights(value)}
        first = {name.partition(".")[0] for name in tensors}
        raise unknown_name(f"`weights_key` of {str(path)!r}", key, keys if len(keys) > 1 else first)
    inside._metadata = tensors._metadata
    return without_prefix(inside, prefix)


def _listed(content: Mapping[str, object]) -> str:
    keys = ", ".join(map(str, itertools.islice(content, 8))) or "none"
    return keys + (f" and {len(content) - 8} more" if len(content) > 8 else "")
