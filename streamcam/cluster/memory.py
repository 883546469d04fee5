"""Memory that a worker needs: measured of its network, estimated of the video."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from streamcam.cluster.connection import Place
from streamcam.errors import ClusterError
from streamcam.frames import SourceInfo

_BEYOND_LOADING = 1.25
"""Memory of a process whose network computes, in proportion to what it took when that was loaded."""

_FRAMES = 130
"""How many frames are in memory at a time at most: decoded, waiting, drawn, and held by the encoder."""

_UNKNOWN_SIZE = (1920, 1080)
"""The size of videos that are not open yet."""


def peak_bytes() -> int:
    """Return how much memory this process has taken at most; 0 where the system does not tell."""
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def estimate_bytes(loaded_bytes: int, info: SourceInfo | None) -> int:
    """Estimate how much memory a worker needs.

    Args:
        loaded_bytes: What its process took when the network was loaded.
        info: The video; None if it is not open yet.
    """
    width, height = _UNKNOWN_SIZE if info is None else (info.width, info.height)
    samples = width * height * 3 // 2  # of planes with half the resolution for colors
    sample_bytes = 2 if info is not None and "10" in info.pixel_format else 1
    return round(loaded_bytes * _BEYOND_LOADING) + _FRAMES * samples * sample_bytes


def check_memory(ray: Any, places: Sequence[Place], needs: Mapping[bool, int]) -> None:
    """Check that machines have the memory for all workers there: Ray would wait forever.

    Args:
        ray: The library, connected.
        places: Where the workers run.
        needs: Whether a worker has a GPU → how much memory it needs, in bytes.

    Raises:
        ClusterError: if one has too little.
    """
    there = {node["NodeID"]: node["Resources"].get("memory") for node in ray.nodes() if node["Alive"]}
    asked: Counter[str] = Counter()
    for place in places:
        asked[place.node] += needs[place.gpu_share > 0]
    for node, total in asked.items():
        has = there.get(node)
        if has is not None and total > has:
            count = sum(place.node == node for place in places)
            workers = "a worker needs" if count == 1 else f"{count} workers need"
            raise ClusterError(
                f"{workers} {total / 1e9:.1f} GB of memory with this network, and a machine of the cluster "
                f"has {has / 1e9:.1f} GB for Ray; give fewer `jobs`, or start Ray there with more memory"
            )
