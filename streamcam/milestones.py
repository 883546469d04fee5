"""When the process reached each stage of its start, on the logger ``streamcam.start``."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

_logger = logging.getLogger("streamcam.start")
_imported_s = time.monotonic()
_reached: set[str] = set()


def reach(stage: str) -> None:
    """Log, the first time in this process, how long after its start something has happened.

    Args:
        stage: What has happened, in a few words.
    """
    if stage not in _reached:
        _reached.add(stage)
        _logger.info("%.2f s: %s", process_age_s(), stage)


def process_age_s() -> float:
    """Return the seconds since the process began; elsewhere than on Linux since this module was imported."""
    try:
        # The 22nd field: clock ticks from the boot to the start. The second is a name that may have spaces.
        fields = Path("/proc/self/stat").read_text("ascii", "replace").rpartition(")")[2].split()
        began_s = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return time.clock_gettime(time.CLOCK_BOOTTIME) - began_s
    except (OSError, ValueError, IndexError, AttributeError):
        return time.monotonic() - _imported_s
