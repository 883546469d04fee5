"""Waiting for workers: it ends soon after a stop or a signal at every phase, and says what it is for."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_ray import FakeRay
from media_factory import make_clip
from part_fakes import CPU, FRAMES, RankingExplainer, render, start
from stage_fakes import FakeExplainer, fake_modules

import streamcam
from streamcam import RayCluster, RenderSettings
from streamcam.cli import run
from streamcam.cluster import ray_cluster, waiting
from streamcam.pipeline.manifest import read_manifest
from streamcam.pipeline.parts import encoder
from streamcam.pipeline.render_many import ManyPlan, plan_many
from streamcam.sinks.resume import segments


def never(*names: str, but_at: Callable[[], object]) -> Callable[[str], bool]:
    """Return a hook for answers that never come; something happens when the first is waited for again."""
    waits = 0

    def is_ready(asked: str) -> bool:
        nonlocal waits
        waits += asked == names[0]
        if asked == names[0] and waits == 4:
            but_at()
        return asked not in names

    return is_ready


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        (["load", "count_frames"], "a worker: the cluster at cluster:1 has 0 of 4 CPUs and 0 of 1 GPUs free"),
        (["load"], "a worker to load its network"),
        (["begin_video"], "a worker to explain the first frames"),
    ],
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_the_first_frame(
    video: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    missing: list[str],
    message: str,
    number: signal.Signals,
) -> None:
    for name, module in fake_modules(RankingExplainer).items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(waiting, "PATIENCE_S", 0.0)
    is_ready = never(*missing, but_at=lambda: signal.raise_signal(number))
    ray = start(monkeypatch, CPU, {"CPU": 2.0, "GPU": 1.0}, is_ready=is_ready)
    assert run(["render", video, "-o", "parts.mp4", "--ray", "cluster:1"]) == 130
    said = capfd.readouterr().err
    assert said == f"streamcam: waiting for {message}\nstreamcam: interrupted; nothing was written\n"
    assert ray.killed == 2
    assert [path.name for path in Path().iterdir()] == [video]


def stop_many(files: list[str], kind: Any, running: list[ManyPlan]) -> list[tuple[str, object]]:
    """Render files on a cluster until it is stopped, and return what became of them."""
    with plan_many(files, "out/") as plan, RayCluster("cluster:1", part_s=1.0).open(kind) as pool:
        running.append(plan)
        result = plan.run_with(pool)
    assert result.interrupted
    noted = [(entry.status, entry.messages) for entry in read_manifest(Path("out"))]
    assert noted == [("interrupted", ())]
    return [(job.status, job.error) for job in result.jobs]


def test_a_stop_before_the_first_batch_of_a_long_video(video: str, monkeypatch: pytest.MonkeyPatch) -> None:
    running: list[ManyPlan] = []
    ray = start(monkeypatch, CPU, CPU, is_ready=never("begin_video", but_at=lambda: running[0].stop()))
    assert stop_many([video], RankingExplainer, running) == [("interrupted", None)]
    assert ray.killed == 2


@pytest.mark.usefixtures("video")
def test_a_stop_while_no_machine_is_free_for_a_lost_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    running: list[ManyPlan] = []
    lost: list[str] = []

    def lose(name: str) -> bool:
        lost.extend(["one"] if name == "render" else [])
        return name == "render"

    def stop_at_the_next(name: str) -> bool:
        if name == "load" and lost:
            running[0].stop()
        return name != "load" or not lost

    start(monkeypatch, CPU, is_lost=lose, is_ready=stop_at_the_next)
    files = [str(make_clip(Path(f"{number}.mp4"), frames=4)) for number in range(2)]
    assert stop_many(files, FakeExplainer, running) == [("interrupted", None)]


@pytest.mark.usefixtures("video")
def test_a_worker_that_is_lost_because_all_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a service manager ends all processes at once: it is no reason to start over."""
    running: list[ManyPlan] = []

    def lose(name: str) -> bool:
        if name == "render":
            running[0].stop()
        return name == "render"

    ray = start(monkeypatch, CPU, is_lost=lose)
    files = [str(make_clip(Path(f"{number}.mp4"), frames=4)) for number in range(2)]
    assert stop_many(files, FakeExplainer, running) == [("interrupted", None)]
    assert len(ray.workers) == 1


@pytest.fixture
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (segments, encoder):
        monkeypatch.setattr(module, "FRAMES_PER_SEGMENT", 10)


@pytest.mark.usefixtures("short_segments")
@pytest.mark.parametrize(("part_s", "is_whole"), [(1.0, False), (10.0, True)])
def test_a_stop_while_parts_are_drawn(
    video: str, monkeypatch: pytest.MonkeyPatch, part_s: float, is_whole: bool
) -> None:
    """In the middle, and when all frames are explained: that stays, and the render goes on with it."""
    running: list[Any] = []
    ray = start(monkeypatch, CPU, is_ready=never("draw", but_at=lambda: running[0].stop()))
    result = streamcam.render(
        video,
        "parts.mp4",
        RankingExplainer,  # type: ignore[arg-type]
        settings=RenderSettings(resume=True, sidecar="parts.jsonl"),
        cluster=RayCluster("cluster:1", part_s=part_s),
        on_start=running.append,
    )
    assert result.interrupted
    assert result.frames == 0
    assert result.kept is not None
    assert result.kept.frames > result.kept.encoded == 0
    assert (result.kept.frames == FRAMES) is is_whole
    assert ray.killed == 2
    assert {path.name for path in Path().iterdir()} == {video, "parts.mp4.parts"}
    start(monkeypatch, CPU)
    again = render(video, "parts", resume=True)
    assert (again.frames, again.carried) == (FRAMES, result.kept.frames)


@pytest.mark.usefixtures("short_segments")
def test_a_part_that_is_drawn_after_the_last_frame_is_explained(
    video: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = iter(range(8))
    start(monkeypatch, CPU, is_ready=lambda asked: asked != "draw" or next(waits, None) is None)
    result = streamcam.render(
        video,
        "parts.mp4",
        RankingExplainer,  # type: ignore[arg-type]
        settings=RenderSettings(resume=True),
        cluster=RayCluster("cluster:1", part_s=10.0),
    )
    assert (result.frames, result.interrupted, next(waits, None)) == (FRAMES, False, None)


def test_a_worker_lost_at_the_first_batch_is_replaced(video: str, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([True, True])
    ray = start(monkeypatch, CPU, is_lost=lambda asked: asked == "begin_video" and next(losses, False))
    assert render(video, "parts").notes == ()
    assert len(ray.workers) == 3


def test_the_handler_of_a_signal_is_kept() -> None:
    """Ray's own aborts the process."""

    class Intruder(FakeRay):
        def is_initialized(self) -> bool:
            return False

        def init(self, **_settings: object) -> None:
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(15))
            if self.machines == ():
                signal.raise_signal(signal.SIGTERM)

        def shutdown(self) -> None:
            self.killed += 1

    handler = signal.getsignal(signal.SIGTERM)
    ray = Intruder(CPU)
    with ray_cluster.connected(ray, "local"):
        assert signal.getsignal(signal.SIGTERM) is handler
    assert ray.killed == 1
    with pytest.raises(KeyboardInterrupt), ray_cluster.connected(Intruder(), "local"):
        pass
    assert signal.getsignal(signal.SIGTERM) is handler
