"""Ray in this process: what is asked of a worker is done at once, and workers die when a test says so."""

from __future__ import annotations

import dataclasses
import pickle
import types
from collections.abc import Callable
from typing import Any, TypeVar

Sent = TypeVar("Sent")


class RayError(Exception):
    """A worker was lost."""


class FakeRay:
    """As much of the library as `streamcam.cluster` uses.

    Attributes:
        workers: The machine of every worker that was started.
        killed: Number of workers that were ended.
    """

    exceptions = types.SimpleNamespace(RayError=RayError)
    util = types.SimpleNamespace(
        scheduling_strategies=types.SimpleNamespace(
            NodeAffinitySchedulingStrategy=lambda node, soft: (node, soft)
        )
    )

    def __init__(
        self,
        *machines: dict[str, float],
        is_lost: Callable[[str], bool] = lambda _: False,
        is_ready: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """Start a cluster.

        Args:
            machines: The resources of each machine.
            is_lost: Called with the name of what a worker is asked for; whether it dies of that.
            is_ready: Called with the name of what a worker was asked for, each time that somebody waits for
                it; whether it has answered.
        """
        self.is_ready = is_ready
        self.machines = machines
        self.is_lost = is_lost
        self.workers: list[dict[str, Any]] = []
        self.killed = 0

    def is_initialized(self) -> bool:
        return True

    def nodes(self) -> list[dict[str, Any]]:
        return [
            {"NodeID": f"node {number}", "Alive": True, "Resources": resources}
            for number, resources in enumerate(self.machines)
        ]

    def remote(self, kind: Callable[..., object]) -> _Class:
        return _Class(self, kind)

    def cluster_resources(self) -> dict[str, float]:
        kinds = {kind for resources in self.machines for kind in resources}
        return {kind: sum(resources.get(kind, 0) for resources in self.machines) for kind in kinds}

    def available_resources(self) -> dict[str, float]:
        """All of it is taken."""
        return {}

    def get(self, answer: _Answer) -> object:
        if isinstance(answer.value, RayError):
            raise answer.value
        return answer.value

    def wait(
        self, answers: list[_Answer], num_returns: int = 1, timeout: float | None = None
    ) -> tuple[list[_Answer], list[_Answer]]:
        assert 0 < num_returns <= len(answers)
        assert timeout is None or timeout >= 0
        ready = [answer for answer in answers if self.is_ready(answer.name)]
        return ready, [answer for answer in answers if answer not in ready]

    def kill(self, _worker: object) -> None:
        self.killed += 1


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Answer:
    """What a worker answers.

    Attributes:
        name: What it was asked for.
        value: The answer, or how it died.
    """

    name: str
    value: object


class _Class:
    def __init__(self, ray: FakeRay, kind: Callable[..., object]) -> None:
        self._ray = ray
        self._kind = kind

    def options(self, **options: Any) -> _Class:
        self._ray.workers.append(options)
        return self

    def remote(self, *arguments: object) -> _Worker:
        return _Worker(self._ray, self._kind(*_sent(arguments)))


class _Worker:
    def __init__(self, ray: FakeRay, held: object) -> None:
        self._ray = ray
        self._held = held

    def __getattr__(self, name: str) -> object:
        def remote(*arguments: object) -> _Answer:
            answer = getattr(self._held, name)(*(arguments if name == "load" else _sent(arguments)))
            lost = RayError("The worker died.\nMore of it.") if self._ray.is_lost(name) else None
            return _Answer(name, lost or _sent(answer))

        return types.SimpleNamespace(remote=remote)


def _sent(message: Sent) -> Sent:
    """Return what arrives in another process; functions of tests do not travel."""
    arrived: Sent = pickle.loads(pickle.dumps(message))
    return arrived
