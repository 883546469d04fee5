"""The rooms of the project, and who may import whom: docs/architecture.md as a test."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import streamcam

PACKAGE = Path(streamcam.__file__).parent
PAGE = (Path(__file__).parent.parent / "docs" / "architecture.md").read_text(encoding="utf-8")

BASE = {"errors", "frames", "pictures", "resampling", "containers"}

ALLOWED: dict[str, set[str]] = {
    "__init__": set(),
    "errors": set(),
    "frames": {"errors"},
    "hdr": set(),
    "pictures": {"errors", "frames", "hdr"},
    "resampling": {"frames", "hdr", "pictures"},
    "containers": {"errors", "frames"},
    "sources": BASE,
    "models": BASE - {"containers"},
    "cam": BASE - {"containers"} | {"models"},
    "temporal": {"errors", "frames", "pictures"},
    "overlay": BASE - {"containers"},
    "sinks": BASE,
    "pipeline": BASE - {"containers"} | {"sources", "temporal", "overlay", "sinks"},
    "cli": BASE - {"containers"} | {"sources", "models", "cam", "temporal", "overlay", "sinks", "pipeline"},
    "__main__": {"cli"},
}
"""Room → the rooms it may import, besides itself and the package's bare name, which has the version."""

ALLOWED_FOR_TYPES: dict[str, set[str]] = {
    "cam": {"temporal"},
    "pipeline": {"cam"},
    "__init__": {"errors", "frames", "models", "cam", "temporal", "overlay", "sinks", "sources", "pipeline"},
}
"""The same, for imports that only type checkers follow."""

CONFINED: dict[str, set[str]] = {
    "av": {"sources", "sinks", "frames", "pictures", "resampling", "containers"},
    "torch": {"models", "cam"},
    "torchvision": {"models", "cam"},
    "click": {"cli"},
    "rich": {"cli"},
}
"""Foreign package → the only rooms that may import it; for types anyone may."""


@dataclasses.dataclass(frozen=True)
class Import:
    """One module that a file imports."""

    module: str
    line: int
    for_types: bool


def imports_of(source: str) -> Iterator[Import]:
    """Find every import of a file, inside functions too."""
    tree = ast.parse(source)
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test).endswith("TYPE_CHECKING")
        for statement in block.body
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute here"
            assert node.module is not None
            modules = [node.module]
            if node.module == "streamcam":  # each name is a room, or comes from one
                modules = [
                    streamcam._HOMES.get(alias.name, f"streamcam.{alias.name}") for alias in node.names
                ]
        else:
            continue
        for module in modules:
            yield Import(module, node.lineno, id(node) in typing_only)


def violations(room: str, source: str) -> list[str]:
    """Say what a file of a room imports and must not."""
    found = []
    for imported in imports_of(source):
        top, *rest = imported.module.split(".")
        if top != "streamcam":
            is_fine = imported.for_types or room in CONFINED.get(top, {room})
        elif not rest or rest == ["__version__"]:
            is_fine = True
        else:
            top, allowed = rest[0], ALLOWED[room] | {room}
            is_fine = top in allowed or (imported.for_types and top in ALLOWED_FOR_TYPES.get(room, set()))
        if not is_fine:
            found.append(f"line {imported.line}: {room} must not import {top}")
    return found


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(PACKAGE)) for path in FILES])
def test_imports_point_one_way(path: Path) -> None:
    assert violations(room_of(path), path.read_text(encoding="utf-8")) == []


def test_every_room_stands_in_the_table() -> None:
    rooms = {room_of(path) for path in FILES}
    assert rooms == set(ALLOWED)


def test_the_table_has_no_circles() -> None:
    def reach(room: str, seen: tuple[str, ...] = ()) -> None:
        assert room not in seen, " → ".join((*seen, room))
        for other in ALLOWED[room]:
            reach(other, (*seen, room))

    for room in ALLOWED:
        reach(room)


def test_sources_cam_overlay_and_sinks_never_meet() -> None:
    stages = {"sources", "cam", "overlay", "sinks"}
    for stage in stages:
        assert not ALLOWED[stage] & stages


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("errors", "from streamcam.frames import Frame"),
        ("frames", "import streamcam.pictures"),
        ("sources", "from streamcam.sinks import open_sink"),
        ("overlay", "from streamcam import cam"),
        ("sinks", "def late():\n    from streamcam.sources.video import open_container"),
        ("cam", "from streamcam.overlay.colormaps import COLORMAPS"),
        ("models", "from streamcam.cam import Explainer"),
        ("pipeline", "from streamcam.cam import Explainer"),
        ("pipeline", "from streamcam.cli import run"),
        ("sources", "if TYPE_CHECKING:\n    from streamcam.pipeline import Channel"),
        ("models", "from streamcam import stream"),
        ("overlay", "from streamcam import StreamcamError, Explainer"),
        ("models", "from streamcam.containers import open_film"),
        ("cam", "from av.video.reformatter import Interpolation"),
        ("overlay", "import av"),
        ("pipeline", "import torch"),
        ("pictures", "from torch import nn"),
        ("sinks", "import numpy, click"),
        ("overlay", "try:\n    from rich import print\nexcept ImportError:\n    pass"),
        ("__main__", "from streamcam.pipeline import render"),
    ],
)
def test_a_forbidden_import_is_found(room: str, source: str) -> None:
    assert len(violations(room, source)) == 1


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("sources", "from streamcam.sources.base import Source"),
        ("cam", "from streamcam.models import Classifier\nimport torch"),
        ("pipeline", "if TYPE_CHECKING:\n    from streamcam.cam import Explainer"),
        ("pipeline", "from streamcam import __version__\nimport streamcam"),
        ("overlay", "if typing.TYPE_CHECKING:\n    import av"),
        ("cli", "import click\nfrom streamcam.pipeline import render"),
        ("sinks", "import numpy as np\nimport av"),
    ],
)
def test_an_allowed_import_is_let_pass(room: str, source: str) -> None:
    assert violations(room, source) == []


def test_relative_imports_are_refused() -> None:
    with pytest.raises(AssertionError, match="absolute"):
        violations("cam", "from ..models import Classifier")


def test_the_page_lists_every_module_of_every_room_once() -> None:
    listed = []
    for section in PAGE.partition("\n## Modules\n")[2].split("\n### ")[1:]:
        folder, *lines = section.splitlines()
        rows = [line.split("|")[1] for line in lines if line.startswith("| `")]
        listed += [f"{folder}{name}.py" for row in rows for name in re.findall(r"`(\w+)`", row)]
    modules = [path.relative_to(PACKAGE) for path in FILES if path.name != "__init__.py"]
    assert sorted(listed) == sorted(path.as_posix() for path in modules if len(path.parts) > 1)


def test_every_file_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`((?:[a-z_0-9]+/)*[a-z_0-9]+\.py)`", PAGE))
    assert len(named) > 20
    assert {
        name for name in named if not any((at / name).exists() for at in (PACKAGE, PACKAGE.parent))
    } == set()
