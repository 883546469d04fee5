"""An S3 store: a server of moto's on this machine, spoken to as a user's would be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from media_factory import make_clip
from stage_fakes import FakeExplainer

from streamcam import RenderSettings, render, render_many
from streamcam.errors import OutputExistsError, SinkError, SourceNotFoundError

pytestmark = pytest.mark.filterwarnings("ignore")  # botocore's own
FRAMES = 6


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A bucket with two videos."""
    s3fs = pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3fs.S3FileSystem.clear_instance_cache()
    try:
        system = s3fs.S3FileSystem()
        system.mkdir("films")
        for name in ("a", "b"):
            system.pipe_file(
                f"films/in/{name}.mp4", make_clip(Path(f"{name}.mp4"), frames=FRAMES).read_bytes()
            )
        yield system
        system.rm("films", recursive=True)  # every server of moto's in this process has it
    finally:
        s3fs.S3FileSystem.clear_instance_cache()
        server.stop()


def test_from_a_bucket_into_a_bucket(store: Any) -> None:
    explainer: Any = FakeExplainer()
    settings = RenderSettings(sidecar="s3://films/out/maps/a.jsonl")
    result = render("s3://films/in/a.mp4", "s3://films/out/a.mp4", explainer, settings=settings)
    assert (result.frames, result.output) == (FRAMES, "s3://films/out/a.mp4")
    render("a.mp4", "alone.mp4", explainer)
    assert store.cat_file("films/out/a.mp4") == Path("alone.mp4").read_bytes()
    assert store.cat_file("films/out/maps/a.jsonl").count(b"\n") == FRAMES + 1
    with pytest.raises(OutputExistsError, match=r"'s3://films/out/a.mp4' exists already"):
        render("a.mp4", "s3://films/out/a.mp4", explainer)
    assert not list(Path("tmp").iterdir())

    many = render_many(["s3://films/in/*.mp4"], "here", explainer)
    assert [(job.status, job.job.output.name) for job in many.jobs] == [("done", "a.mp4"), ("done", "b.mp4")]
    assert Path("here/a.mp4").read_bytes() == Path("alone.mp4").read_bytes()

    many = render_many(["s3://films/in/*.mp4"], "s3://films/many/", explainer)
    assert [(job.status, job.job.output) for job in many.jobs] == [
        ("done", "s3://films/many/a.mp4"),
        ("done", "s3://films/many/b.mp4"),
    ]
    assert store.cat_file("films/many/b.mp4") == Path("here/b.mp4").read_bytes()
    assert store.cat_file("films/many/streamcam.jsonl").count(b"\n") == 2
    store.rm_file("films/many/a.mp4")
    many = render_many(["s3://films/in/*.mp4"], "s3://films/many/", explainer)
    assert [job.status for job in many.jobs] == ["done", "kept"]
    assert not list(Path("tmp").iterdir())


def test_what_is_not_there(store: Any) -> None:
    explainer: Any = FakeExplainer()
    with pytest.raises(SourceNotFoundError, match=r"s3://films/in/c.mp4"):
        render("s3://films/in/c.mp4", "c.mp4", explainer)
    with pytest.raises(SinkError, match=r"'s3://nowhere/a.mp4'"):
        render("a.mp4", "s3://nowhere/a.mp4", explainer)
    with pytest.raises(SourceNotFoundError, match=r"no file matches 's3://films/in/\*.avi'"):
        render_many(["s3://films/in/*.avi"], "here", explainer)
    with pytest.raises(SinkError, match=r"'s3://nowhere/out/streamcam.jsonl' cannot be written: there is no"):
        render_many(["a.mp4"], "s3://nowhere/out/", explainer)
    assert store.ls("films") == ["films/in"]
