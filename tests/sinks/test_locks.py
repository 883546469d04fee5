"""Two renders to one output, and outputs that change while they are made."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import av
import pytest
from media_factory import info_of, make_image, names_in
from video_runs import rendered

from streamcam.errors import OutputExistsError, SinkError
from streamcam.sinks import Sink, locked_store, open_sink

NAMES = ["out.mp4", "out.gif", "out.jsonl", "%03d.png"]

WRITER = """
import sys
from media_factory import info_of, make_image
from video_runs import rendered
from streamcam.cli.exit_codes import exit_code_of
from streamcam.errors import StreamcamError
from streamcam.sinks import open_sink

print("ready", flush=True)
sys.stdin.readline()
try:
    sink = open_sink(sys.argv[1], info_of(size=(64, 48)), overwrite=True)
except StreamcamError as error:
    print(error, flush=True)
    sys.exit(exit_code_of(error))
print("open", flush=True)
sys.stdin.readline()
sink.write(rendered(make_image(64, 48)))
sink.finish()
"""


def start_writer(output: Path) -> subprocess.Popen[str]:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(output)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert line_of(writer) == "ready"
    return writer


def line_of(writer: subprocess.Popen[str]) -> str:
    assert writer.stdout is not None
    return writer.stdout.readline().strip()


def go_on(writer: subprocess.Popen[str]) -> None:
    assert writer.stdin is not None
    writer.stdin.write("\n")
    writer.stdin.flush()


def open_with_one(path: Path, *, overwrite: bool = False) -> Sink:
    sink = open_sink(path, info_of(size=(64, 48)), overwrite=overwrite)
    sink.write(rendered(make_image(64, 48)))
    return sink


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who holds a lock")
def test_of_two_processes_started_at_once_one_wins_and_the_other_names_it(tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    writers = [start_writer(output) for _ in range(2)]
    for writer in writers:
        go_on(writer)
    answers = [line_of(writer) for writer in writers]
    assert answers.count("open") == 1, answers
    winner, loser = sorted(writers, key=lambda writer: answers[writers.index(writer)] != "open")
    assert f"'{output}' is being written by process {winner.pid}; wait for it" in "".join(answers)
    go_on(winner)
    winner.communicate()
    loser.communicate()
    assert (winner.returncode, loser.returncode) == (0, 2)
    with av.open(str(output)) as video:
        assert len(list(video.decode(video=0))) == 1
    assert names_in(tmp_path) == ["out.mp4"]


def test_what_a_killed_process_held_is_taken_over(tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    writer = start_writer(output)
    go_on(writer)
    assert line_of(writer) == "open"
    writer.kill()
    writer.communicate()
    assert names_in(tmp_path) == ["out.mp4.part"]
    open_with_one(output).finish()
    assert names_in(tmp_path) == ["out.mp4"]


@pytest.mark.parametrize("name", NAMES)
def test_the_second_in_one_process_is_refused_and_the_first_goes_on(name: str, tmp_path: Path) -> None:
    first = open_with_one(tmp_path / name)
    with pytest.raises(OutputExistsError, match=r"is being written by .*process"):
        open_sink(tmp_path / name, info_of(size=(64, 48)), overwrite=True)
    first.finish()
    open_with_one(tmp_path / name, overwrite=True).finish()


def test_a_folder_of_segments_belongs_to_one_render(tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    refused = pytest.raises(OutputExistsError, match=r"is being written")
    with locked_store(output), refused, locked_store(output):
        pass
    with locked_store(output):
        pass


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_appears_meanwhile_is_not_replaced(name: str, tmp_path: Path) -> None:
    sink = open_with_one(tmp_path / name)
    other = tmp_path / name.replace("%03d", "001")
    other.write_bytes(b"other")
    with pytest.raises(OutputExistsError, match=r"appeared meanwhile and is not replaced; the complete"):
        sink.finish()
    sink.abort()
    assert other.read_bytes() == b"other"
    assert len(names_in(tmp_path)) == 2, "what was rendered is kept"


@pytest.mark.parametrize("name", NAMES)
def test_it_is_replaced_on_request(name: str, tmp_path: Path) -> None:
    sink = open_with_one(tmp_path / name, overwrite=True)
    other = tmp_path / name.replace("%03d", "001")
    other.write_bytes(b"other")
    sink.finish()
    assert names_in(tmp_path) == [other.name]
    assert other.read_bytes() != b"other"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("lost", ["part", "directory"])
def test_a_part_or_directory_that_is_deleted_is_noticed_at_the_next_frame(
    lost: str, name: str, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    sink = open_with_one(folder / name)
    (part,) = folder.iterdir()
    if lost == "directory":
        shutil.rmtree(folder)
    elif part.is_dir():
        shutil.rmtree(part)
    else:
        part.unlink()
    image = make_image(64, 48)
    image.pts = 1
    with pytest.raises(SinkError, match=r"cannot be written"):
        sink.write(rendered(image))
    sink.abort()
