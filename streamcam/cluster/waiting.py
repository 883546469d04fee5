"""Waiting for workers of a Ray cluster: in short slices, so that signals and stops are noticed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from streamcam.cluster.connection import LOCAL
from streamcam.errors import CancelledError

_log = logging.getLogger("streamcam.cluster")

POLL_S = 0.2
"""How long a slice is: how often those who wait for a worker look after it."""

PATIENCE_S = 10.0
"""After how long a wait is spoken of."""

A_WORKER = "a worker"
"""Description of a wait for a process that Ray has not begun yet."""


class ClusterWaits:
    """Waits for answers of workers, and says once what each long one is for."""

    def __init__(self, ray: Any, address: str, on_wait: Callable[[str], None]) -> None:
        """Prepare.

        Args:
            ray: The library, connected.
            address: The address of the cluster.
            on_wait: Called with what is waited for, in words, where that takes long.
        """
        self._ray = ray
        self._address = address
        self._on_wait = on_wait
        self._said: set[str] = set()

    def get(self, answer: Any, is_stopped: Callable[[], bool], describe: Callable[[], str]) -> Any:
        """Wait for an answer, and return it.

        Args:
            answer: What Ray gives for it.
            is_stopped: Whether nobody needs it any more.
            describe: Returns what is waited for, as `A_WORKER`.

        Raises:
            CancelledError: if nobody needs it any more.
            RayError: of Ray, if the worker is lost.
        """
        began_s = time.monotonic()
        while not self._ray.wait([answer], timeout=POLL_S)[0]:
            if is_stopped():
                raise CancelledError("the render has ended")
            self.note(began_s, describe)
        return self._ray.get(answer)

    def note(self, began_s: float, describe: Callable[[], str]) -> None:
        """Say what is waited for, if that takes long and was not said before.

        Args:
            began_s: When the wait began, of `time.monotonic`.
            describe: As for `get`.
        """
        if time.monotonic() - began_s < PATIENCE_S:
            return
        what = describe()
        if what in self._said:
            return
        self._said.add(what)
        text = f"waiting for {what}"
        if what == A_WORKER:
            text = f"{text}: {self._describe_resources()}"
        _log.info(text)
        self._on_wait(text)

    def _describe_resources(self) -> str:
        """Describe how much of the cluster is free."""
        total, free = self._ray.cluster_resources(), self._ray.available_resources()
        counts = [
            f"{free.get(kind, 0):g} of {total[kind]:g} {kind}s" for kind in ("CPU", "GPU") if total.get(kind)
        ]
        if total.get("memory"):
            counts.append(f"{free.get('memory', 0) / 1e9:.1f} of {total['memory'] / 1e9:.1f} GB of memory")
        where = "on this machine" if self._address == LOCAL else f"at {self._address}"
        return f"the cluster {where} has {' and '.join(counts) or 'no CPUs'} free"


def wait_for_all(ray: Any, answers: Sequence[Any], timeout_s: float) -> None:
    """Wait until all answers are there, or a time has passed."""
    if answers:
        ray.wait(list(answers), num_returns=len(answers), timeout=timeout_s)
