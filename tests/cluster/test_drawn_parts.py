"""Parts of one video that workers draw and encode: the output is that of one machine, byte by byte."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from media_factory import make_clip
from part_fakes import CPU, FRAMES, RankingExplainer, render, start

import streamcam
from streamcam import RayCluster, RenderSettings, SourceSettings, TemporalSettings
from streamcam.cluster import ray_video
from streamcam.cluster.drawing_worker import DrawingWorker
from streamcam.cluster.ray_drawing import RayDrawingPool
from streamcam.errors import ClusterError
from streamcam.explanations import UNTRUSTED_METHODS
from streamcam.pipeline.parts import encoder, worker
from streamcam.sinks.resume import segments
from streamcam.sources import Source, open_source

Drawn = list[tuple[list[int], str]]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    """What workers are asked to draw: the first frames of the segments, and the warning of those before."""
    asked: Drawn = []
    draw = DrawingWorker.draw

    def note(self: DrawingWorker, task: Any) -> Any:
        asked.append(([segment[0].mark.index for segment in task.segments], task.warning))
        return draw(self, task)

    monkeypatch.setattr(DrawingWorker, "draw", note)
    monkeypatch.setattr(segments, "FRAMES_PER_SEGMENT", 25)
    monkeypatch.setattr(encoder, "FRAMES_PER_SEGMENT", 25)
    return asked


def check_in_segments(video: str, make: Callable[[], Any] = RankingExplainer, **settings: Any) -> None:
    """Compare an output with that of one explainer, byte by byte, as both are made in segments."""
    settings = {"resume": True, "sidecar": "alone.jsonl", **settings}
    streamcam.render(video, "alone.mp4", make(), settings=RenderSettings(**settings))
    assert Path("parts.jsonl").read_bytes() == Path("alone.jsonl").read_bytes()
    assert Path("parts.mp4").read_bytes() == Path("alone.mp4").read_bytes()


@pytest.mark.parametrize("every", [1, 3])
def test_workers_draw_and_encode_segments(
    video: str, monkeypatch: pytest.MonkeyPatch, drawn: Drawn, every: int
) -> None:
    """A skipped frame is drawn with the warning of the last explained one, which lies in the part before."""
    method, warning = next(iter(UNTRUSTED_METHODS.items()))
    monkeypatch.setattr(RankingExplainer, "method", method)
    ray = start(monkeypatch, {"CPU": 8.0}, CPU)
    settings = {"temporal": TemporalSettings(label_hold_s=0.1, every=every), "resume": True}
    result = streamcam.render(
        video,
        "parts.mp4",
        RankingExplainer,  # type: ignore[arg-type]
        settings=RenderSettings(sidecar="parts.jsonl", **settings),
        cluster=RayCluster("cluster:1", part_s=2.0),
    )
    assert (result.frames, result.notes) == (FRAMES, ())
    assert drawn == [([0, 25], ""), ([50, 75], warning), ([100], warning)]
    drawers = [options for options in ray.workers if options["num_cpus"] == 0]
    assert [options["scheduling_strategy"][0] for options in drawers] == ["node 0", "node 0", "node 1"]
    assert {options["max_task_retries"] for options in drawers} == {2}
    assert ray.killed == 5
    check_in_segments(video, **settings)


def test_parts_that_seeking_changes_are_drawn_from_the_beginning(
    video: str, monkeypatch: pytest.MonkeyPatch, drawn: Drawn
) -> None:
    start(monkeypatch, CPU)
    make_clip(Path("b.mp4"), frames=FRAMES, b_frames=2)

    def open_another(location: str, settings: SourceSettings) -> Source:
        return open_source("b.mp4" if settings.start_s else location, settings)

    monkeypatch.setattr(worker, "open_source", open_another)
    render(video, "parts", resume=True)
    assert len(drawn) == 5
    check_in_segments(video)


@pytest.mark.usefixtures("drawn")
def test_workers_that_draw_other_images_than_here(video: str, monkeypatch: pytest.MonkeyPatch) -> None:
    start(monkeypatch, CPU)
    make_clip(Path("b.mp4"), frames=FRAMES)
    real, draw = worker.open_source, DrawingWorker.draw

    def draw_another(self: DrawingWorker, task: Any) -> Any:
        monkeypatch.setattr(worker, "open_source", lambda _location, settings: real("b.mp4", settings))
        return draw(self, task)

    monkeypatch.setattr(DrawingWorker, "draw", draw_another)
    with pytest.raises(ClusterError, match="a worker reads frame"):
        render(video, "parts", resume=True)
    assert not Path("parts.mp4").exists()


def test_what_is_drawn_stays_when_a_part_is_given_up(
    video: str, monkeypatch: pytest.MonkeyPatch, drawn: Drawn
) -> None:
    losses = iter([False, True])
    start(monkeypatch, CPU, is_lost=lambda asked: asked == "draw" and next(losses, False))
    with pytest.raises(ClusterError, match=r"'a.mp4' was given up at frame 25, after 3 attempts: The worker"):
        render(video, "parts", resume=True)
    drawn.clear()
    assert render(video, "parts", resume=True, overwrite=True).frames == FRAMES
    assert [begins for begins, _ in drawn] == [[25], [50], [75], [100]]
    check_in_segments(video)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Ray is tried on Linux")
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_a_worker_killed_while_it_draws_on_a_real_cluster(
    video: str, monkeypatch: pytest.MonkeyPatch, two_machines: str
) -> None:
    """Ray starts it again, and its part is drawn again."""
    monkeypatch.setattr(segments, "FRAMES_PER_SEGMENT", 25)
    monkeypatch.setattr(encoder, "FRAMES_PER_SEGMENT", 25)
    killed: list[int] = []

    class Killer(RayDrawingPool):
        def submit(self, task: Any) -> Any:
            if killed:
                return super().submit(task)
            pids = [actor.__ray_call__.remote(lambda _: os.getpid()) for actor in self._actors]
            killed.extend(self._ray.get(pids))
            pending = super().submit(task)
            for pid in killed:
                os.kill(pid, signal.SIGKILL)
            return pending

    monkeypatch.setattr(ray_video, "RayDrawingPool", Killer)

    def default_network() -> streamcam.Explainer:
        return streamcam.Explainer(streamcam.load_model(), batch_size=4)

    settings = RenderSettings(sidecar="parts.jsonl", resume=True)
    cluster = RayCluster(two_machines, part_s=2.0)
    result = streamcam.render(video, "parts.mp4", default_network, settings=settings, cluster=cluster)
    assert len(killed) == 2
    assert (result.frames, result.notes) == (FRAMES, ())
    check_in_segments(video, default_network)
