"""The rooms of the project, who may import whom, and the words that it keeps to."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import streamcam

PACKAGE = Path(streamcam.__file__).parent
ROOT = PACKAGE.parent
BASE = {
    "errors",
    "caching",
    "lazy_names",
    "milestones",
    "frames",
    "panes",
    "files",
    "empty_maps",
    "explanations",
    "media",
    "evidence",
    "saved_evaluations",
}

ALLOWED: dict[str, set[str]] = {
    "__init__": {"lazy_names"},
    "errors": set(),
    "caching": set(),
    "lazy_names": set(),
    "milestones": set(),
    "frames": {"errors"},
    "files": {"errors"},
    "saved_evaluations": {"errors", "files"},
    "panes": {"errors"},
    "empty_maps": set(),
    "explanations": {"errors", "empty_maps", "frames"},
    "media": {"errors", "frames"},
    "evidence": {"errors", "lazy_names", "frames", "explanations"},
    "sources": BASE,
    "models": BASE,
    "temporal": BASE,
    "localization": BASE | {"temporal"},
    "overlay": BASE,
    "sinks": BASE,
    "explain": BASE | {"models", "sources"},
    "pipeline": BASE | {"sources", "temporal", "localization", "overlay", "sinks"},
    "cluster": BASE | {"sources", "models", "temporal", "explain", "pipeline"},
    "audits": BASE | {"sources", "models", "temporal", "localization", "overlay", "explain"},
    "synthesis": BASE | {"models", "sources", "overlay", "explain"},
    "evaluation": BASE | {"sources", "models", "temporal", "localization", "explain"},
    "report": BASE | {"localization", "overlay", "sinks"},
    "session": BASE
    | {"sources", "models", "temporal", "localization", "overlay", "sinks", "explain", "pipeline"},
    "cli": BASE
    | {
        "audits",
        "cluster",
        "evaluation",
        "sources",
        "models",
        "explain",
        "temporal",
        "localization",
        "overlay",
        "sinks",
        "pipeline",
        "report",
        "session",
        "synthesis",
    },
    "__main__": {"cli"},
}
"""Room → the rooms it may import, besides itself and the package's bare name, which has the version."""

ALLOWED_FOR_TYPES: dict[str, set[str]] = {
    "pipeline": {"explain", "models"},
    "explanations": {"overlay"},
    "explain": {"temporal"},
    "report": {"audits"},
    "__init__": {
        *BASE,
        "audits",
        "cluster",
        "evaluation",
        "models",
        "explain",
        "temporal",
        "localization",
        "overlay",
        "sinks",
        "sources",
        "pipeline",
        "session",
        "synthesis",
    },
}
"""The same, for imports that only type checkers follow."""

ALLOWED_LATE: dict[str, set[str]] = {
    # Explanation.draw, for which most users of explanations have no use.
    "explanations": {"overlay", "sources"},
    # How a frame shows itself in a notebook.
    "frames": {"media"},
}
"""The same, for imports inside functions."""

CONFINED: dict[str, set[str]] = {
    "av": {"sources", "sinks", "frames", "media"},
    "torch": {"models", "explain", "synthesis"},
    "torchvision": {"models", "explain"},
    "click": {"cli"},
    # nncf draws progress bars on rich's console, which are turned off.
    "rich": {"cli", "explain"},
    "h5py": {"evidence"},
    "fsspec": {"media"},
}
"""Foreign package → the only rooms that may import it; for types anyone may."""


@dataclasses.dataclass(frozen=True)
class Import:
    """One module that a file imports."""

    module: str
    line: int
    for_types: bool
    is_late: bool
    """Whether it is inside a function."""


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
    late = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
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
            yield Import(module, node.lineno, id(node) in typing_only, id(node) in late)


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
            if imported.for_types:
                allowed |= ALLOWED_FOR_TYPES.get(room, set())
            if imported.is_late:
                allowed |= ALLOWED_LATE.get(room, set())
            is_fine = top in allowed
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


def test_sources_explain_temporal_overlay_and_sinks_never_meet() -> None:
    stages = {"sources", "temporal", "overlay", "sinks"}
    for stage in stages:
        assert not ALLOWED[stage] & stages


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("errors", "from streamcam.frames import Frame"),
        ("frames", "import streamcam.media.images"),
        ("explanations", "from streamcam.overlay import Overlay"),
        ("sources", "from streamcam.sinks import open_sink"),
        ("overlay", "from streamcam import explain"),
        ("sinks", "def late():\n    from streamcam.sources.video import open_container"),
        ("explain", "from streamcam.overlay.colormaps import COLORMAPS"),
        ("models", "from streamcam.explain import Explainer"),
        ("pipeline", "from streamcam.explain import Explainer"),
        ("pipeline", "from streamcam.cli import run"),
        ("sources", "if TYPE_CHECKING:\n    from streamcam.pipeline import Channel"),
        ("models", "from streamcam import stream"),
        ("overlay", "from streamcam import StreamcamError, Explainer"),
        ("media", "from streamcam.models import Classifier"),
        ("explain", "from av.video.reformatter import Interpolation"),
        ("overlay", "import av"),
        ("pipeline", "import torch"),
        ("media", "from torch import nn"),
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
        ("explanations", "def draw():\n    from streamcam.overlay import Overlay"),
        ("explain", "from streamcam.models import Classifier\nimport torch"),
        ("pipeline", "if TYPE_CHECKING:\n    from streamcam.explain import Explainer"),
        ("pipeline", "from streamcam import __version__\nimport streamcam"),
        ("overlay", "if typing.TYPE_CHECKING:\n    import av"),
        ("cli", "import click\nfrom streamcam.pipeline import render"),
        ("sinks", "import numpy as np\nimport av"),
    ],
)
def test_an_allowed_import_is_let_pass(room: str, source: str) -> None:
    assert violations(room, source) == []


INVENTED = (
    r"anew|told|befalls?|befell|deeds?|keepers?|lanes?|steadied|steadier|afresh|wanted|made whole|so many|"
    r"to be had|films?|colou?rs? of its own|colours?|coloured|grey|centre|behaviour|normalise[ds]?"
)
"""Words that need a dictionary, and British spellings: the field has other words for them."""

WORDS = re.compile(rf"(?<![a-z])(?:{INVENTED})(?![a-z])|\"\"\"Assign\b|\"\"\"(?:What|Tell) ", re.IGNORECASE)

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def invented_words(text: str) -> list[str]:
    """Find words that a reader would have to look up in the code, in identifiers too."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.removeprefix("WantedBy=")  # systemd's own word
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", line)  # CamelCase
        found += [f"line {number}: {match[0]}" for match in WORDS.finditer(words)]
    return found


@pytest.mark.parametrize("path", [*FILES, *PAGES], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_invented_words(path: Path) -> None:
    assert invented_words(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "told = read()",
        "class DeedTable:",
        "the steadied heat",
        '"""Assign.',
        '"""What there is to do.',
        "# made whole",
        "is_wanted",
    ],
)
def test_an_invented_word_is_found(line: str) -> None:
    assert len(invented_words(line)) == 1


@pytest.mark.parametrize("line", ["a plane of pixels", "the filmstrip", "unwanted", "indeed"])
def test_plain_words_pass(line: str) -> None:
    assert invented_words(line) == []


def test_relative_imports_are_refused() -> None:
    with pytest.raises(AssertionError, match="absolute"):
        violations("explain", "from ..models import Classifier")


# --- comparing -------------------------------------------------------------------------------------------

HOLDS_ARRAYS = re.compile(r"(?:Array\b|NDArray|Arrays\b|Tensor\b|Table\b|VideoFrame\b|\bImage\b)")


def compared_by_value(source: str) -> list[str]:
    """Find dataclasses that hold arrays or images and compare by value, which raises or means nothing."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ClassDef):
            continue
        decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
        if not any(text.startswith("dataclasses.dataclass") for text in decorators):
            continue
        types = [ast.unparse(field.annotation) for field in node.body if isinstance(field, ast.AnnAssign)]
        holds_arrays = any(HOLDS_ARRAYS.search(text) and not text.startswith("Callable") for text in types)
        if holds_arrays and not any("eq=False" in text for text in decorators):
            found.append(node.name)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_that_holds_arrays_compares_by_value(path: Path) -> None:
    assert compared_by_value(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("held", ["NDArray[np.float32]", "Image", "Image | None", "av.VideoFrame"])
def test_a_dataclass_that_compares_arrays_or_images_is_found(held: str) -> None:
    source = f"@dataclasses.dataclass({{}})\nclass Heat:\n    values: {held}\n"
    assert compared_by_value(source.format("frozen=True")) == ["Heat"]
    assert compared_by_value(source.format("frozen=True, eq=False")) == []


# --- systems ---------------------------------------------------------------------------------------------

ELSEWHERE = {"fcntl", "grp", "pty", "pwd", "resource", "termios", "tty"}
"""Modules of Python that Windows lacks."""


def imports_that_windows_lacks(source: str) -> list[str]:
    """Find imports that end a start on Windows: neither in a function nor where the system is asked for."""
    guarded = {
        node.lineno
        for block in ast.walk(ast.parse(source))
        if isinstance(block, ast.If) and ast.unparse(block.test) == "sys.platform != 'win32'"
        for node in ast.walk(block)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    return [
        f"line {each.line}: {each.module}"
        for each in imports_of(source)
        if each.module in ELSEWHERE and not each.is_late and each.line not in guarded
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_everything_can_be_imported_on_windows(path: Path) -> None:
    assert imports_that_windows_lacks(path.read_text(encoding="utf-8")) == []


def test_an_import_that_windows_lacks_is_found() -> None:
    assert imports_that_windows_lacks("import fcntl") == ["line 1: fcntl"]
    assert imports_that_windows_lacks("import sys\nif sys.platform != 'win32':\n    import fcntl") == []
    assert imports_that_windows_lacks("def late():\n    import fcntl") == []
