"""Parameters in messages become flags on the command line."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import streamcam
from streamcam.cli import cli
from streamcam.cli.flags import FLAGS, name_flags

PACKAGE = Path(streamcam.__file__).parent
LIBRARY = [path for path in sorted(PACKAGE.rglob("*.py")) if "cli" not in path.parts]

PYTHON_ONLY = {"frame_origins", "real_time", "settings"}
"""Parameters that messages name and the command line does not have: it never leads to these messages."""


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("check `start_s`", "check --start"),
        ("use `backend='auto'`", "use --backend auto"),
        ('use `backend="auto"`', "use --backend auto"),
        ("pass `overwrite=True` to replace it", "pass --overwrite to replace it"),
        ("`rate=25` works", "--fps 25 works"),
        ("`no_such_flag` and 'quotes' stay", "no_such_flag and 'quotes' stay"),
    ],
)
def test_parameters_become_flags(message: str, shown: str) -> None:
    assert name_flags(message) == shown


def test_every_flag_exists() -> None:
    known = {name for command in cli.commands.values() for each in command.params for name in each.opts}
    assert set(FLAGS.values()) <= known


def texts_of(path: Path) -> Iterator[str]:
    """Yield the strings of a file that are not docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_messages_of_the_library_name_parameters_that_have_flags(path: Path) -> None:
    for text in texts_of(path):
        named = set(re.findall(r"`(\w+)(?:=[^`]*)?`", text))
        assert named <= {*FLAGS, *PYTHON_ONLY}
        others = text.startswith("hf download ")
        assert others or not re.search(r"(?:^|[\s(])--[a-z]", text), "flags are for the command line"
