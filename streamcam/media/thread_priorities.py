"""Threads that stay as urgent as they were.

SVT-AV1, where root runs it on Linux, gives its own threads and the one that opens it the highest real-time
priority, and programs that are started from there inherit it: two that wait for each other so can keep a
whole machine from doing anything else.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

_TASKS = Path("/proc/self/task")


@contextlib.contextmanager
def kept_priorities() -> Iterator[None]:
    """Give threads whose scheduling policy changes meanwhile, and new ones, the one of this thread."""
    if sys.platform != "linux" or not _TASKS.is_dir():
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    before = _policies()
    try:
        yield
    finally:
        for thread, now in _policies().items():
            if now != before.get(thread, policy):
                with contextlib.suppress(ProcessLookupError):  # it has ended
                    os.sched_setscheduler(thread, policy, parameters)


def _policies() -> dict[int, int]:
    """Return the scheduling policy of every thread of this process, by its number."""
    policies = {}
    if sys.platform == "linux":
        for thread in (int(task.name) for task in _TASKS.iterdir()):
            with contextlib.suppress(ProcessLookupError):
                policies[thread] = os.sched_getscheduler(thread)
    return policies
