"""Inputs and outputs in object stores, of which the tests have one in memory."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from media_factory import make_clip
from stage_fakes import FakeExplainer

from streamcam import RenderSettings, render, render_many
from streamcam.errors import (
    InvalidArgumentError,
    OutputExistsError,
    SinkError,
    SourceError,
    SourceNotFoundError,
)
from streamcam.files import unlock
from streamcam.media import stores
from streamcam.pipeline import manifest
from streamcam.pipeline import render_many as many
from streamcam.pipeline.jobs import OutputsBeside, base_directory, list_jobs
from streamcam.pipeline.manifest import Manifest, ManifestEntry, read_manifest
from streamcam.pipeline.results import RenderResult
from streamcam.sources import open_source

fsspec = pytest.importorskip("fsspec")
FRAMES = 6


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A store with one video, and the folder for temporary files of this test alone."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    system = fsspec.filesystem("memory")
    make_clip(Path("a.mp4"), frames=FRAMES)
    system.pipe_file("/films/a.mp4", Path("a.mp4").read_bytes())
    yield system
    system.rm("/", recursive=True)


def run(source: str, output: str, **settings: Any) -> RenderResult:
    return render(source, output, FakeExplainer(), settings=RenderSettings(**settings))  # type: ignore[arg-type]


def leftovers() -> list[str]:
    return [path.name for path in Path("tmp").rglob("*")]


def test_from_a_store_into_a_store(store: Any) -> None:
    """With the bytes that files on the disk have."""
    result = run("memory://films/a.mp4", "memory://out/b.mp4", sidecar="memory://out/maps/b.jsonl")
    assert (result.frames, result.output) == (FRAMES, "memory://out/b.mp4")
    run("a.mp4", "alone.mp4")
    assert store.cat_file("/out/b.mp4") == Path("alone.mp4").read_bytes()
    assert store.cat_file("/out/maps/b.jsonl").count(b"\n") == FRAMES + 1
    assert leftovers() == []


def test_many_files_of_one_output(store: Any) -> None:
    run("a.mp4", "memory://out/frames/%05d.png", masks="memory://out/masks")
    assert len(store.ls("/out/frames")) == len(store.ls("/out/masks")) == FRAMES
    with pytest.raises(OutputExistsError, match=r"'memory://out/frames/%05d.png' exists already"):
        run("a.mp4", "memory://out/frames/%05d.png")


def test_what_is_there_is_replaced_only_when_asked(store: Any) -> None:
    store.pipe_file("/out/b.mp4", b"before")
    with pytest.raises(
        OutputExistsError, match=r"'memory://out/b.mp4' exists already; give `overwrite=True`"
    ):
        run("a.mp4", "memory://out/b.mp4")
    assert store.cat_file("/out/b.mp4") == b"before"
    Path("maps.jsonl").touch()
    with pytest.raises(OutputExistsError, match=r"'maps.jsonl' exists already"):
        run("a.mp4", "memory://out/c.mp4", sidecar="maps.jsonl")
    run("a.mp4", "memory://out/b.mp4", overwrite=True)
    assert store.cat_file("/out/b.mp4") != b"before"
    assert leftovers() == []


def test_a_render_that_fails_leaves_nothing(store: Any) -> None:
    def fail(_batch: int) -> None:
        raise SourceError("no more")

    with pytest.raises(SourceError, match="no more"):
        render("a.mp4", "memory://out/b.mp4", FakeExplainer(before=fail))  # type: ignore[arg-type]
    assert not store.exists("/out/b.mp4")
    assert leftovers() == []


def test_an_interrupted_render_is_resumed(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamcam.sinks.resume.segments.FRAMES_PER_SEGMENT", 2)

    def fail(batch: int) -> None:
        if batch == 2:
            raise SourceError("no more")

    settings = RenderSettings(resume=True)
    with pytest.raises(SourceError, match="no more"):
        render("a.mp4", "memory://out/b.mp4", FakeExplainer(before=fail), settings=settings)  # type: ignore[arg-type]
    assert "b.mp4.parts" in leftovers()
    result = run("a.mp4", "memory://out/b.mp4", resume=True)
    assert (result.frames, result.carried) == (FRAMES, 4)
    assert store.exists("/out/b.mp4")
    assert leftovers() == []


def test_an_upload_that_fails_keeps_the_file(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("Access Denied\nmore of it")

    with monkeypatch.context() as patch:
        patch.setattr(type(store), "put_file", refuse)
        with pytest.raises(
            SinkError,
            match=r"'memory://out/b.mp4' cannot be written: Access Denied; check the credentials and the "
            r"rights; what was made is '.*b.mp4'$",
        ):
            run("a.mp4", "memory://out/b.mp4")
    assert "b.mp4" in leftovers()
    run("a.mp4", "memory://out/b.mp4")
    assert leftovers() == []


@pytest.mark.usefixtures("store")
def test_files_by_url() -> None:
    assert run(Path("a.mp4").absolute().as_uri(), Path("b c.mp4").absolute().as_uri()).frames == FRAMES
    assert Path("b c.mp4").exists()
    with pytest.raises(InvalidArgumentError, match=r"'file://far/a.mp4' is on another host"):
        open_source("file://far/a.mp4")


@pytest.mark.usefixtures("store")
def test_what_is_not_there() -> None:
    with pytest.raises(SourceNotFoundError, match=r"no file 'memory://films/c.mp4'; check the bucket"):
        open_source("memory://films/c.mp4")


def test_packages_that_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(InvalidArgumentError, match=r"'s3://films/a.mp4' needs s3fs: .*'streamcam\[cloud\]'"):
        open_source("s3://films/a.mp4")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(InvalidArgumentError, match=r"'gs://films/a.mp4' needs fsspec: "):
        stores.size_of_stored("gs://films/a.mp4")


def test_many_inputs_of_a_store(store: Any) -> None:
    store.pipe_file("/films/note.txt", b"no video")
    store.pipe_file("/films/b.mp4", Path("a.mp4").read_bytes())
    for number, source in enumerate(("memory://films/", "memory://films/*.mp4")):
        result = render_many([source], f"out{number}/", FakeExplainer())  # type: ignore[arg-type]
        assert [job.status for job in result.jobs] == ["done", "done"]
        assert sorted(path.name for path in Path(f"out{number}").glob("*.mp4")) == ["a.mp4", "b.mp4"]
    with pytest.raises(SourceNotFoundError, match=r"no file matches 'memory://films/\*.mov'"):
        render_many(["memory://films/*.mov"], "out/", FakeExplainer())  # type: ignore[arg-type]


def run_many(sources: list[str], output: str, **settings: Any) -> dict[str, str]:
    result = render_many(sources, output, FakeExplainer(), settings=RenderSettings(**settings))  # type: ignore[arg-type]
    assert result.manifest == "memory://out/streamcam.jsonl"
    return {str(job.job.output): job.status for job in result.jobs}


def test_many_files_into_a_store(store: Any) -> None:
    """A second run does what is missing or has changed, as the store and the manifest there tell."""
    Path("b.mp4").write_bytes(Path("a.mp4").read_bytes())
    Path("broken.mp4").write_bytes(b"no video")
    a, b, broken = (f"memory://out/{name}.mp4" for name in ("a", "b", "broken"))
    sources = ["memory://films/*.mp4", "b.mp4", "broken.mp4"]
    first = run_many(sources, "memory://out/", sidecar="memory://out/maps/")
    assert first == {a: "done", b: "done", broken: "failed"}
    run("a.mp4", "alone.mp4")
    assert store.cat_file("/out/a.mp4") == store.cat_file("/out/b.mp4") == Path("alone.mp4").read_bytes()
    assert store.cat_file("/out/maps/a.jsonl").count(b"\n") == FRAMES + 1
    lines = [json.loads(line) for line in store.cat_file("/out/streamcam.jsonl").splitlines()]
    assert [(line["output"], line["status"]) for line in lines] == [
        ("a.mp4", "done"),
        ("b.mp4", "done"),
        ("broken.mp4", "failed"),
    ]
    assert leftovers() == []

    store.rm_file("/out/maps/a.jsonl")
    again = run_many(sources, "memory://out/", sidecar="memory://out/maps/")
    assert again == {a: "done", b: "kept", broken: "failed"}
    assert store.exists("/out/maps/a.jsonl")
    store.pipe_file("/films/a.mp4", make_clip(Path("other.mp4"), frames=3).read_bytes())
    make_clip(Path("broken.mp4"), frames=2)
    mended = run_many(sources, "memory://out/{stem}.mp4", sidecar="memory://out/maps/")
    assert mended == {a: "done", b: "kept", broken: "done"}
    assert set(run_many(sources, "memory://out", sidecar="memory://out/maps/").values()) == {"kept"}
    assert leftovers() == []


def test_a_store_that_fails_midway(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others go on, the manifest is copied when the store is back, and a second run does what is missing."""
    monkeypatch.setattr(manifest, "_COPIED_EVERY_S", 0.0)
    for name in ("b", "c"):
        Path(f"{name}.mp4").write_bytes(Path("a.mp4").read_bytes())
    sources = ["a.mp4", "b.mp4", "c.mp4"]
    put = store.put_file
    begun: list[int] = []

    def refuse_second(_: object, source: str, target: str) -> None:
        if begun[-1:] == [1]:
            raise ConnectionResetError("Connection reset")
        put(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(type(store), "put_file", refuse_second)
        explainer: Any = FakeExplainer()
        result = render_many(sources, "memory://out/", explainer, on_job=lambda index, _: begun.append(index))
    assert [job.status for job in result.jobs] == ["done", "failed", "done"]
    assert "'memory://out/b.mp4' cannot be written: Connection reset" in str(result.jobs[1].error)
    assert [entry.status for entry in read_manifest("memory://out")] == ["done", "failed", "done"]
    assert list(run_many(sources, "memory://out/").values()) == ["kept", "done", "kept"]
    assert leftovers() == []


def test_an_output_whose_size_the_store_does_not_tell(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made again by a second run, because nobody knows whether it is whole."""

    def refuse(_output: object) -> int:
        raise SinkError("Connection reset")

    with monkeypatch.context() as patch:
        patch.setattr(many, "output_size", refuse)
        assert list(run_many(["a.mp4"], "memory://out/").values()) == ["done"]
    assert list(run_many(["a.mp4"], "memory://out/").values()) == ["done"]
    assert store.exists("/out/a.mp4")


def test_a_store_that_fails_to_the_end(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known stays here, and the next run on this machine knows it."""
    Path("b.mp4").write_bytes(Path("a.mp4").read_bytes())
    put = store.put_file

    def refuse(_: object, source: str, target: str) -> None:
        if store.exists("/out/a.mp4"):
            raise PermissionError("Access Denied")
        put(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(type(store), "put_file", refuse)
        with pytest.raises(
            SinkError, match=r"'memory://out/streamcam.jsonl' cannot .*; it is kept as '.*jsonl'"
        ):
            run_many(["a.mp4", "b.mp4"], "memory://out/")
    again = run_many(["a.mp4", "b.mp4"], "memory://out/")
    assert list(again.values()) == ["kept", "done"]
    assert leftovers() == []


def test_what_nobody_of_us_made_stays_in_the_store(store: Any) -> None:
    store.pipe_file("/out/a.mp4", b"before")
    with pytest.raises(OutputExistsError, match=r"'memory://out/a.mp4' exists already"):
        run_many(["a.mp4"], "memory://out/")
    with pytest.raises(OutputExistsError, match=r"'memory://films/a.mp4' is an input"):
        run_many(["memory://films/"], "memory://films/")
    assert store.cat_file("/out/a.mp4") == b"before"
    assert not store.exists("/out/streamcam.jsonl")
    assert run_many(["memory://films/"], "memory://out/", overwrite=True) == {"memory://out/a.mp4": "done"}


def test_a_killed_run_into_a_store_goes_on(store: Any) -> None:
    """What it did since its manifest was copied is known from this machine, all else from the store."""
    with Manifest("memory://out") as before:
        before.record(ManifestEntry("b.mp4", "b.mp4", "done"))
    killed = Manifest("memory://out")
    killed.record(ManifestEntry("a.mp4", "a.mp4", "started"))
    assert [entry.output for entry in read_manifest("memory://out")] == ["b.mp4", "a.mp4"]
    assert [json.loads(line)["output"] for line in store.cat_file("/out/streamcam.jsonl").splitlines()] == [
        "b.mp4"
    ]
    store.pipe_file("/out/a.mp4", b"whole")
    unlock(killed._lock)
    assert run_many(["a.mp4"], "memory://out/") == {"memory://out/a.mp4": "done"}
    assert store.cat_file("/out/a.mp4") != b"whole"
    assert [entry.output for entry in read_manifest("memory://out")] == ["b.mp4", "a.mp4"]
    assert leftovers() == []


def test_names_in_stores() -> None:
    (job,) = list_jobs(
        ["memory://x/y/a b#1.mov"],
        "s3://bucket/{parent}/{stem}-heat.mp4",
        OutputsBeside(masks="s3://bucket/m"),
    )
    assert job.outputs == ("s3://bucket/y/a b#1-heat.mp4", "s3://bucket/m/a b#1/%05d.png")
    (job,) = list_jobs(["s3://bucket/a.jpg"], "out")
    assert job.outputs == (Path("out/a.jpg"),)
    assert base_directory("s3://bucket/x/{parent}/{stem}.mp4") == "s3://bucket/x"
    with pytest.raises(InvalidArgumentError, match="a bucket has no fields in its name"):
        list_jobs(["a.mp4"], "s3://{stem}/a.mp4")
    with pytest.raises(InvalidArgumentError, match=r"would both be written to 's3://bucket/a.mp4'"):
        list_jobs(["x/a.mp4", "s3://y/a.mp4"], "s3://bucket")


def test_a_store_that_refuses_costs_no_work(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("Access Denied")

    monkeypatch.setattr(type(store), "put_file", refuse)
    with pytest.raises(SinkError, match=r"'memory://out/streamcam.jsonl' cannot be written: Access Denied"):
        run_many(["a.mp4"], "memory://out/")
    assert leftovers() == []
