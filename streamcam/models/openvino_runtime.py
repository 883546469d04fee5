"""Load OpenVINO without its telemetry."""

from __future__ import annotations

import functools
import importlib.util
import sys
from typing import Any, cast


def available() -> bool:
    """Return whether OpenVINO is installed, without loading it."""
    return importlib.util.find_spec("openvino") is not None


def load_openvino() -> Any:
    """Import OpenVINO.

    Its tools report every import over the network if the package openvino_telemetry is installed, and it is,
    as a dependency. That package is hidden.
    """
    if "openvino" not in sys.modules:
        sys.modules.setdefault("openvino_telemetry", cast(Any, None))
    import openvino

    return openvino


@functools.cache
def core() -> Any:
    """Return the one OpenVINO core of this process, which lives as long as it does.

    OpenVINO's CPU plugin gives the thread that loads it a stack for signal handlers, and takes that memory
    back with the last core, in whichever thread that happens: the next Ctrl-C would end in a crash.
    """
    return load_openvino().Core()
