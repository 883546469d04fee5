"""``streamcam`` in a process of its own, with a network that is made up: a window opens in a second.

python fake_live.py ARGUMENTS...
"""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))


def make_explainers(**_settings: Any) -> object:
    """Take the settings of the real ones and need none of them."""
    from live_fakes import FakeExplainers  # only now: who imports what first matters to windows

    return FakeExplainers()


def main() -> int:
    module = types.ModuleType("streamcam.cli.live_explainers")
    module.LiveExplainers = make_explainers  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module

    from streamcam.cli import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
