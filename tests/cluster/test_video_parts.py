"""One video explained in parts by the workers of a cluster: the output is that of a single explainer."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import fsspec
import numpy as np
import pytest
from media_factory import make_clip
from numpy.typing import NDArray
from part_fakes import CPU, FRAMES, RankingExplainer, render, start
from stage_fakes import fake_modules
from toy_models import CellDetector, cell_detector, clip_colors

import streamcam
from streamcam import RayCluster, RenderSettings, SourceSettings, TemporalSettings
from streamcam.cli import run
from streamcam.cluster.worker import RenderWorker
from streamcam.errors import ClusterError, InvalidArgumentError, SourceError
from streamcam.media.images import planes_of
from streamcam.models import Model, Output
from streamcam.pipeline.parts import plan, worker
from streamcam.sources import Source, open_source, stored


def check(video: str, output: str = "parts", **settings: Any) -> None:
    """Compare an output with that of one explainer."""
    settings["resume"] = False
    streamcam.render(
        video,
        "alone.mp4",
        RankingExplainer(),  # type: ignore[arg-type]
        settings=RenderSettings(sidecar="alone.jsonl", **settings),
    )
    assert Path(f"{output}.jsonl").read_bytes() == Path("alone.jsonl").read_bytes()
    ours, alone = (list(open_source(name)) for name in (f"{output}.mp4", "alone.mp4"))
    assert len(ours) == len(alone)
    for one, other in zip(ours, alone, strict=True):
        assert one.pts == other.pts
        for plane, same in zip(planes_of(one.image), planes_of(other.image), strict=True):
            assert np.array_equal(plane, same)


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int | None, bool]]:
    """What workers are asked to explain: begin, end, and whether it is for the second time."""
    asked: list[tuple[int, int | None, bool]] = []
    explain = RenderWorker.explain_part

    def note(self: RenderWorker, task: Any) -> Any:
        asked.append((task.part.begin, task.part.end, task.state is not None))
        return explain(self, task)

    monkeypatch.setattr(RenderWorker, "explain_part", note)
    return asked


def test_parts_make_what_one_explainer_makes(
    video: str, monkeypatch: pytest.MonkeyPatch, tasks: list[Any]
) -> None:
    ray = start(monkeypatch, CPU, CPU)
    settings = {"temporal": TemporalSettings(mode="none", label_hold_s=0.1)}
    result = render(video, "parts", **settings)
    assert (result.frames, result.notes) == (FRAMES, ())
    assert tasks == [(0, 26, False), (26, 52, False), (52, 78, False), (78, 104, False), (104, None, False)]
    assert ray.killed == 2
    check(video, **settings)


def test_where_labels_differ_a_part_is_explained_again(
    video: str, monkeypatch: pytest.MonkeyPatch, tasks: list[Any]
) -> None:
    start(monkeypatch, CPU)
    settings = {"temporal": TemporalSettings(mode="none", label_hold_s=2.0)}
    monkeypatch.setattr(plan, "_LABEL_HOLDS", 0)
    result = render(video, "parts", **settings)
    again = [task for task in tasks if task[2]]
    assert again
    assert all(begin % 2 == 0 for begin, _, _ in again)
    (note,) = result.notes
    assert note.endswith("frames were explained twice, where parts of the video meet")
    check(video, **settings)


@pytest.mark.parametrize("every", [2, 5, "auto"])
def test_skipped_frames(video: str, monkeypatch: pytest.MonkeyPatch, every: int | Literal["auto"]) -> None:
    start(monkeypatch, CPU, CPU)
    settings = {"temporal": TemporalSettings(mode="none", label_hold_s=0.1, every=every)}
    assert render(video, "parts", **settings).notes == ()
    check(video, **settings)


def test_a_part_of_the_video(video: str, monkeypatch: pytest.MonkeyPatch) -> None:
    start(monkeypatch, CPU, CPU)
    settings = {"source": SourceSettings(start_s=0.5, end_s=4.0)}
    render(video, "parts", **settings)
    check(video, **settings)


def test_images_that_seeking_changes_are_read_from_the_beginning(
    video: str, monkeypatch: pytest.MonkeyPatch, tasks: list[Any]
) -> None:
    """As where a decoder needs more than a keyframe."""
    start(monkeypatch, CPU)
    make_clip(Path("b.mp4"), frames=FRAMES, b_frames=2)

    def open_another(location: str, settings: SourceSettings) -> Source:
        return open_source("b.mp4" if settings.start_s else location, settings)

    monkeypatch.setattr(worker, "open_source", open_another)
    result = render(video, "parts")
    assert "explained twice" in result.notes[0]
    # The first part that is not read from the beginning, 4 batches, and twice as many as before each time.
    assert [task[:2] for task in tasks if task[2]][:3] == [(52, 60), (60, 76), (76, 78)]
    check(video)


def test_workers_that_read_other_images_than_here(video: str, monkeypatch: pytest.MonkeyPatch) -> None:
    start(monkeypatch, CPU)
    make_clip(Path("b.mp4"), frames=FRAMES)
    monkeypatch.setattr(worker, "open_source", lambda _location, settings: open_source("b.mp4", settings))
    with pytest.raises(ClusterError, match="a worker reads frame 0 as another image than this machine"):
        render(video, "parts")
    assert not Path("parts.mp4").exists()


def test_a_lost_worker_is_replaced(video: str, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([False, True, False, True, True])
    ray = start(monkeypatch, CPU, is_lost=lambda asked: asked == "explain_part" and next(losses, False))
    render(video, "parts")
    assert len(ray.workers) == 4
    check(video)


def test_what_is_explained_stays_when_a_part_is_given_up(
    video: str, monkeypatch: pytest.MonkeyPatch, tasks: list[Any]
) -> None:
    calls = iter([False, False, True, True, True])
    start(monkeypatch, CPU, is_lost=lambda asked: asked == "explain_part" and next(calls, False))
    with pytest.raises(ClusterError, match=r"'a.mp4' was given up at frame 52, after 3 attempts: The worker"):
        render(video, "parts", resume=True)
    assert Path("parts.mp4.parts").is_dir()
    tasks.clear()
    result = render(video, "parts", resume=True, overwrite=True)
    assert (result.frames, result.carried) == (FRAMES, 52)
    assert [begin for begin, _, _ in tasks] == [52, 78, 104]
    check(video)


def test_errors_of_workers_are_those_of_the_render(video: str, monkeypatch: pytest.MonkeyPatch) -> None:
    start(monkeypatch, CPU)

    def refuse(*_: object) -> None:
        raise SourceError("'a.mp4' cannot be read: no disk")

    monkeypatch.setattr(worker, "open_source", refuse)
    with pytest.raises(SourceError, match="no disk"):
        render(video, "parts")


def test_a_render_that_ends_waits_for_no_part(video: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was drawn is kept, as without a cluster."""
    running: list[Any] = []

    def stop_at(name: str) -> bool:
        if name == "explain_part":
            running[0].stop()
        return name != "explain_part"

    start(monkeypatch, CPU, is_ready=stop_at)
    result = streamcam.render(
        video,
        "parts.mp4",
        RankingExplainer,  # type: ignore[arg-type]
        cluster=RayCluster("cluster:1", part_s=1.0),
        on_start=running.append,
    )
    assert result.interrupted
    assert result.frames == 2


def test_what_is_no_file_stays_here(monkeypatch: pytest.MonkeyPatch, video: str) -> None:
    start(monkeypatch, CPU)
    with (
        open_source(video) as source,
        pytest.raises(InvalidArgumentError, match="standard input is not sent to a cluster"),
    ):
        streamcam.render(source, "parts.mp4", RankingExplainer, cluster=RayCluster("cluster:1"))  # type: ignore[arg-type]


def test_a_video_in_a_store_is_copied_once_by_each_worker(
    video: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(monkeypatch, CPU, CPU)
    system = fsspec.filesystem("memory")
    system.pipe_file("/films/a.mp4", Path(video).read_bytes())
    copied: list[str] = []
    fetch = stored.download
    monkeypatch.setattr(stored, "download", lambda url, copy: (copied.append(url), fetch(url, copy)))
    monkeypatch.setattr("tempfile.tempdir", str(Path.cwd()))
    render("memory://films/a.mp4", "parts")
    assert len(copied) == 3  # and this machine
    check("memory://films/a.mp4")
    assert not list(Path.cwd().glob("streamcam-*"))
    system.rm("/", recursive=True)


def test_from_the_command_line(
    video: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tasks: list[Any]
) -> None:
    start(monkeypatch, CPU, CPU)
    for name, module in fake_modules(RankingExplainer).items():
        monkeypatch.setitem(sys.modules, name, module)
    arguments = ["render", video, "-o", "parts.mp4", "--sidecar", "parts.jsonl", "--ray", "cluster:1"]
    assert run([*arguments, "--part-seconds", "2", "--jobs", "1"]) == 0
    assert [task[:2] for task in tasks] == [(0, 50), (50, None)]
    assert "wrote parts.mp4" in capfd.readouterr().out
    check(video)


class TrackedCells(CellDetector):
    """Cells whose objects are numbered over time."""

    finds_objects = True

    def read(self, answer: object) -> Output:
        output = super().read(answer)
        assert isinstance(answer, dict)
        places = [(image.detach() > 0.5).nonzero() for image in answer["cells"]]
        pairs = zip(answer["cells"], places, strict=True)
        scores = [image[:, place[:, 1], place[:, 2]].T for image, place in pairs]
        return dataclasses.replace(output, instance_scores=scores)


def tracked_cells() -> Model:
    cells = cell_detector()
    return TrackedCells(cells.name, cells.module, cells.labels, cells.input, cells.weights)


def paint_squares(index: int, planes: Sequence[NDArray[np.uint8]]) -> None:
    """Let a bright square wander beside one that stays, and be away now and then: it gets new numbers."""
    planes[0][:] = 16
    planes[1][:] = planes[2][:] = 128
    rows, columns = planes[0].shape[0] // 4, planes[0].shape[1] // 4
    planes[0][3 * rows :, 3 * columns :] = 200
    if index % 60 < 45:
        column = (index // 8) % 4
        planes[0][:rows, column * columns : (column + 1) * columns] = 220


@pytest.mark.parametrize(
    ("factory", "classes"),
    [(tracked_cells, None), (tracked_cells, "instances"), (tracked_cells, "instance2"), (clip_colors, None)],
)
def test_objects_and_clips(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    factory: Callable[[], Any],
    classes: str | None,
    tasks: list[Any],
) -> None:
    """Numbers of objects go on over the seams; clips are explained by one worker."""
    monkeypatch.chdir(tmp_path)
    start(monkeypatch, CPU, CPU)
    make_clip(Path("a.mp4"), frames=FRAMES, paint=paint_squares)

    def make() -> Any:
        return streamcam.Explainer(
            factory(), target_layer="features", fit="stretch", classes=classes, batch_size=4
        )

    render("a.mp4", "parts", make)
    settings = RenderSettings(sidecar="alone.jsonl")
    streamcam.render("a.mp4", "alone.mp4", make(), settings=settings)
    assert Path("parts.jsonl").read_bytes() == Path("alone.jsonl").read_bytes()
    assert Path("parts.mp4").read_bytes() == Path("alone.mp4").read_bytes()
    assert tasks[0][:2] == ((0, None) if factory is clip_colors else (0, 28))
