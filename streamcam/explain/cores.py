"""Count the usable CPU cores."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path

_CONTROL_GROUPS = Path("/sys/fs/cgroup")


def available_cores(control_groups: Path = _CONTROL_GROUPS) -> int:
    """Count the cores that this process may keep busy.

    A container sees all cores of the machine, but a quota limits its CPU time.

    Args:
        control_groups: Linux's directory of such quotas.

    Returns:
        At least 1.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    quota = _quota(control_groups)
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def _quota(control_groups: Path) -> float | None:
    """Seconds of processor time a second; None where there is no limit, or none can be read."""
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        quota, period = (control_groups / "cpu.max").read_text("ascii").split()
        return None if quota == "max" else int(quota) / int(period)
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):  # version 1
        quota, period = (
            (control_groups / "cpu" / f"cpu.cfs_{name}_us").read_text("ascii") for name in ("quota", "period")
        )
        return None if int(quota) < 0 else int(quota) / int(period)
    return None
