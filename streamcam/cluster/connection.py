"""Connecting to a Ray cluster, and finding the machines on which workers run."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
import os
import re
import signal
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from streamcam.errors import ClusterError, InvalidArgumentError, map_errors

LOCAL = "local"
"""The address of a cluster that is started on this machine."""

AUTO = "auto"
"""The address of the cluster that this machine belongs to."""

_REACHED_WITHIN_S = 5.0

_CURRENT = Path("/tmp/ray/ray_current_cluster")
"""The file in which Ray keeps the address of the cluster of a machine."""

_CPUS_PER_DRAWING = 4
"""One thread draws, others decode and encode."""


def load_ray() -> Any:
    """Import the library.

    Raises:
        InvalidArgumentError: if it is not installed.
    """
    # Nothing is sent to Ray's makers, and a machine without GPU needs no word on it.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
        import ray.util.scheduling_strategies
    except ImportError as error:
        raise InvalidArgumentError(
            f"a cluster needs {error.name}: install it with pip install 'streamcam[ray]'"
        ) from error
    return ray


@contextlib.contextmanager
def connected(ray: Any, address: str) -> Iterator[None]:
    """Connect to a cluster, unless this process is connected already, and leave it at the end."""
    if ray.is_initialized():
        yield
        return
    settings: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": logging.ERROR}
    if address == LOCAL:
        settings["include_dashboard"] = False
    else:
        _check_reachable(address)
    try:
        with map_errors(Exception, to=lambda error: _describe_refusal(address, error)), _kept_handler():
            ray.init(**settings)
        yield
    finally:
        ray.shutdown()


def _describe_refusal(address: str, error: Exception) -> ClusterError:
    if address == AUTO and isinstance(error, ConnectionError):
        return ClusterError(
            "this machine belongs to no running cluster; start its head with 'ray start', or name the "
            "address of one"
        )
    return ClusterError(f"the cluster {address!r} cannot be used: {first_line(error)}")


@contextlib.contextmanager
def _kept_handler() -> Iterator[None]:
    """Keep the handler of SIGTERM in this context: Ray replaces it, by one that aborts the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit as error:  # which Ray's handler raises
        raise KeyboardInterrupt from error
    finally:
        signal.signal(signal.SIGTERM, handler)


def _check_reachable(address: str) -> None:
    """Check an address before Ray, which tries for minutes.

    Raises:
        InvalidArgumentError: if it is none.
        ClusterError: if nobody answers.
    """
    name = repr(address)
    if address == AUTO:
        found = _address_here()
        if found is None:  # which Ray says at once
            return
        address, name = found, f"{found!r} of this machine"
    parts = re.fullmatch(r"(?:ray://)?([^\s:/]+):(\d{1,5})", address)
    if parts is None:
        raise InvalidArgumentError(
            f"{address!r} is no address of a cluster; use host:6379, ray://host:10001, auto or local"
        )
    with map_errors(
        OSError,
        OverflowError,
        to=lambda error: ClusterError(
            f"the cluster {name} cannot be reached: {getattr(error, 'strerror', None) or error}"
        ),
    ):
        socket.create_connection((parts[1], int(parts[2])), timeout=_REACHED_WITHIN_S).close()


def _address_here() -> str | None:
    """Return the address of the cluster that this machine belongs to, which may have ended; None for none."""
    named = os.environ.get("RAY_ADDRESS")
    if named:
        return named
    try:
        return _CURRENT.read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where a worker runs."""

    node: str
    """Its machine."""
    gpu_share: float
    """How much it gets of a GPU, from 0 to 1."""


def list_places(ray: Any, jobs: int | Literal["auto"]) -> list[Place]:
    """List where workers run, so that Ray finds a processor for each, and a share of a GPU if any.

    Args:
        ray: The library, connected.
        jobs: How many workers there are; "auto" for one on each GPU, and one on each machine without any.

    Returns:
        A place for each; none if no machine has a processor.

    Raises:
        InvalidArgumentError: if there are fewer processors than workers.
    """
    machines = {
        node["NodeID"]: (int(node["Resources"].get("CPU", 0)), int(node["Resources"].get("GPU", 0)))
        for node in ray.nodes()
        if node["Alive"] and node["Resources"].get("CPU", 0) >= 1
    }
    counts = {node: min(cpus, max(1, gpus)) for node, (cpus, gpus) in machines.items()}
    if jobs != "auto" and machines:
        processors = sum(cpus for cpus, _ in machines.values())
        if jobs > processors:
            raise InvalidArgumentError(
                f"`jobs` {jobs} is more than the {processors} processors of the cluster, and each worker "
                f"takes one; give {processors} at most"
            )
        counts = _share_out(jobs, counts, machines)
    return [
        Place(node, 1 / math.ceil(count / machines[node][1]) if machines[node][1] else 0)
        for node, count in counts.items()
        for _ in range(count)
    ]


def _share_out(
    jobs: int, suited: Mapping[str, int], machines: Mapping[str, tuple[int, int]]
) -> dict[str, int]:
    """Return how many workers each machine gets, in proportion to how many suit it."""
    counts = dict.fromkeys(suited, 0)
    for _ in range(jobs):
        free = [node for node, count in counts.items() if count < machines[node][0]]
        counts[min(free, key=lambda node: (counts[node] + 1) / suited[node])] += 1
    return counts


def list_drawing_places(ray: Any, chosen: Sequence[str]) -> list[str]:
    """List the machine of each worker that draws and encodes: one for every four processors.

    Args:
        ray: The library, connected.
        chosen: The machines that are used.
    """
    cpus = {node["NodeID"]: int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]}
    counts = {node: max(1, cpus.get(node, 0) // _CPUS_PER_DRAWING) for node in chosen}
    return [node for node, count in counts.items() for _ in range(count)]


def first_line(error: BaseException) -> str:
    """Return the line of a Ray error that says most: the last of a traceback, the first of other texts."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return lines[-1] if any(line.startswith("Traceback") or "ray::" in line for line in lines) else lines[0]
