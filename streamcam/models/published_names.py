"""Names of published networks, read from the source files of the libraries that build them.

Importing those libraries takes seconds, and a misspelled name is to be refused before. What a program has
imported anyway is asked instead, because others may have added networks of their own there.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path

from streamcam.models.default_model import DEFAULT_MODEL
from streamcam.models.kinds import Kind

PACKAGED = (DEFAULT_MODEL, "efficientnet_lite2")
"""Networks that are built here, whose weights come in packages of Python."""

_TORCHVISION_ROW = re.compile(r"^@register_model\(\)\n(?:.*\n)*?def (\w+)\(", re.MULTILINE)
_TIMM_ROW = re.compile(r"^@register_model\n(?:@.*\n)*def (\w+)\(", re.MULTILINE)
_TIMM_RENAMED = re.compile(r"^register_model_deprecations\(.*?\{(.*?)\}", re.MULTILINE | re.DOTALL)

_ULTRALYTICS_SIZES = re.compile(r"^scales:.*\n((?:\s.*\n)+)", re.MULTILINE)
_ULTRALYTICS_HEAD = re.compile(r"^\s+- \[\[.*\], 1, (?:Detect|v10Detect), .*\n?\Z", re.MULTILINE)
ULTRALYTICS_SIZE = re.compile(r"(?<=\d)[a-z](?=$|-)")
"""The letter for the size of a network in its name, as the n of yolo11n."""


def torchvision_names(part: str = "") -> tuple[str, ...]:
    """Return the names of torchvision's networks of one kind.

    Args:
        part: Module of ``torchvision.models`` that they are in, as "detection"; its classifiers if empty.
    """
    found = _scan("torchvision", f"models/{part}", _TORCHVISION_ROW)
    if found and "torchvision.models" not in sys.modules:
        return found
    import torchvision

    models = torchvision.models
    return tuple(models.list_models(module=getattr(models, part) if part else models))


def timm_names() -> tuple[str, ...]:
    """Return the names of timm's networks; none if timm is not installed."""
    found = _scan("timm", "models", _TIMM_ROW)
    return found if "timm" not in sys.modules else tuple(sys.modules["timm"].list_models())


def is_timm_name(name: str) -> bool:
    """Return whether timm builds networks of this name, which may be an old one of a network."""
    if "timm" in sys.modules:
        return bool(sys.modules["timm"].is_model(name))
    renamed = (re.findall(r"'(\w+)'\s*:", table) for table in _scan("timm", "models", _TIMM_RENAMED))
    return name in timm_names() or any(name in names for names in renamed)


def open_clip_names() -> tuple[str, ...]:
    """Return the names of open_clip's networks; none if it is not installed."""
    if "open_clip" in sys.modules:
        return tuple(sys.modules["open_clip"].list_models())
    folder = _folder_of("open_clip")
    files = () if folder is None else (folder / "model_configs").glob("*.json")
    return tuple(sorted(file.stem for file in files))


@functools.cache
def ultralytics_names() -> tuple[str, ...]:
    """Return the names of ultralytics' detectors of boxes; none if it is not installed."""
    return tuple(name for file in ultralytics_files().values() for name in _names_described_in(file))


@functools.cache
def ultralytics_files() -> dict[str, Path]:
    """Return the descriptions of networks that come with ultralytics, by their names."""
    folder = _folder_of("ultralytics")
    files = () if folder is None else sorted((folder / "cfg" / "models").rglob("*.yaml"))
    return {file.stem: file for file in files}


def _names_described_in(file: Path) -> tuple[str, ...]:
    """Return the names that a description stands for: one for each size; none if it is of another kind."""
    text = file.read_text("utf-8")
    if not _ULTRALYTICS_HEAD.search(text):
        return ()
    sizes = _ULTRALYTICS_SIZES.search(text)
    if sizes is None or ULTRALYTICS_SIZE.search(file.stem):
        return (file.stem,)
    letters = re.findall(r"^\s+(\w): ", sizes[1], re.MULTILINE)
    return tuple(re.sub(r"(?<=\d)(?=$|-)", letter, file.stem, count=1) for letter in letters)


@functools.cache
def _scan(library: str, folder: str, row: re.Pattern[str]) -> tuple[str, ...]:
    """Return what a pattern finds in the modules of a library's folder; nothing if it is not installed."""
    root = _folder_of(library)
    files = () if root is None else sorted((root / folder).glob("*.py"))
    return tuple(sorted(found for file in files for found in row.findall(file.read_text("utf-8"))))


def _folder_of(library: str) -> Path | None:
    spec = importlib.util.find_spec(library)
    locations = None if spec is None else spec.submodule_search_locations
    return Path(locations[0]) if locations else None


@dataclasses.dataclass(frozen=True, slots=True)
class Catalog:
    """The published networks of a family with a prefix."""

    names: Callable[[], tuple[str, ...]]
    """Their names without the prefix; none if the library is not installed."""
    kind: Kind
    needs: str = ""
    """Other arguments that they need, as the end of a sentence."""


CATALOGS: dict[str, Catalog] = {
    "detection:": Catalog(lambda: torchvision_names("detection"), "detector"),
    "segmentation:": Catalog(lambda: torchvision_names("segmentation"), "segmenter"),
    "video:": Catalog(lambda: torchvision_names("video"), "clips"),
    "timm:": Catalog(timm_names, "classifier"),
    "clip:": Catalog(open_clip_names, "prompts", ", with texts for `prompts`"),
    "ultralytics:": Catalog(
        ultralytics_names, "detector", ", with its file for `weights`, and `trust_pickle`"
    ),
}
"""Prefix → the networks whose names begin with it."""
