"""The vector instructions of this processor, by which it rounds; many virtual ones go by one name."""

from __future__ import annotations

import functools
import os
from pathlib import Path

_DESCRIPTION = Path("/proc/cpuinfo")
_LISTS = ("flags", "Features")
"""Keys of the instructions there, on x86 and on ARM."""
_OF_VECTORS = ("amx", "asimd", "avx", "bf16", "f16c", "fma", "fphp", "i8mm", "sse", "sve", "vnni")
"""Beginnings of the names of instructions that compute with vectors or tiles."""


@functools.cache
def vector_instructions() -> tuple[str, ...]:
    """Return the names of the instructions, sorted; on Windows, which lists none, the kind of processor."""
    try:
        return instructions_in(_DESCRIPTION.read_text("utf-8", errors="replace"))
    except OSError:
        return tuple(filter(None, [os.environ.get("PROCESSOR_IDENTIFIER")]))  # as Windows sets it


def instructions_in(description: str) -> tuple[str, ...]:
    """Return the instructions that Linux lists of its first processor.

    Args:
        description: Content of /proc/cpuinfo.
    """
    for line in description.splitlines():
        key, _, names = line.partition(":")
        if key.strip() in _LISTS:
            return tuple(sorted(name for name in set(names.split()) if name.startswith(_OF_VECTORS)))
    return ()
