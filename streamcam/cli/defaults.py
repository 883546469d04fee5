"""Default values of the library's settings, read from their source text.

Options have the defaults of the dataclasses and functions that their values are passed to. Importing those
would load torch, OpenCV and FFmpeg for every ``--help``, so the source text is parsed instead.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import streamcam

_PACKAGE = Path(streamcam.__file__).parent


@functools.cache
def defaults_of(name: str) -> dict[str, Any]:
    """Return the default value of each parameter of a public class or function.

    Args:
        name: A public name of streamcam: a dataclass, a class, or a function.

    Returns:
        Parameter name → default value, without the parameters that have none.
    """
    module, definition = _find(streamcam._HOMES[name], name)
    return {
        parameter: _value(module, default)
        for parameter, default in _parameters(definition)
        if default is not None
    }


def _parameters(definition: ast.AST) -> Iterator[tuple[str, ast.expr | None]]:
    """Yield the parameters of a definition, each with the expression of its default."""
    if isinstance(definition, ast.FunctionDef):
        signature = definition.args
        positional = [*signature.posonlyargs, *signature.args]
        yield from zip(
            [each.arg for each in positional[len(positional) - len(signature.defaults) :]],
            signature.defaults,
            strict=True,
        )
        yield from zip([each.arg for each in signature.kwonlyargs], signature.kw_defaults, strict=True)
    elif isinstance(definition, ast.ClassDef):
        for statement in definition.body:
            if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
                yield from _parameters(statement)
            elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                yield statement.target.id, statement.value


def _value(module: str, expression: ast.expr) -> Any:
    """Evaluate a default: a literal, a constant that is one, or an item of such a constant."""
    if isinstance(expression, ast.Name):
        home, definition = _find(module, expression.id)
        if isinstance(definition, ast.expr):
            return _value(home, definition)
    if isinstance(expression, ast.Subscript):
        return _value(module, expression.value)[_value(module, expression.slice)]
    try:
        return ast.literal_eval(expression)
    except ValueError:  # `field(default_factory=…)` and the like
        return None


def _find(module: str, name: str) -> tuple[str, ast.AST]:
    """Find where a name is defined, following imports.

    Returns:
        The module, and the class, the function, or the expression that is assigned to the name.

    Raises:
        LookupError: if it is not defined in streamcam.
    """
    for statement in _statements(module, name):
        if isinstance(statement, ast.ClassDef | ast.FunctionDef):
            return module, statement
        if isinstance(statement, ast.ImportFrom) and statement.module is not None:
            for alias in statement.names:
                if name == (alias.asname or alias.name):
                    return _find(statement.module, alias.name)
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            return module, statement.value
    raise LookupError(f"{name} is not defined in {module}")


def _statements(module: str, name: str) -> Iterator[ast.stmt]:
    """Parse the statements of a module that may define a name: to parse all of it takes ten times as long."""
    for text in _split(module):
        if re.match(
            rf"(?:class|def) {name}\b|{name} *[:=]|(?:if TYPE_CHECKING:\s+)?from .*\b{name}\b",
            text,
            re.DOTALL,
        ):
            for statement in ast.parse(_shorten(text)).body:
                yield from statement.body if isinstance(statement, ast.If) else [statement]


@functools.cache
def _split(module: str) -> list[str]:
    """Split a module's source text where lines begin with a word or a decorator."""
    path = _PACKAGE.parent.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return re.split(r"^(?=[\w@])", path.read_text(encoding="utf-8"), flags=re.MULTILINE)


def _shorten(definition: str) -> str:
    """Leave out the methods behind a class's `__init__`, which say nothing of its parameters."""
    start = definition.find("\n    def __init__(")
    end = re.search(r"\n    (?:def |@)", definition[start + 1 :]) if start >= 0 else None
    return definition if end is None else definition[: start + 1 + end.start()]
