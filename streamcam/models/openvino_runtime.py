"""Load OpenVINO without its telemetry."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
from typing import Any, cast

_CONVERTER = "openvino.tools.ovc"


def available() -> bool:
    """Return whether OpenVINO is installed, without loading it."""
    return importlib.util.find_spec("openvino") is not None


def load_openvino() -> Any:
    """Import OpenVINO.

    Its tools report every import over the network if the package openvino_telemetry is installed, and it is,
    as a dependency. That package is hidden. So is its converter while OpenVINO is imported: that takes as
    long as the rest, and what is converted already does not need it. `openvino.convert_model` imports it.
    """
    if "openvino" in sys.modules:
        return sys.modules["openvino"]
    sys.modules.setdefault("openvino_telemetry", cast(Any, None))
    is_hidden = sys.modules.setdefault(_CONVERTER, cast(Any, None)) is None
    try:
        import openvino
    finally:
        if is_hidden:
            del sys.modules[_CONVERTER]
    loaded: Any = openvino
    if is_hidden:
        loaded.convert_model = _convert_model
    return loaded


def _convert_model(*given: Any, **settings: Any) -> Any:
    """Convert a network: OpenVINO's own function, imported at its first use."""
    openvino: Any = sys.modules["openvino"]
    openvino.convert_model = importlib.import_module(_CONVERTER).convert_model
    return openvino.convert_model(*given, **settings)


@functools.cache
def core() -> Any:
    """Return the one OpenVINO core of this process, which lives as long as it does.

    OpenVINO's CPU plugin gives the thread that loads it a stack for signal handlers, and takes that memory
    back with the last core, in whichever thread that happens: the next Ctrl-C would end in a crash.
    """
    return load_openvino().Core()
