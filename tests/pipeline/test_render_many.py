"""Renders of many files, with an explainer that needs no network."""

from __future__ import annotations

import dataclasses
import functools
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import PIL.Image
import pytest
from media_factory import frame_times_of, make_clip, truncate
from stage_fakes import LIMIT_S, FakeExplainer

import streamcam
from streamcam.errors import InvalidArgumentError, OutputExistsError, SinkError
from streamcam.localization import LocalizationSettings
from streamcam.overlay import OverlaySettings
from streamcam.pipeline.jobs import RenderJob
from streamcam.pipeline.manifest import MANIFEST_NAME, Manifest, ManifestEntry, read_manifest
from streamcam.pipeline.many_results import JobResult, RenderManyResult
from streamcam.pipeline.render_many import plan_many
from streamcam.pipeline.results import Progress
from streamcam.pipeline.settings import RenderSettings

FRAMES = 6

LONG = 40
"""More frames than wait between the stages."""


@pytest.fixture
def videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Three videos, of which the second is none."""
    monkeypatch.chdir(tmp_path)
    make_clip(Path("a.mp4"), frames=FRAMES)
    Path("b.mp4").write_bytes(b"no video" * 100)
    make_clip(Path("c.mp4"), frames=FRAMES + 1)
    return [Path("a.mp4"), Path("b.mp4"), Path("c.mp4")]


def run(
    videos: list[Path], explainer: FakeExplainer | None = None, settings: RenderSettings | None = None
) -> RenderManyResult:
    chosen = explainer or FakeExplainer()
    return streamcam.render_many(videos, "out", chosen, settings=settings)  # type: ignore[arg-type]


def statuses(result: RenderManyResult) -> list[str]:
    return [job.status for job in result.jobs]


def manifest() -> dict[str, ManifestEntry]:
    return {entry.output: entry for entry in read_manifest(Path("out"))}


def test_one_that_fails_costs_itself_only(videos: list[Path]) -> None:
    result = run(videos)
    assert statuses(result) == ["done", "failed", "done"]
    assert not result.complete
    assert [job.frames for job in result.jobs] == [FRAMES, 0, FRAMES + 1]
    assert "is not a video that FFmpeg can read" in str(result.jobs[1].error)
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.mp4", "c.mp4", "streamcam.jsonl"]
    assert len(frame_times_of(Path("out/c.mp4"))) == FRAMES + 1
    lines = [json.loads(line) for line in Path("out/streamcam.jsonl").read_text().splitlines()]
    assert [(line["input"], line["status"], line["frames"]) for line in lines] == [
        ("a.mp4", "done", FRAMES),
        ("b.mp4", "failed", 0),
        ("c.mp4", "done", FRAMES + 1),
    ]
    assert lines[1]["messages"] == [str(result.jobs[1].error)]


def test_outputs_are_those_of_single_renders(videos: list[Path]) -> None:
    streamcam.render("c.mp4", "single.mp4", FakeExplainer())  # type: ignore[arg-type]
    run(videos)
    assert Path("out/c.mp4").read_bytes() == Path("single.mp4").read_bytes()


def test_a_second_run_does_what_failed_or_changed(videos: list[Path]) -> None:
    run(videos)
    make_clip(Path("b.mp4"), frames=FRAMES)
    make_clip(Path("c.mp4"), frames=FRAMES - 1)
    explainer = FakeExplainer()
    result = run(videos, explainer)
    assert statuses(result) == ["kept", "done", "done"]
    assert result.complete
    assert sum(map(len, explainer.batches)) == 2 * FRAMES - 1
    assert len(frame_times_of(Path("out/c.mp4"))) == FRAMES - 1
    assert statuses(run(videos)) == ["kept", "kept", "kept"]


def test_a_second_run_with_other_settings_does_all(videos: list[Path]) -> None:
    run(videos)
    assert statuses(run(videos, settings=RenderSettings(overlay=OverlaySettings(alpha=0.9))))[0] == "done"
    assert statuses(run(videos, settings=RenderSettings(sidecar="maps"))) == ["done", "failed", "done"]
    Path("maps/a.jsonl").unlink()
    assert statuses(run(videos, settings=RenderSettings(sidecar="maps"))) == ["done", "failed", "kept"]


def test_an_output_that_was_cut_since_is_made_again(videos: list[Path]) -> None:
    run(videos)
    truncate(Path("out/a.mp4"), 0.5)
    assert statuses(run(videos)) == ["done", "failed", "kept"]
    assert len(frame_times_of(Path("out/a.mp4"))) == FRAMES


def test_what_nobody_here_made_is_not_replaced(videos: list[Path]) -> None:
    Path("out").mkdir()
    Path("out/c.mp4").write_text("precious")
    explainer = FakeExplainer()
    with pytest.raises(OutputExistsError, match=r"'out/c.mp4' exists already"):
        run(videos, explainer)
    assert explainer.batches == []
    assert Path("out/c.mp4").read_text() == "precious"
    assert statuses(run(videos, settings=RenderSettings(overwrite=True))) == ["done", "failed", "done"]


def test_a_killed_run_is_gone_on_with(videos: list[Path]) -> None:
    run(videos)
    path = Path("out/streamcam.jsonl")
    first, second, third = path.read_text().splitlines()
    started = json.dumps({"input": "c.mp4", "output": "c.mp4", "status": "started"})
    path.write_text("\n".join([first, second, third, started, third[:40]]))
    assert statuses(run(videos)) == ["kept", "failed", "done"]
    assert {entry.status for entry in manifest().values()} == {"done", "failed"}


def test_stopping_begins_no_other(videos: list[Path]) -> None:
    make_clip(Path("a.mp4"), frames=LONG)
    with plan_many(videos, "out") as plan:
        explainer = FakeExplainer(before=lambda batch: plan.stop() if batch == 3 else None)
        result = plan.run(explainer)  # type: ignore[arg-type]
    assert result.interrupted
    assert statuses(result) == ["interrupted"]
    assert manifest()["a.mp4"].status == "interrupted"
    assert statuses(run(videos)) == ["done", "failed", "done"]
    assert len(frame_times_of(Path("out/a.mp4"))) == LONG


def test_a_stopped_plan_renders_nothing(videos: list[Path]) -> None:
    with plan_many(videos, "out") as plan:
        plan.stop()
        result = plan.run(FakeExplainer())  # type: ignore[arg-type]
    assert result.jobs == ()
    assert list(Path("out").iterdir()) == []


def test_interrupted_work_is_resumed(videos: list[Path]) -> None:
    make_clip(Path("a.mp4"), frames=LONG)
    settings = RenderSettings(resume=True)
    with plan_many(videos[:1], "out", settings) as plan:
        explainer = FakeExplainer(before=lambda batch: plan.stop() if batch == 3 else None)
        plan.run(explainer)  # type: ignore[arg-type]
    assert Path("out/a.mp4.parts").is_dir()
    kept: list[int] = []
    with plan_many(videos[:1], "out", settings) as plan:
        again = FakeExplainer()
        result = plan.run(again, on_resume=lambda _job, state: kept.append(state.frames))  # type: ignore[arg-type]
    assert statuses(result) == ["done"]
    _first, *others = again.batches  # the first is explained again, to see whether maps are the same
    assert [index for batch in others for index in batch] == list(range(kept[0], LONG))
    assert list(Path("out").glob("*.parts")) == []


def test_inputs_of_every_kind_beside_each_other(
    videos: list[Path], monkeypatch: pytest.MonkeyPatch, web_folder: str
) -> None:
    images = [PIL.Image.new("RGB", (32, 24), color) for color in ("red", "green", "blue")]
    images[0].save("pages.tiff", save_all=True, append_images=images[1:])
    images[0].save("still.avif")
    images[0].save("moving.avif", save_all=True, append_images=images[1:])
    Path("frames").mkdir()
    for number, image in enumerate(images):
        image.save(f"frames/{number:05}.png")
    Path("b c.mp4").write_bytes(videos[2].read_bytes())
    sources = ["a.mp4", "-", f"{web_folder}/b%20c.mp4?key=1", f"{web_folder}/none.mp4", "frames/%05d.png"]
    sources += ["pages.tiff", "still.avif", "moving.avif"]
    with videos[2].open() as piped:
        monkeypatch.setattr("sys.stdin", piped)
        result = streamcam.render_many(sources, "out", FakeExplainer(), jobs=1)  # type: ignore[arg-type]
    outcome = {job.job.output.name: (job.status, job.frames) for job in result.jobs}
    assert outcome == {
        "a.mp4": ("done", FRAMES),
        "stdin.mp4": ("done", FRAMES + 1),
        "b c.mp4": ("done", FRAMES + 1),
        "none.mp4": ("failed", 0),
        "frames.mp4": ("done", 3),
        "pages.mp4": ("done", 3),
        "still.png": ("done", 1),
        "moving.mp4": ("done", 3),
    }
    assert "(404 File not found)" in str(result.jobs[3].error)


@pytest.fixture
def web_folder(videos: list[Path]) -> Iterator[str]:
    """The address of a server of the current folder."""
    handler = functools.partial(QuietHandler, directory=str(videos[0].parent.absolute()))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def meeting(action: Callable[[], None] = lambda: None) -> Callable[[int], None]:
    """Return what lets the first batches of two files wait for each other, and then do something once."""
    both = threading.Barrier(2, action)
    came: set[threading.Thread] = set()

    def meet(_batch: int) -> None:
        thread = threading.current_thread()
        if thread not in came and len(came) < 2:
            came.add(thread)
            both.wait(LIMIT_S)

    return meet


def test_two_beside_each_other_give_the_same(videos: list[Path]) -> None:
    run(videos)
    alone = {path.name: path.read_bytes() for path in Path("out").glob("*.mp4")}
    order: list[str] = []
    result = streamcam.render_many(
        videos,
        "beside",
        FakeExplainer(before=meeting()),  # type: ignore[arg-type]
        jobs=2,
        on_progress=lambda job, progress: order.append(f"{job.source} {progress.info.name}"),
    )
    assert statuses(result) == ["done", "failed", "done"]
    assert {path.name: path.read_bytes() for path in Path("beside").glob("*.mp4")} == alone
    assert sorted(order) == ["a.mp4 a.mp4"] * FRAMES + ["c.mp4 c.mp4"] * (FRAMES + 1)
    entries = {entry.output: entry.status for entry in read_manifest(Path("beside"))}
    assert entries == {"a.mp4": "done", "b.mp4": "failed", "c.mp4": "done"}


def test_stopping_ends_all_that_run(videos: list[Path]) -> None:
    for path in videos:
        make_clip(path, frames=LONG)
    with plan_many(videos, "out") as plan:
        result = plan.run(FakeExplainer(before=meeting(plan.stop)), jobs=2)  # type: ignore[arg-type]
    assert result.interrupted
    assert statuses(result) == ["interrupted", "interrupted"]
    assert statuses(run(videos)) == ["done", "done", "done"]


def test_what_goes_wrong_beside_is_raised(videos: list[Path]) -> None:
    def fail(_job: RenderJob, _progress: Progress) -> None:
        if threading.current_thread() is not threading.main_thread():
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        streamcam.render_many(
            videos,
            "out",
            FakeExplainer(before=meeting()),  # type: ignore[arg-type]
            jobs=2,
            on_progress=fail,
        )
    assert len(list(Path("out").glob("*.mp4"))) < 2


@pytest.mark.parametrize("jobs", [0, -1])
def test_how_many_jobs_there_can_be(videos: list[Path], jobs: int) -> None:
    with pytest.raises(
        InvalidArgumentError, match=f"`jobs` is a whole number from 1 up, or 'auto', not {jobs}"
    ):
        streamcam.render_many(videos, "out", FakeExplainer(), jobs=jobs)  # type: ignore[arg-type]
    assert manifest() == {}


def test_wrong_settings_are_no_fault_of_a_file(videos: list[Path]) -> None:
    with pytest.raises(InvalidArgumentError, match="unknown color map 'mauve'"):
        run(videos, settings=RenderSettings(overlay=OverlaySettings(colormap="mauve")))
    assert not Path("out").exists()


def test_everything_is_reported_in_order(videos: list[Path]) -> None:
    begun: list[tuple[int, str]] = []
    ended: list[JobResult] = []
    streamcam.render_many(
        videos,
        "out",
        FakeExplainer(),  # type: ignore[arg-type]
        on_job=lambda index, job: begun.append((index, str(job.source))),
        on_result=ended.append,
    )
    assert begun == [(0, "a.mp4"), (1, "b.mp4"), (2, "c.mp4")]
    assert [result.status for result in ended] == ["done", "failed", "done"]


def test_two_runs_at_once_are_refused(videos: list[Path]) -> None:
    with plan_many(videos, "out"), pytest.raises(OutputExistsError, match="is being written by process"):
        plan_many(videos, "out")


def test_a_manifest_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "streamcam.jsonl").write_text('nonsense\n[1]\n{"input": "a"}\n')
    assert read_manifest(tmp_path) == []
    assert read_manifest(tmp_path / "nowhere") == []
    (tmp_path / "d" / "streamcam.jsonl").mkdir(parents=True)
    with pytest.raises(SinkError, match="manifest"):
        read_manifest(tmp_path / "d")


def test_a_manifest_on_a_disk_that_is_full_for_a_while(tmp_path: Path) -> None:
    """The lines that did not fit are written with the next one."""
    with Manifest(tmp_path) as opened:
        path, opened._path = opened._path, tmp_path  # which cannot be written to
        opened.record(ManifestEntry("a.mp4", "a.mkv", "done"))
        opened._path = path
        path.write_text('{"input": "cut')
        opened.record(ManifestEntry("b.mp4", "b.mkv", "done"))
        assert [entry.output for entry in read_manifest(tmp_path)] == ["a.mkv", "b.mkv"]


def test_a_manifest_that_is_closed_is_left_alone(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    manifest.record(ManifestEntry("a.mp4", "a.mkv", "done"))
    manifest.close()
    with Manifest(tmp_path) as another:
        another.record(ManifestEntry("b.mp4", "b.mkv", "done"))
        manifest.close()
        assert [entry.output for entry in read_manifest(tmp_path)] == ["a.mkv", "b.mkv"]


def test_the_last_line_about_an_output_counts(tmp_path: Path) -> None:
    entry = ManifestEntry("a.mp4", "a.mkv", "started")
    with Manifest(tmp_path) as opened:
        opened.record(entry)
        opened.record(dataclasses.replace(entry, status="done", messages=("fine",)))
        assert read_manifest(tmp_path)[0].status == "done"
        assert len((tmp_path / MANIFEST_NAME).read_text().splitlines()) == 2
    assert len((tmp_path / "streamcam.jsonl").read_text().splitlines()) == 1
    assert read_manifest(tmp_path)[0].messages == ("fine",)


def test_masks_and_annotations_of_each(videos: list[Path]) -> None:
    def settings(masks: str, *annotations: str) -> RenderSettings:
        return RenderSettings(
            localization=LocalizationSettings(boxes=True), masks=masks, annotations=annotations
        )

    asked = settings("masks", "{stem}.json", "labels/{stem}/%05d.txt")
    assert statuses(run(videos, settings=asked)) == ["done", "failed", "done"]
    Path("alone/labels").mkdir(parents=True)
    streamcam.render(
        "c.mp4",
        "alone/c.mp4",
        FakeExplainer(),  # type: ignore[arg-type]
        settings=settings("alone/masks", "alone/c.json", "alone/labels/%05d.txt"),
    )
    for mine, alone in (("masks/c", "alone/masks"), ("labels/c", "alone/labels")):
        names = [path.name for path in sorted(Path(alone).iterdir())]
        assert len(names) >= FRAMES + 1
        assert [path.name for path in sorted(Path(mine).iterdir())] == names
        assert all(Path(mine, each).read_bytes() == Path(alone, each).read_bytes() for each in names)
    annotations, alone_too = (json.loads(Path(name).read_text()) for name in ("c.json", "alone/c.json"))
    assert annotations["annotations"] == alone_too["annotations"]
    assert statuses(run(videos, settings=asked)) == ["kept", "failed", "kept"]
    Path("masks/a/00001.png").unlink()
    for path in Path("labels/c").glob("0*.txt"):
        path.unlink()
    assert statuses(run(videos, settings=asked)) == ["kept", "failed", "done"]
    assert statuses(run(videos, settings=settings("masks/{stem}.mkv"))) == ["done", "failed", "done"]
    assert Path("masks/c.mkv").stat().st_size > 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (RenderSettings(masks="masks.mkv"), r"'masks.mkv' is one file for 3 inputs; .*\{stem\}-heat.mkv"),
        (RenderSettings(annotations=("boxes.json",)), "'boxes.json' is one file for 3 inputs"),
        (
            RenderSettings(annotations=("boxes",)),
            r"'boxes' tells no kind; .*boxes/\{stem\}.json",
        ),
        (
            RenderSettings(annotations=("labels/{stem}%05d.txt",)),
            "be written to 'labels/classes.txt'",
        ),
    ],
)
def test_files_beside_that_are_not_of_each(
    videos: list[Path], settings: RenderSettings, message: str
) -> None:
    explainer = FakeExplainer()
    with pytest.raises(InvalidArgumentError, match=message):
        run(videos, explainer, settings)
    assert explainer.batches == []
