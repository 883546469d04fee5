"""Connecting to a Ray cluster, and finding the machines on which workers run."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import socket
from collections.abc import Iterator, Sequence
from typing import Any

from streamcam.errors import ClusterError, InvalidArgumentError, map_errors

LOCAL = "local"
"""The address of a cluster that is started on this machine."""

AUTO = "auto"
"""The address of the cluster that this machine belongs to."""

_REACHED_WITHIN_S = 5.0

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
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == LOCAL:
        settings["include_dashboard"] = False
    else:
        _check_reachable(address)
        settings["address"] = address
    with map_errors(
        Exception,
        to=lambda error: ClusterError(f"the cluster {address!r} cannot be used: {first_line(error)}"),
    ):
        ray.init(**settings)
    try:
        yield
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Check an address before Ray, which tries for minutes.

    Raises:
        InvalidArgumentError: if it is none.
        ClusterError: if nobody answers.
    """
    if address == AUTO:
        return
    parts = re.fullmatch(r"(?:ray://)?([^\s:/]+):(\d{1,5})", address)
    if parts is None:
        raise InvalidArgumentError(
            f"{address!r} is no address of a cluster; use host:6379, ray://host:10001, auto or local"
        )
    with map_errors(
        OSError,
        OverflowError,
        to=lambda error: ClusterError(
            f"the cluster {address!r} cannot be reached: {getattr(error, 'strerror', None) or error}"
        ),
    ):
        socket.create_connection((parts[1], int(parts[2])), timeout=_REACHED_WITHIN_S).close()


def list_places(ray: Any) -> list[tuple[str, bool]]:
    """List where workers run: the machine of each, and whether it gets a GPU."""
    places: list[tuple[str, bool]] = []
    for node in ray.nodes():
        resources = node["Resources"]
        if node["Alive"] and resources.get("CPU", 0) >= 1:
            gpus = int(resources.get("GPU", 0))
            places += [(node["NodeID"], gpus > 0)] * max(1, gpus)
    return places


def list_drawing_places(ray: Any, chosen: Sequence[str]) -> list[str]:
    """List the machine of each worker that draws and encodes: one for every four processors.

    Args:
        ray: The library, connected.
        chosen: The machines that are used.
    """
    cpus = {node["NodeID"]: int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]}
    return [node for node in dict.fromkeys(chosen) for _ in range(max(1, cpus[node] // _CPUS_PER_DRAWING))]


def first_line(error: BaseException) -> str:
    """Return the line of a Ray error that says most: the last of a traceback, the first of other texts."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return lines[-1] if any(line.startswith("Traceback") or "ray::" in line for line in lines) else lines[0]
