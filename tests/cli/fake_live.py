"""``streamcam`` in a process of its own, with a network that is made up: a window opens in a second.

python fake_live.py ARGUMENTS...

A network called ``endless`` is never loaded. When Python comes to its end by itself, it is said.
"""

from __future__ import annotations

import atexit
import sys
import threading
import types
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))


def make_explainers(model: dict[str, Any], **_settings: Any) -> object:
    """Take the settings of the real ones and need hardly any of them."""
    from live_fakes import FakeExplainers

    class EndlessExplainers(FakeExplainers):
        def make(self, _wanted: object) -> Any:
            threading.Event().wait()

    return EndlessExplainers() if model["name"] == "endless" else FakeExplainers()


def main() -> None:
    """Begin as ``python -m streamcam`` does."""
    module = types.ModuleType("streamcam.session.explainers")
    module.LiveExplainers = make_explainers  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module

    atexit.register(print, "Python has ended")

    from streamcam.__main__ import main as begin

    begin()


if __name__ == "__main__":
    main()
