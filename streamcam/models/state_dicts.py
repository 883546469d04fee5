"""Named tensors, and fitting them to a network: what its names are called in a file, and what differs."""

from __future__ import annotations

import difflib
import itertools
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from streamcam.errors import ModelError
from streamcam.models.default_model import DEFAULT_MODEL

# What classes around a network put before its names, in files and in networks: more than one may follow.
_WRAPPERS = {"module", "_orig_mod", "model", "net", "network", "backbone", "encoder", "base_model"}


class StateDict(OrderedDict[str, torch.Tensor]):
    """Named tensors, with what else a file tells of them."""

    _metadata: Any  # the versions of the modules, under the name that torch looks for
    labels: tuple[str, ...] | None = None
    """The names of the classes, where the file has them."""
    network: str | None = None
    """The name of the network that they are of, where the file has it."""
    note: str | None = None
    """Which of several weights in the file these are, for the user."""


def without_prefix(tensors: StateDict, prefix: str) -> StateDict:
    """Return tensors with a prefix removed from their names and from those of their modules."""
    stripped = StateDict((name.removeprefix(prefix), value) for name, value in tensors.items())
    versions = tensors._metadata
    if versions is not None:  # module names have no dot at their end
        versions = {f"{name}.".removeprefix(prefix).rstrip("."): value for name, value in versions.items()}
    stripped._metadata = versions
    return stripped


def match_names(tensors: StateDict, own: Mapping[str, torch.Tensor]) -> StateDict:
    """Give a file's tensors the names that they have in a network, where only prefixes differ.

    Training frameworks put ``model.`` before every name, wrappers ``backbone.`` before some, and the network
    itself may be wrapped where the file is not.

    Args:
        tensors: What was read. Those outside a prefix, as a loss's own, are left out.
        own: The network's state.

    Returns:
        The tensors as they are, unless exactly one way makes all of the network's names of them.
    """
    matched = _match(tensors, set(own))
    matched.network = tensors.network
    return matched


def _match(tensors: StateDict, names: set[str]) -> StateDict:
    if _needed(names) <= tensors.keys():
        return tensors
    renamed = _unwrapped(tensors, names)
    if renamed is not None:
        return renamed
    around = _common_prefix(names)
    inner = {name.removeprefix(around) for name in names}
    found = tensors if _needed(inner) <= tensors.keys() else _unwrapped(tensors, inner)
    if not around or found is None:
        return tensors
    wrapped = StateDict((around + name, value) for name, value in found.items())
    wrapped._metadata = None
    return wrapped


def _needed(names: set[str]) -> set[str]:
    """Return the names that every file has: those from before 2018 count no training steps."""
    return {name for name in names if not name.endswith("num_batches_tracked")}


def _unwrapped(tensors: StateDict, names: set[str]) -> StateDict | None:
    """Remove what stands before the names in a file; None if that does not give all names, or in two ways."""
    needed = _needed(names)
    complete = _complete_prefixes(tensors, needed)
    if len(complete) == 1:
        (prefix,) = complete
        inside = StateDict((name, value) for name, value in tensors.items() if name.startswith(prefix))
        inside._metadata = tensors._metadata
        return without_prefix(inside, prefix)
    if complete:
        return None
    renamed = StateDict()
    renamed._metadata = None
    for name, value in tensors.items():
        inner = _innermost(name, names)
        if inner in renamed:
            return None
        if inner is not None:
            renamed[inner] = value
    return renamed if needed <= renamed.keys() else None


def _complete_prefixes(tensors: StateDict, needed: set[str]) -> list[str]:
    """Return what stands before the names in a file, up to a dot, where it gives all names."""
    ends = (
        (name[: dot + 1], name[dot + 1 :])
        for name in tensors
        for dot, letter in enumerate(name)
        if letter == "."
    )
    found = Counter(prefix for prefix, name in ends if name in needed)
    return [prefix for prefix, count in found.items() if count == len(needed)]


def _innermost(name: str, names: set[str]) -> str | None:
    """Remove wrappers from the beginning of a name until the network has it; None if it never has."""
    while name not in names:
        first, dot, rest = name.partition(".")
        if not dot or first not in _WRAPPERS:
            return None
        name = rest
    return name


def _common_prefix(names: Iterable[str]) -> str:
    """Return what all names begin with, up to a dot; empty if there is nothing."""
    parts = [name.split(".")[:-1] for name in names]
    common = itertools.takewhile(lambda level: len(set(level)) == 1, zip(*parts, strict=False))
    return "".join(f"{level[0]}." for level in common)


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
    fitting = match_names(tensors, own)
    loaded = StateDict(fitting)
    # A file that tells no versions is taken for a recent one: its names are checked in any case.
    loaded._metadata = getattr(fitting, "_metadata", None) or getattr(own, "_metadata", None)
    for name, value in own.items():
        if name.endswith("num_batches_tracked"):  # it counts training steps; files from before 2018 lack it
            loaded.setdefault(name, torch.zeros(value.shape, dtype=value.dtype))
    if assign:  # files of half precision are common, and the module computes in its own
        for name in loaded.keys() & own.keys():
            loaded[name] = loaded[name].to(own[name].dtype)
    differences = _shape_differences(own, loaded, model)
    if not differences:
        try:
            missing, unexpected = module.load_state_dict(loaded, strict=False, assign=assign)
        except RuntimeError as error:  # shapes that differ once modules have renamed their tensors
            differences = [line.strip() for line in str(error).splitlines()[1:]] or [str(error)]
        else:
            differences = _name_differences({name: own[name] for name in missing}, loaded, unexpected, model)
    if differences:
        several = _complete_prefixes(fitting, _needed(set(own)))
        if len(several) > 1:
            networks = ", ".join(prefix.removesuffix(".") for prefix in several)
            raise ModelError(
                f"{origin} holds several networks that fit {model} ({networks}); "
                "choose one with `weights_key`"
            )
        more = f" and {len(differences) - 3} more" if len(differences) > 3 else ""
        way_out = _way_out(tensors.network, model)
        raise ModelError(f"{origin} does not fit {model}: {'; '.join(differences[:3])}{more}{way_out}")


def _way_out(network: str | None, model: str) -> str:
    """Say whose weights these are and which network they were given to, as far as that is known."""
    parts = []
    if network is not None and network != model.rpartition(":")[2]:
        parts.append(f"the file says it is of {network}")
    if model == DEFAULT_MODEL:
        parts.append(f"{model} is the default network: set `model` to the one they belong to")
    return "".join(f"; {part}" for part in parts)


def _shape_differences(
    own: Mapping[str, torch.Tensor], loaded: Mapping[str, torch.Tensor], model: str
) -> list[str]:
    return [
        f"{name} is {tuple(loaded[name].shape)} in the file, {tuple(value.shape)} in {model}"
        for name, value in own.items()
        if name in loaded and loaded[name].shape != value.shape
    ]


def _name_differences(
    missing: Mapping[str, torch.Tensor], loaded: StateDict, unexpected: Sequence[str], model: str
) -> list[str]:
    """Describe names that are not on both sides, each with what it may be called on the other."""
    unknown = list(unexpected)
    lacking = []
    for name, value in missing.items():
        near = difflib.get_close_matches(name, unknown, n=1, cutoff=0.75)
        hint = f", the nearest is {near[0]} {tuple(loaded[near[0]].shape)}" if near else ""
        unknown = [other for other in unknown if other not in near]
        lacking.append(f"{name} {tuple(value.shape)} is missing in the file{hint}")
    strange = [f"{name} {tuple(loaded[name].shape)} is unknown to {model}" for name in unknown]
    # In turn, so that what a message shows has some of each.
    return [text for pair in itertools.zip_longest(lacking, strange) for text in pair if text is not None]
