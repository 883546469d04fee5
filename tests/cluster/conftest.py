"""Fixtures of the tests of clusters."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from media_factory import make_clip
from part_fakes import FRAMES, paint_waves

from streamcam.pipeline.parts import plan


@pytest.fixture
def video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plan, "WARM_UP_S", 0.4)
    return str(make_clip(Path("a.mp4"), frames=FRAMES, paint=paint_waves, b_frames=2))


@pytest.fixture
def two_machines() -> Iterator[str]:
    """The address of a cluster of two machines with one processor each, on this one."""
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        yield cluster.address
    finally:
        cluster.shutdown()
