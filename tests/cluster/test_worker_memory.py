"""The memory that workers ask a cluster for."""

from __future__ import annotations

import sys

import pytest
from fake_ray import FakeRay
from part_fakes import RankingExplainer, render, start

from streamcam.cluster import memory
from streamcam.cluster.connection import Place
from streamcam.cluster.worker import RenderWorker, WorkerReport
from streamcam.errors import ClusterError


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of 1 GB."""
    load = RenderWorker.load

    def load_large(self: RenderWorker, *arguments: object) -> WorkerReport:
        report = load(self, *arguments)  # type: ignore[arg-type]
        return WorkerReport(report.host, report.version, report.identity, 1_000_000_000)

    monkeypatch.setattr(RenderWorker, "load", load_large)


@pytest.mark.usefixtures("reports")
def test_what_workers_ask_for(video: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one is measured; the others ask for that, a quarter more, and 130 frames of the video."""
    size = {"CPU": 1.0, "memory": 2e9}
    losses = iter([True])
    ray = start(monkeypatch, size, size, is_lost=lambda asked: asked == "begin_video" and next(losses, False))
    render(video, "parts", RankingExplainer)
    need = 1_250_000_000 + 130 * 64 * 48 * 3 // 2
    assert [options["memory"] for options in ray.workers] == [0, need, need]


@pytest.mark.usefixtures("reports")
def test_too_little_memory(video: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = start(monkeypatch, {"CPU": 1.0, "memory": 1.2e9})
    with pytest.raises(
        ClusterError, match=r"a worker needs 1.3 GB of memory .* has 1.2 GB for Ray; give fewer"
    ):
        render(video, "parts", RankingExplainer)
    assert ray.killed == 1


def test_kinds_of_workers_share_a_machine() -> None:
    places = [Place("node 0", 0.5), Place("node 0", 0.5), Place("node 1", 0)]
    ray = FakeRay({"memory": 7.9e9}, {"CPU": 1.0})
    memory.check_memory(ray, places, {True: 3_900_000_000, False: 10**12})
    with pytest.raises(ClusterError, match=r"2 workers need 8\.0 GB of memory"):
        memory.check_memory(ray, places, {True: 4_000_000_000, False: 0})


@pytest.mark.skipif(sys.platform == "win32", reason="the system does not tell")
def test_this_process_takes_memory() -> None:
    assert 10**7 < memory.peak_bytes() < 10**12
    assert memory.estimate_bytes(0, None) == 130 * 1920 * 1080 * 3 // 2
