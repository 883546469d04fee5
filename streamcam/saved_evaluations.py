"""Evaluations that were saved as JSON: reading them back, without a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from streamcam.errors import InvalidArgumentError, map_errors

_FIELDS = frozenset({"best", "model", "advice", "metrics", "methods", "frames", "shots", "input"})


def read_evaluation(name: str) -> dict[str, Any]:
    """Read an evaluation.

    Args:
        name: The file, as ``streamcam evaluate --json`` prints it.

    Raises:
        InvalidArgumentError: if it cannot be read, or is no evaluation.
    """
    with (
        map_errors(OSError, to=lambda error: _unreadable(name, error)),
        map_errors(ValueError, to=lambda _error: _no_evaluation(name)),
    ):
        record = json.loads(Path(name).read_text(encoding="utf-8"))
    if not isinstance(record, dict) or not record.keys() >= _FIELDS:
        raise _no_evaluation(name)
    return record


def check_network(record: dict[str, Any], name: str, model: str) -> None:
    """Refuse an evaluation of another network.

    Args:
        record: What `read_evaluation` returned.
        name: The file.
        model: Name of the network that is explained.

    Raises:
        InvalidArgumentError: if it is of another one.
    """
    if record["model"] != model:
        raise InvalidArgumentError(f"{name!r} evaluates {record['model']}, not {model}; evaluate that one")


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


def _no_evaluation(name: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"{name!r} is no evaluation; write one as JSON with streamcam evaluate")
