"""The repository's scripts, in tools/ and benchmarks/, as modules."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]


def load_script(place: str) -> ModuleType:
    """Import a script by its path, as ``"tools/make_docs.py"``, with those of its folder that it imports.

    It is imported once, and stays: its dataclasses look for their module in `sys.modules`.
    """
    path = ROOT / place
    name = path.stem
    found = sys.modules.get(name)
    if found is not None and found.__file__ == str(path):
        return found
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # as where it runs
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
