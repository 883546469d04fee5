"""Renders on a cluster: with Ray in this process, and with two real machines of it on this one."""

from __future__ import annotations

import dataclasses
import errno
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from fake_ray import FakeRay
from media_factory import make_clip
from part_fakes import RankingExplainer
from stage_fakes import FakeExplainer

import streamcam
from streamcam import RenderSettings
from streamcam.cli import run
from streamcam.cluster import RayCluster, connection, ray_cluster
from streamcam.cluster.connection import list_places
from streamcam.cluster.worker import RenderWorker, WorkerReport
from streamcam.errors import ClusterError, InvalidArgumentError, ModelError
from streamcam.pipeline.many_results import RenderManyResult

FRAMES = 6
CPU, GPU = {"CPU": 2.0}, {"CPU": 8.0, "GPU": 2.0}


@pytest.fixture
def videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Three videos, of which the second is none."""
    monkeypatch.chdir(tmp_path)
    make_clip(Path("a.mp4"), frames=FRAMES)
    Path("b.mp4").write_bytes(b"no video" * 100)
    make_clip(Path("c.mp4"), frames=FRAMES + 1)
    return ["a.mp4", "b.mp4", "c.mp4"]


def start(monkeypatch: pytest.MonkeyPatch, ray: FakeRay) -> FakeRay:
    monkeypatch.setattr(ray_cluster, "load_ray", lambda: ray)
    return ray


def render(videos: list[str], output: str = "out", **settings: Any) -> RenderManyResult:
    return streamcam.render_many(
        videos,
        output,
        FakeExplainer,  # type: ignore[arg-type]
        cluster=RayCluster("cluster:1"),
        settings=RenderSettings(sidecar=f"{output}/maps"),
        **settings,
    )


def test_outputs_are_those_of_one_machine(videos: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    ray = start(monkeypatch, FakeRay(CPU, GPU, {"CPU": 0.0}))
    result = render(videos)
    assert [job.status for job in result.jobs] == ["done", "failed", "done"]
    assert [job.frames for job in result.jobs] == [FRAMES, 0, FRAMES + 1]
    assert "is not a video that FFmpeg can read" in str(result.jobs[1].error)
    places = [(options["scheduling_strategy"], options["num_gpus"]) for options in ray.workers]
    assert places == [(("node 0", True), 0), (("node 1", True), 1), (("node 1", True), 1)]
    assert ray.killed == 3
    here = RenderSettings(sidecar="alone/maps")
    streamcam.render_many(videos, "alone", FakeExplainer(), settings=here)  # type: ignore[arg-type]
    for name in ("a.mp4", "c.mp4", "maps/a.jsonl", "maps/c.jsonl"):
        assert Path("out", name).read_bytes() == Path("alone", name).read_bytes()
    assert [job.status for job in render(videos).jobs] == ["kept", "failed", "kept"]


def test_a_long_video_among_others_is_rendered_in_parts(
    videos: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """First, by all workers together; and with the bytes of one machine."""
    ray = start(monkeypatch, FakeRay(CPU, CPU))
    make_clip(Path("long.mp4"), frames=60)
    asked: list[str] = []
    monkeypatch.setattr(ray, "is_lost", lambda name: (asked.append(name), False)[1])
    finished: list[str] = []
    result = streamcam.render_many(
        [*videos, "long.mp4"],
        "out",
        RankingExplainer,  # type: ignore[arg-type]
        cluster=RayCluster("cluster:1", part_s=1.0),
        on_result=lambda one: finished.append(str(one.job.source)),
    )
    assert [job.status for job in result.jobs] == ["done", "failed", "done", "done"]
    assert (finished[0], asked.count("explain_part"), asked.count("render")) == ("long.mp4", 2, 3)
    assert len(ray.workers) == 2
    streamcam.render_many([*videos, "long.mp4"], "alone", RankingExplainer())  # type: ignore[arg-type]
    for name in ("a.mp4", "c.mp4", "long.mp4"):
        assert Path("out", name).read_bytes() == Path("alone", name).read_bytes()


def test_a_long_video_that_fails_leaves_the_workers_free(
    videos: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    start(monkeypatch, FakeRay(CPU, CPU, is_lost=lambda asked: asked == "explain_part"))
    make_clip(Path("long.mp4"), frames=60)
    result = streamcam.render_many(
        ["long.mp4", *videos],
        "out",
        RankingExplainer,  # type: ignore[arg-type]
        cluster=RayCluster("cluster:1", part_s=1.0),
    )
    assert [job.status for job in result.jobs] == ["failed", "done", "failed", "done"]
    assert "'long.mp4' was given up at frame 0, after 3 attempts" in str(result.jobs[0].error)


def test_a_lost_worker_is_replaced(videos: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([True, True])
    ray = FakeRay(CPU, is_lost=lambda asked: asked == "render" and next(losses, False))
    start(monkeypatch, ray)
    result = render(videos[:1])
    assert [job.status for job in result.jobs] == ["done"]
    assert len(ray.workers) == ray.killed == 3


@pytest.mark.usefixtures("videos")
def test_a_file_that_ends_every_worker_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([True, True, True])
    start(monkeypatch, FakeRay(CPU, is_lost=lambda asked: asked == "render" and next(losses, False)))
    first, second = render(["c.mp4", "a.mp4"]).jobs
    assert (first.status, second.status) == ("failed", "done")
    assert str(first.error) == "'c.mp4' was given up after 3 attempts: The worker died."


@pytest.mark.parametrize(
    ("report", "words"),
    [
        ({"version": "0.0.9"}, "the worker on far has streamcam 0.0.9, and .* runs here; install the same"),
        ({"error": ModelError("no weights")}, "the worker on far cannot be used: no weights"),
        ({"identity": {"weights": "x"}}, "the workers on near and far differ in weights: w and x"),
    ],
)
def test_workers_that_cannot_be_used(
    videos: list[str], monkeypatch: pytest.MonkeyPatch, report: dict[str, Any], words: str
) -> None:
    good = WorkerReport("near", streamcam.__version__, {"weights": "w", "device": "cpu"})
    bad = dataclasses.replace(good, host="far", **report)
    reports = iter([good, bad])
    monkeypatch.setattr(RenderWorker, "load", lambda *_: next(reports))
    ray = start(monkeypatch, FakeRay(CPU, CPU))
    with pytest.raises(ClusterError, match=words):
        render(videos)
    assert ray.killed == 2


def test_a_worker_without_the_shared_disk(videos: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_directory: str) -> None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    start(monkeypatch, FakeRay(CPU))
    monkeypatch.setattr(os, "chdir", refuse)
    with pytest.raises(ClusterError, match=rf"does not see the disk '{Path.cwd()}': No such file"):
        render(videos)


def test_a_cluster_without_processors(videos: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    start(monkeypatch, FakeRay({"CPU": 0.0}))
    with pytest.raises(ClusterError, match="has no machine with a processor to spare"):
        render(videos)


@pytest.mark.parametrize(
    ("machines", "jobs", "expected"),
    [
        ([CPU, GPU], "auto", [("node 0", 0), ("node 1", 1), ("node 1", 1)]),
        ([{"CPU": 1.0, "GPU": 2.0}], "auto", [("node 0", 1)]),
        ([CPU, GPU], 1, [("node 1", 1)]),
        ([CPU, CPU], 3, [("node 0", 0), ("node 0", 0), ("node 1", 0)]),
        ([GPU], 3, [("node 0", 0.5)] * 3),
        ([{"CPU": 1.0}, GPU], 6, [("node 0", 0)] + [("node 1", 1 / 3)] * 5),
    ],
)
def test_every_worker_finds_a_place(
    machines: list[dict[str, float]], jobs: Any, expected: list[tuple[str, float]]
) -> None:
    """Ray would wait forever for processors and GPUs that are not there."""
    places = list_places(FakeRay(*machines), jobs)
    assert [(place.node, place.gpu_share) for place in places] == expected


def test_more_workers_than_processors(
    videos: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    start(monkeypatch, FakeRay(CPU, CPU))
    assert run(["render", *videos, "-o", "out/", "--ray", "cluster:1", "--jobs", "5"]) == 2
    assert "--jobs 5 is more than the 4 processors of the cluster" in capfd.readouterr().err


def test_standard_input_stays_here(videos: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    start(monkeypatch, FakeRay(CPU))
    assert "standard input is not sent to a cluster" in str(render([videos[0], "-"]).jobs[1].error)


@pytest.fixture
def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.usefixtures("videos")
def test_clusters_that_are_none(
    unused_port: int, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeRay, "is_initialized", lambda _: False)
    start(monkeypatch, FakeRay(CPU))
    address = f"127.0.0.1:{unused_port}"
    assert run(["render", "a.mp4", "c.mp4", "-o", "out/", "--ray", address]) == 1
    said = capfd.readouterr().err
    assert said == f"streamcam: error: the cluster {address!r} cannot be reached: Connection refused\n"
    current = Path("current")
    current.write_text(f"{address}\n")
    monkeypatch.setattr(connection, "_CURRENT", current)
    assert run(["render", "a.mp4", "c.mp4", "-o", "out/", "--ray", "auto"]) == 1
    said = capfd.readouterr().err
    assert said.endswith(f"the cluster {address!r} of this machine cannot be reached: Connection refused\n")
    current.unlink()

    def refuse(_ray: object, **_settings: object) -> None:
        raise ConnectionError("Could not find any running Ray instance. Set `--address`.")

    monkeypatch.setattr(FakeRay, "init", refuse, raising=False)
    monkeypatch.setattr(FakeRay, "shutdown", lambda _: None, raising=False)
    assert run(["render", "a.mp4", "c.mp4", "-o", "out/", "--ray", "auto"]) == 1
    assert "this machine belongs to no running cluster; start its head" in capfd.readouterr().err
    assert run(["render", "a.mp4", "-o", "out/", "--ray", "c.mp4"]) == 2
    assert "'c.mp4' is no address of a cluster; use host:6379" in capfd.readouterr().err
    assert run(["render", "a.mp4", "-o", "a.mkv", "--ray", address, "--part-seconds", "0"]) == 2
    assert "--part-seconds 0 is not a length above 0 seconds" in capfd.readouterr().err


def test_without_ray(videos: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InvalidArgumentError, match=r"a cluster needs ray: .*streamcam\[ray\]"):
        render(videos)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Ray is tried on Linux")
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_a_worker_killed_on_a_real_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, two_machines: str
) -> None:
    """The default network: the same bytes as one machine makes, and nothing else."""
    monkeypatch.chdir(tmp_path)
    videos = [str(make_clip(Path(f"{number}.mp4"), frames=20, size=(96, 64))) for number in range(4)]

    def make_explainer() -> Any:
        explainer = streamcam.Explainer(streamcam.load_model(), batch_size=4)
        explain = explainer.explain_frames

        def explain_or_die(frames: Any, tracker: Any = None) -> Any:
            died = Path("died")
            if frames[0].index == 8 and not died.exists():
                died.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return explain(frames, tracker)

        explainer.explain_frames = explain_or_die  # type: ignore[method-assign]
        return explainer

    result = streamcam.render_many(
        videos,
        "out",
        make_explainer,
        cluster=RayCluster(two_machines),
        settings=RenderSettings(sidecar="out/maps"),
    )
    assert Path("died").exists()  # it is there now, so that none dies here
    assert [job.status for job in result.jobs] == ["done"] * len(videos)
    streamcam.render_many(videos, "alone", make_explainer(), settings=RenderSettings(sidecar="alone/maps"))
    names = [f"{number}.mp4" for number in range(4)] + [f"maps/{number}.jsonl" for number in range(4)]
    for name in names:
        assert Path("out", name).read_bytes() == Path("alone", name).read_bytes(), name
    assert {path.name for path in Path("out").iterdir()} == {*names[:4], "maps", "streamcam.jsonl"}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Ray is tried on Linux")
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_a_worker_killed_in_the_middle_of_a_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, two_machines: str
) -> None:
    """The default network: one video in four parts, with the bytes of one machine."""
    monkeypatch.chdir(tmp_path)
    make_clip(Path("a.mp4"), frames=96, size=(96, 64), b_frames=2)

    def make_explainer() -> Any:
        explainer = streamcam.Explainer(streamcam.load_model(), batch_size=4)
        explain = explainer.explain_frames

        def explain_or_die(frames: Any, tracker: Any = None) -> Any:
            died = Path("died")
            if frames[0].index == 52 and not died.exists():
                died.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return explain(frames, tracker)

        explainer.explain_frames = explain_or_die  # type: ignore[method-assign]
        return explainer

    result = streamcam.render(
        "a.mp4",
        "parts.mp4",
        make_explainer,
        cluster=RayCluster(two_machines, part_s=1.0),
        settings=RenderSettings(sidecar="parts.jsonl"),
    )
    assert Path("died").exists()
    assert result.frames == 96
    streamcam.render("a.mp4", "alone.mp4", make_explainer(), settings=RenderSettings(sidecar="alone.jsonl"))
    for suffix in ("mp4", "jsonl"):
        assert Path(f"parts.{suffix}").read_bytes() == Path(f"alone.{suffix}").read_bytes()
