"""Check that dataclasses that were read from a file hold values of the types that they declare."""

from __future__ import annotations

import dataclasses
import math
import typing
from typing import Any


def check_types(value: Any) -> None:
    """Check the fields of a dataclass, and of those in it.

    Args:
        value: A dataclass of strings, numbers, booleans, tuples, dicts and dataclasses.

    Raises:
        ValueError: if a field holds a value of another type, or a number that is not finite.
    """
    for name, kind in typing.get_type_hints(type(value)).items():
        if not _is(getattr(value, name), kind):
            raise ValueError(f"{name} is no {kind}")


def _is(value: Any, kind: Any) -> bool:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        if isinstance(value, typing.cast(type, kind)):
            check_types(value)
            return True
        return False
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        kinds = arguments[:1] * len(value) if arguments[1:] == (...,) else arguments
        return len(kinds) == len(value) and all(map(_is, value, kinds))
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, origin or kind)
