from __future__ import annotations

import os
from pathlib import Path

import pytest
from media_factory import info_of, names_in

from streamcam.errors import InvalidArgumentError, NoDirectoryError, OutputExistsError, SinkError
from streamcam.files import (
    begin,
    check_output,
    commit,
    discard,
    discard_all,
    part_path,
    same_file,
    unfinished,
)
from streamcam.sinks import open_sink


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """An input with something in it."""
    path = tmp_path / "video.mp4"
    path.write_bytes(b"video")
    return path


def check(location: str | Path, video: Path | None = None, *, overwrite: bool = False) -> Path:
    return check_output(location, overwrite=overwrite, inputs=(video, None))


def test_a_free_name_in_a_directory_is_fine_and_nothing_is_left_there(video: Path) -> None:
    assert check(video.with_name("out.mp4"), video) == video.with_name("out.mp4")
    assert names_in(video.parent) == ["video.mp4"]


def test_a_part_left_behind_by_a_crash_stays_until_it_is_overwritten(tmp_path: Path) -> None:
    part = tmp_path / "out.mp4.part"
    part.write_bytes(b"left")
    check(tmp_path / "out.mp4")
    assert part.read_bytes() == b"left"


def test_an_existing_file_is_only_replaced_on_request(video: Path, tmp_path: Path) -> None:
    (tmp_path / "out.mp4").write_bytes(b"old")
    with pytest.raises(OutputExistsError, match=r"out.mp4' exists already; give `overwrite=True`"):
        check(tmp_path / "out.mp4", video)
    check(tmp_path / "out.mp4", video, overwrite=True)
    assert (tmp_path / "out.mp4").read_bytes() == b"old"


@pytest.mark.parametrize("link", ["same", "dotted", "symlink", "hard link", "relative"])
def test_the_input_is_never_the_output(link: str, video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(video.parent)
    output = video.with_name("out.mp4")
    match link:
        case "same":
            output = video
        case "dotted":
            output = video.parent / "." / ".." / video.parent.name / video.name
        case "symlink":
            output.symlink_to(video)
        case "hard link":
            output.hardlink_to(video)
        case "relative":
            output = Path(video.name)
    with pytest.raises(OutputExistsError, match=r"is the input itself"):
        check(output, video, overwrite=True)
    assert video.read_bytes() == b"video"


def test_the_input_is_not_written_over_as_the_growing_part(tmp_path: Path) -> None:
    rescued = tmp_path / "video.mp4.part"
    rescued.write_bytes(b"video")
    with pytest.raises(OutputExistsError, match=r"grows as 'video.mp4.part', which is the input"):
        check(tmp_path / "video.mp4", rescued)


def test_a_directory_is_no_output(tmp_path: Path) -> None:
    for location in (tmp_path, "", "."):
        with pytest.raises(OutputExistsError, match=r"is a directory; name a file in it"):
            check(location, overwrite=True)


def test_devices_and_pipes_are_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    for location in (tmp_path / "pipe.mp4", Path(os.devnull)):
        with pytest.raises(OutputExistsError, match=r"is not a file, but a device or pipe"):
            check(location, overwrite=True)


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoDirectoryError, match=r"there is no directory '.*nowhere'; make it first"):
        check(tmp_path / "nowhere" / "out.mp4")


@pytest.mark.parametrize("name", ["x" * 300 + ".mp4", "x" * 252, "out\0.mp4"])
def test_names_no_system_can_have_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"cannot write"):
        check(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_that_may_not_be_written_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(SinkError, match=r"Permission denied"):
        check(tmp_path / "out.mp4")


def test_files_that_do_not_exist_are_compared_by_name(tmp_path: Path) -> None:
    assert same_file(tmp_path / "a", tmp_path / "." / "a")
    assert not same_file(tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize(
    ("name", "is_still", "told"),
    [
        (
            "out.jpg",
            False,
            r"'out.jpg' is of kind 'image', which cannot be made from a video; use .*/%05d.png, heat.mp4, ",
        ),
        ("%d%d.jpg", False, "'%d%d.jpg' is of kind 'image', which cannot be made from a video"),
        ("out.doc", False, "cannot tell from 'out.doc' what to make from a video; use .*mp4.*jsonl"),
        (
            "out.mp4",
            True,
            r"of kind 'video', which cannot be made from an image; use .*heat.png, raw.jsonl",
        ),
        ("out", True, "what to make from an image; use a name like one of: heat.png, raw.jsonl, "),
    ],
)
def test_videos_become_videos_and_images_images(name: str, is_still: bool, told: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=told):
        open_sink(tmp_path / name, info_of(is_still=is_still))


@pytest.mark.parametrize(
    ("name", "is_still"), [("out.PNG", True), ("%d.png", True), ("out.MP4", False), ("%d.JPG", False)]
)
def test_suffixes_may_be_large(name: str, is_still: bool, tmp_path: Path) -> None:
    open_sink(tmp_path / name, info_of(is_still=is_still)).abort()
    assert names_in(tmp_path) == []


def test_a_part_gets_its_name_or_goes(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    part_path(path).write_bytes(b"new")
    path.write_bytes(b"old")
    commit(path)
    assert (path.read_bytes(), names_in(tmp_path)) == (b"new", ["out.mp4"])
    part_path(path).write_bytes(b"newer")
    discard(path)
    discard(path)
    assert (path.read_bytes(), names_in(tmp_path)) == (b"new", ["out.mp4"])


def test_a_part_that_cannot_be_renamed_is_named(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"out.mp4.part' is complete but cannot be renamed"):
        commit(tmp_path / "out.mp4")


def test_a_process_that_leaves_removes_what_grows_and_nothing_else(tmp_path: Path) -> None:
    finished, dropped, growing = (tmp_path / name for name in ("finished", "dropped", "growing"))
    for path in (finished, dropped, growing):
        begin(path).write_bytes(b"new")
    commit(finished)
    discard(dropped)
    for path in (finished, dropped):  # of somebody else by now
        part_path(path).write_bytes(b"other")
    discard_all()
    assert names_in(tmp_path) == ["dropped.part", "finished", "finished.part"]


def test_a_file_written_in_one_go_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    path.write_text("old")
    part_path(path).write_text("left by a process that was killed")
    with unfinished(path) as part:
        assert part.read_bytes() == b""
        part.write_text("new")
        assert path.read_text() == "old"
    assert (path.read_text(), names_in(tmp_path)) == ("new", ["out.json"])


def test_of_a_file_that_cannot_be_written_to_its_end_nothing_is_left(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    with pytest.raises(SinkError, match=r"out.json' cannot be written: No space left"), unfinished(path):
        raise OSError(28, "No space left on device")
    assert names_in(tmp_path) == []
    with unfinished(path) as part:  # and the lock on it is free again
        part.write_text("new")
    with pytest.raises(OutputExistsError, match="appeared meanwhile"), unfinished(path, overwrite=False):
        pass
    assert path.read_text() == "new"


def test_a_private_file_is_its_owners_alone_from_the_beginning(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    part_path(path).write_text("left, and open to all")
    with unfinished(path, is_private=True) as part:
        assert part.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_mode & 0o777 == 0o600
