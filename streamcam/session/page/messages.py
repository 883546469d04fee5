"""Messages of browsers, checked before anything else sees them."""

from __future__ import annotations

import json
from typing import Any


def parse_command(text: str) -> dict[str, Any] | None:
    """Read a command; None for anything else."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict) or not values.keys() <= {"name", "argument", "key"}:
        return None
    name, argument, key = values.get("name"), values.get("argument"), values.get("key")
    is_call = isinstance(name, str) and key is None
    is_key = isinstance(key, str) and 0 < len(key) <= 9 and name is None and argument is None
    if isinstance(argument, bool) or not isinstance(argument, str | int | float | None):
        return None
    return values if is_call or is_key else None
