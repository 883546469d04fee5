"""``streamcam`` in a process of its own, with a network that is made up: a window opens in a second.

python fake_live.py ARGUMENTS...

The network ``vit_h_14`` is never loaded. When Python comes to its end by itself, it is said.
"""

from __future__ import annotations

import atexit
import sys
import threading
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))


def fake_explainers(model: dict[str, Any], _first_frames: object = None) -> object:
    """Return explainers without a network; of vit_h_14, none is ever returned."""
    from live_fakes import FakeExplainers

    def wait_for_ever(_request: object) -> None:
        threading.Event().wait()

    return wait_for_ever if model["name"] == "vit_h_14" else FakeExplainers()


def main() -> None:
    """Begin as ``python -m streamcam`` does."""
    from streamcam.session import explainers

    explainers.build_from_model = lambda model, *_streams, **_settings: model  # type: ignore[assignment, return-value]
    explainers.Explainers = fake_explainers  # type: ignore[assignment, misc]

    atexit.register(print, "Python has ended")

    from streamcam.__main__ import main as begin

    begin()


if __name__ == "__main__":
    main()
