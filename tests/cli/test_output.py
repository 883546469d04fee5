"""Standard streams that are full, closed or not there: what is said does not change what was done."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from media_factory import frame_times_of
from stage_fakes import LIMIT_S

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX shells")

FAKE_CLI = [sys.executable, str(Path(__file__).parent / "fake_cli.py"), "nowhere"]
STREAMCAM = [sys.executable, "-m", "streamcam"]
FRAMES = 20


def run_in_shell(redirection: str, command: list[str], directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", f'"$@" {redirection}', "sh", *command],
        capture_output=True,
        text=True,
        timeout=3 * LIMIT_S,
        check=False,
        cwd=directory,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


@pytest.mark.parametrize("redirection", ["<&- >&- 2>&-", ">/dev/full 2>/dev/full"])
@pytest.mark.usefixtures("clip")
def test_a_video_is_finished_though_nobody_can_be_told(work: Path, redirection: str) -> None:
    done = run_in_shell(redirection, [*FAKE_CLI, "render", "clip.mp4", "-o", "out.mkv"], work)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(frame_times_of(work / "out.mkv")) == FRAMES
    assert sorted(path.name for path in work.iterdir()) == ["clip.mp4", "out.mkv"]


def test_a_video_is_finished_though_its_reader_has_gone(work: Path, clip: Path) -> None:
    before = clip.read_bytes()
    done = run_in_shell("| true", [*FAKE_CLI, "render", "clip.mp4", "-o", "out.mkv"], work)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(frame_times_of(work / "out.mkv")) == FRAMES
    assert clip.read_bytes() == before


def test_misuse_is_misuse_though_nobody_can_be_told(work: Path) -> None:
    for redirection in ("2>&-", "2>/dev/full"):
        done = run_in_shell(redirection, [*STREAMCAM, "render", "missing.mp4", "-o", "out.mp4"], work)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", "")


@pytest.mark.parametrize("command", ["methods", "doctor"])
@pytest.mark.parametrize("is_buffered", [True, False])
def test_a_list_that_finds_no_room_failed(
    work: Path, command: str, is_buffered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python would try again at the end what it has buffered, complain, and end with 120."""
    monkeypatch.setenv("PYTHONUNBUFFERED", "" if is_buffered else "1")
    done = run_in_shell(">/dev/full", [*STREAMCAM, command], work)
    assert done.returncode == 1
    assert done.stderr == "streamcam: error: No space left on device (--debug shows where)\n"
