"""Refuse names of models that no family knows, before anything slow is imported, and say what is meant."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path, PurePath

from streamcam.errors import SourceNotFoundError, StreamcamError, UnknownNameError, unknown_name
from streamcam.models.kinds import Kind
from streamcam.models.published_names import (
    CATALOGS,
    PACKAGED,
    Catalog,
    is_timm_name,
    timm_names,
    torchvision_names,
)

EXPORTED_SUFFIX = ".explain"
"""Ending of the files that `streamcam export` writes."""

FOLDER_PREFIX = "hf:"
"""Prefix of folders of transformers."""
ARCHITECTURES: dict[str, Kind] = {
    "ForImageClassification": "classifier",
    "ForSemanticSegmentation": "segmenter",
    "ForUniversalSegmentation": "segmenter",
    "ForInstanceSegmentation": "segmenter",
    "ForObjectDetection": "detector",
    "ForVideoClassification": "clips",
    "CLIPModel": "prompts",
    "MetaClip2Model": "prompts",
    "SiglipModel": "prompts",
    "Siglip2Model": "prompts",
}
"""How transformers ends the names of networks of each kind."""

_FOLDER_PREFIXES = ("timm:", "clip:")
"""Prefixes of published networks, and of folders that the same libraries wrote."""

_WEIGHTS_FILES = (".pth", ".pt", ".ckpt", ".bin", ".safetensors", ".tar")
_NETWORK_FILES = (".onnx", ".xml", ".pt2", ".ts", ".jit", ".torchscript", EXPORTED_SUFFIX)
_OTHER_FILES = {
    ".engine": "a TensorRT network",
    ".h5": "a Keras network",
    ".keras": "a Keras network",
    ".tflite": "a TensorFlow Lite network",
}
_DOWNLOAD = "hf download {name} --local-dir {folder}"
_ON_HUB = re.compile(r"[\w.-]+/[\w.-]+")
_OTHER_PREFIXES = {
    "torchvision": "",
    "huggingface": FOLDER_PREFIX,
    "transformers": FOLDER_PREFIX,
    "open_clip": "clip:",
    "openclip": "clip:",
}
"""A word that people write before a colon, though it is no module of theirs → the prefix it stands for."""


def is_explainer_file(name: object) -> bool:
    """Return whether a model's name is that of an exported explainer."""
    return PurePath(str(name)).suffix.lower() == EXPORTED_SUFFIX


def check_name(name: str) -> None:
    """Refuse the name of a model that no family can load; without torch, in a moment.

    What remains may still be refused when it is loaded: your own function, files, and what a library names.

    Raises:
        UnknownNameError: if there is no such model.
        SourceNotFoundError: if there is no such file or folder.
    """
    if name in PACKAGED or Path(name).is_file():
        return
    prefix, colon, own = name.partition(":")
    if not colon:
        if PurePath(name).suffix.lower() in _NETWORK_FILES:
            raise SourceNotFoundError(f"there is no file {name!r}")
        if name not in torchvision_names():
            raise unknown_model(name)
    elif f"{prefix}:" == FOLDER_PREFIX:
        _check_folder(name, own)
    elif f"{prefix}:" in CATALOGS:
        _check_published(name, f"{prefix}:", own)
    elif prefix in _OTHER_PREFIXES and not (Path(f"{prefix}.py").is_file() or Path(prefix).is_dir()):
        meant = _OTHER_PREFIXES[prefix]
        known = meant != FOLDER_PREFIX and _alike(own, meant)
        raise UnknownNameError(f"unknown model {name!r}; write it as {known or meant + own}")


def kind_of(name: str) -> Kind | None:
    """Return what kind a network is, as far as its name, or its folder, tells; None where it is not known."""
    prefix, colon, own = name.partition(":")
    if prefix + colon == FOLDER_PREFIX:
        return next(map(kind_of_architecture, _architectures_in(Path(own))), None)
    if colon:
        return CATALOGS[prefix + colon].kind if prefix + colon in CATALOGS else None
    if not name.isidentifier():  # a file: torchvision, which may be missing, is not asked
        return None
    return "classifier" if name in PACKAGED or name in torchvision_names() else None


def kind_of_architecture(name: str) -> Kind | None:
    """Return what kind of network a class of transformers is; None if it cannot be explained."""
    return next((kind for ending, kind in ARCHITECTURES.items() if name.endswith(ending)), None)


def takes_clips(name: str) -> bool:
    """Return whether a network is known by its name, or by its folder, to look at several frames at once."""
    return kind_of(name) == "clips"


def _architectures_in(folder: Path) -> list[str]:
    """Return what transformers calls the network in a folder; nothing if that cannot be read."""
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError):  # as whoever loads it says
        return []
    return list(config.get("architectures") or ()) if isinstance(config, dict) else []


def _check_folder(name: str, folder: str) -> None:
    if Path(folder).is_dir():
        return
    if _ON_HUB.fullmatch(folder):
        raise SourceNotFoundError(f"no folder {folder!r}; {_from_hub(folder)}")
    raise SourceNotFoundError(f"no folder {folder!r}; {name} is a folder as save_pretrained writes it")


def _check_published(name: str, prefix: str, own: str) -> None:
    names = CATALOGS[prefix].names()
    if not names:  # the library is not installed, as whoever loads it says
        return
    if prefix in _FOLDER_PREFIXES and own and Path(own).is_dir():
        return
    if is_timm_name(own.partition(".")[0]) if prefix == "timm:" else own in names:
        return
    if meant := _alike(own, prefix):
        raise UnknownNameError(f"unknown model {name!r}; write it as {meant}")
    hub = own.removeprefix("hf-hub:").removeprefix("hf_hub:")
    if _ON_HUB.fullmatch(hub):
        raise UnknownNameError(f"unknown model {name!r}; {_from_hub(hub)}")
    known = [prefix + one for one in names]
    listed_by = f"streamcam models {prefix}" if len(known) > 12 else None
    raise unknown_name("model", name, known, listed_by=listed_by)


def unknown_model(name: str) -> UnknownNameError:
    """Build the error for a name without a prefix."""
    if not name:
        return UnknownNameError("a model has a name; streamcam models lists those that are known")
    ending = PurePath(name).suffix.lower()
    if ending in _WEIGHTS_FILES:
        stem = PurePath(name).stem
        example = f"ultralytics:{stem}" if stem.lower().startswith("yolo") else "resnet50"
        named = _network_in(name)
        which = f"as {example}" if named is None else f"which the file says is {named}"
        return UnknownNameError(
            f"unknown model {name!r}; that is a file of weights: pass it with `weights`, and name the "
            f"network that they belong to, {which}"
        )
    if is_explainer_file(name):
        return UnknownNameError(
            f"{name!r} explains in the one way that was exported, and holds no network to load; open it with "
            "streamcam.open_explainer, or name the network itself"
        )
    if ending in _OTHER_FILES:
        return UnknownNameError(
            f"unknown model {name!r}; that is {_OTHER_FILES[ending]}, and only those of PyTorch, ONNX and "
            "OpenVINO can be explained: name a function that returns the original, as package.module:factory"
        )
    if meant := _alike(name):
        return UnknownNameError(f"unknown model {name!r}; write it as {meant}")
    if Path(name).is_dir():
        return UnknownNameError(
            f"unknown model {name!r}; that is a folder: write {FOLDER_PREFIX}{name} if transformers wrote "
            f"it, timm:{name} if timm did, and clip:{name} if open_clip did"
        )
    if _ON_HUB.fullmatch(name):
        return UnknownNameError(f"unknown model {name!r}; {_from_hub(name)}")
    if ending and is_timm_name(name.partition(".")[0]):
        return UnknownNameError(f"unknown model {name!r}; write it as timm:{name}")
    known = [*PACKAGED, *torchvision_names()]
    return unknown_name("model", name, known, listed_by="streamcam models")


def _network_in(path: str) -> str | None:
    """Return what a file of weights calls its network; None if it says nothing, or cannot be read."""
    if not Path(path).is_file():
        return None
    from streamcam.models.weights import read_state_dict  # and with it torch, for the message alone

    with contextlib.suppress(StreamcamError):
        return read_state_dict(Path(path)).network
    return None


def _alike(own: str, prefix: str | None = None) -> str:
    """Return the names that differ from one in nothing but case and punctuation, as ``a or b, with c``.

    Args:
        own: What somebody wrote, without a prefix.
        prefix: That of the only family to look in; None for all.
    """
    tables = {"": Catalog(lambda: (*PACKAGED, *torchvision_names()), "classifier"), **CATALOGS}
    exact, near = [], []
    for family in tables if prefix is None else [prefix]:
        for known in tables[family].names():
            found = f"{family}{known}{tables[family].needs}"
            if known == own:
                exact.append(found)
            elif _letters(known) == _letters(own):
                near.append(found)
    return " or ".join((exact or near)[:2])


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name.lower())


def _from_hub(name: str) -> str:
    """Say how to use a network that is named as on Hugging Face's hub."""
    owner, _, own = name.partition("/")
    if owner == "timm" and own.partition(".")[0] in timm_names():
        return f"write it as timm:{own}"
    texts = ", with texts for `prompts`" if re.search(r"clip|siglip", own.lower()) else ""
    return (
        "if Hugging Face's hub has a network of that name, put it on the disk "
        f"({_DOWNLOAD.format(name=name, folder=own)}) and write {FOLDER_PREFIX}{own}{texts}"
    )
