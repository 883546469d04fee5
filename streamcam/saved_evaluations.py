"""Evaluations and audits that were saved as JSON: reading them back, without a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from streamcam.errors import InvalidArgumentError, map_errors

_FIELDS = frozenset({"best", "model", "advice", "metrics", "methods", "frames", "shots", "input"})
_FIELDS_OF_AUDITS = frozenset({"model", "method", "roi", "score", "passed", "classes", "scenes", "input"})


def read_evaluation(name: str) -> dict[str, Any]:
    """Read an evaluation.

    Args:
        name: The file, as ``streamcam evaluate --json`` prints it.

    Raises:
        InvalidArgumentError: if it cannot be read, or is no evaluation.
    """
    return _read(name, _FIELDS, "evaluation", "evaluate")


def read_audit(name: str) -> dict[str, Any]:
    """Read an audit.

    Args:
        name: The file, as ``streamcam audit --json`` prints it.

    Raises:
        InvalidArgumentError: if it cannot be read, or is no audit.
    """
    return _read(name, _FIELDS_OF_AUDITS, "audit", "audit")


def _read(name: str, fields: frozenset[str], kind: str, command: str) -> dict[str, Any]:
    refusal = InvalidArgumentError(f"{name!r} is no {kind}; write one as JSON with streamcam {command}")
    with (
        map_errors(OSError, to=lambda error: _unreadable(name, error)),
        map_errors(ValueError, to=lambda _error: refusal),
    ):
        record = json.loads(Path(name).read_text(encoding="utf-8"))
    if not isinstance(record, dict) or not record.keys() >= fields:
        raise refusal
    return record


def check_network(record: dict[str, Any], name: str, model: str, verb: str = "evaluate") -> None:
    """Refuse an evaluation or an audit of another network.

    Args:
        record: What `read_evaluation` or `read_audit` returned.
        name: The file.
        model: Name of the network that is explained.
        verb: The command that made it.

    Raises:
        InvalidArgumentError: if it is of another one.
    """
    if record["model"] != model:
        raise InvalidArgumentError(f"{name!r} {verb}s {record['model']}, not {model}; {verb} that one")


def read_best(name: str) -> str:
    """Return the method that an evaluation recommends.

    Args:
        name: The file, as for `read_evaluation`.

    Raises:
        InvalidArgumentError: as for `read_evaluation`, and if it recommends no method.
    """
    record = read_evaluation(name)
    if record["best"] is None:
        raise InvalidArgumentError(f"{name!r} recommends no method: {record['advice']}")
    return str(record["best"])


def _unreadable(name: str, error: Exception) -> InvalidArgumentError:
    return InvalidArgumentError(f"{name!r} cannot be read: {getattr(error, 'strerror', None) or error}")
