"""The inputs of a render of many, and the names of their outputs."""

from __future__ import annotations

from pathlib import Path

import pytest
from media_factory import make_clip
from PIL import Image

from streamcam.errors import InvalidArgumentError, OutputExistsError, SourceNotFoundError
from streamcam.pipeline.jobs import (
    OutputsBeside,
    base_directory,
    is_for_many,
    list_jobs,
    make_directories,
    refuse_videos_as_one,
)


@pytest.fixture
def videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of two videos, an image, and what is neither; the working directory is above it."""
    monkeypatch.chdir(tmp_path)
    folder = Path("videos")
    folder.mkdir()
    for name in ("b10.mp4", "b9.avi"):
        make_clip(folder / name, frames=2)
    Image.new("RGB", (8, 8)).save(folder / "c.jpg")
    (folder / "notes.txt").write_text("no video")
    (folder / ".hidden.mp4").write_bytes(b"no video either")
    return folder


def pairs(*arguments: object, **keywords: object) -> list[tuple[str, str]]:
    jobs = list_jobs(*arguments, **keywords)  # type: ignore[arg-type]
    return [(str(job.source), job.output.as_posix()) for job in jobs]


def test_a_folder_gives_its_videos_and_images_in_natural_order(videos: Path) -> None:
    assert pairs([videos], "out") == [
        ("videos/b9.avi", "out/b9.mp4"),  # AVI is read and not written
        ("videos/b10.mp4", "out/b10.mp4"),
        ("videos/c.jpg", "out/c.jpg"),
    ]


def test_what_occurs_twice_is_read_once(videos: Path) -> None:
    named = ["videos/b10.mp4", "videos/*.mp4", videos, Path("videos/b10.mp4").absolute()]
    assert [source for source, _ in pairs(named, "out")] == [
        "videos/b10.mp4",
        "videos/b9.avi",
        "videos/c.jpg",
    ]


def test_what_an_earlier_run_made_is_no_input(videos: Path) -> None:
    make_clip(videos / "b9-heat.mp4", frames=2)
    found = pairs(["videos/*.mp4"], "videos/{stem}-heat.mp4", left_out=[videos / "b9-heat.mp4"])
    assert found == [("videos/b10.mp4", "videos/b10-heat.mp4")]


@pytest.mark.usefixtures("videos")
def test_fields_of_a_name() -> None:
    found = pairs(
        ["videos/b9.avi", "https://host/a%20b.mkv?x=1", "frames/%05d.png"], "{number:03}/{parent}_{name}"
    )
    assert [output for _, output in found] == ["001/videos_b9.avi", "002/_a b.mkv", "003/frames_frames"]


def test_sidecars_are_named_as_outputs_are() -> None:
    (job,) = list_jobs(["a.mp4"], "out", OutputsBeside(sidecar="maps/{stem}.jsonl"))
    assert job.outputs == (Path("out/a.mp4"), Path("maps/a.jsonl"))
    (job,) = list_jobs(["a.mp4"], "out", OutputsBeside(sidecar="maps"))
    assert job.sidecar == Path("maps/a.jsonl")
    (job,) = list_jobs(["a.mp4"], "out", OutputsBeside(evidence="kept"))
    assert job.outputs == (Path("out/a.mp4"), Path("kept/a.h5"))


@pytest.mark.parametrize(
    ("sources", "output", "expected"),
    [
        (["a.mp4"], "out.mp4", False),
        (["a.mp4", "b.mp4"], "out.mp4", True),
        (["a.mp4"], "out/", True),
        (["a.mp4"], "videos", True),
        (["a.mp4"], "{stem}.mp4", True),
        (["a.mp4"], "{curly}.mp4", False),
        (["a.mp4"], "{stem.mp4", False),
    ],
)
@pytest.mark.usefixtures("videos")
def test_what_asks_for_one_output_each(sources: list[str], output: str, expected: bool) -> None:
    assert is_for_many(sources, output) is expected


@pytest.mark.parametrize("source", ["many", "many/*.mp4"])
def test_videos_do_not_become_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "many").mkdir()
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / "many" / name).touch()
    with pytest.raises(InvalidArgumentError, match=r"holds 2 videos; .* let the output be a folder: 'out/'"):
        refuse_videos_as_one(source, "out")
    Image.new("L", (8, 8)).save(tmp_path / "many" / "c.png")
    refuse_videos_as_one("many", "out.mp4")  # a slide show
    refuse_videos_as_one("many/a.mp4", "out.mp4")
    refuse_videos_as_one("missing", "out.mp4")  # is reported when it is opened


@pytest.mark.parametrize(
    ("output", "directory"),
    [("out", "out"), ("out/{stem}.mp4", "out"), ("{stem}.mp4", "."), ("a/b-{parent}/{stem}.mp4", "a")],
)
def test_the_directory_that_all_outputs_lie_under(output: str, directory: str) -> None:
    assert base_directory(output) == Path(directory)


@pytest.mark.parametrize(
    ("sources", "output", "error", "words"),
    [
        (["a.mp4", "b.mp4"], "out.mp4", InvalidArgumentError, "is one file for 2 inputs; give a folder"),
        (["a.mp4", "b.mp4"], "-", InvalidArgumentError, "standard output is one stream for 2 inputs"),
        (["a.mp4"], "{sten}.mp4", InvalidArgumentError, r"\{sten\} stands for nothing"),
        (["a.mp4"], "{stem:d}.mp4", InvalidArgumentError, "is no name for outputs"),
        (
            ["x/a.mp4", "y/a.mp4"],
            "out",
            InvalidArgumentError,
            "'x/a.mp4' and 'y/a.mp4' would both be",
        ),
        (["a.mp4", "a.avi"], "out", InvalidArgumentError, "would both be written to 'out/a.mp4'"),
        (["videos"], "videos", OutputExistsError, "'videos/b10.mp4' is an input"),
        (["videos/*.mkv"], "out", SourceNotFoundError, r"no file matches 'videos/\*.mkv'"),
        (["empty"], "out", SourceNotFoundError, "'empty' is a directory without videos and images"),
    ],
)
@pytest.mark.usefixtures("videos")
def test_misuse(sources: list[str], output: str, error: type[Exception], words: str) -> None:
    Path("empty").mkdir()
    with pytest.raises(error, match=words):
        list_jobs(sources, output)


def test_an_output_that_links_to_an_input_is_refused(videos: Path) -> None:
    Path("out").mkdir()
    Path("out/b9.mp4").symlink_to((videos / "b9.avi").absolute())
    with pytest.raises(OutputExistsError, match="is an input"):
        list_jobs([videos], "out")


@pytest.mark.usefixtures("videos")
def test_directories_are_made() -> None:
    make_directories(list_jobs(["a.mp4"], "one/two/{stem}.mp4", OutputsBeside(sidecar="three")))
    assert Path("one/two").is_dir()
    assert Path("three").is_dir()
    with pytest.raises(FileNotFoundError, match=r"no directory 'videos/c.jpg'"):
        make_directories(list_jobs(["a.mp4"], "videos/c.jpg/{stem}.mp4"))
