"""Ctrl-C and SIGTERM, in real processes, which say when they are where they are to be interrupted."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import pytest
from media_factory import frame_times_of, make_clip
from stage_fakes import LIMIT_S

from streamcam.cli.signals import SignalCount, interrupt_on_signal, stop_on_signal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

FRAMES = 120
STOPPING = "streamcam: stopping; finishing the file (once more to leave at once)"
PROGRAM = Path(__file__).parent / "fake_cli.py"


class Child:
    """A running ``fake_cli.py``, for which nobody waits forever."""

    def __init__(self, where: str, arguments: Sequence[str], directory: Path, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM), where, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=directory,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        )
        self._watchdog = threading.Timer(2 * LIMIT_S, self.process.kill)
        self._watchdog.start()

    def read_line(self, stream: IO[str] | None) -> str:
        assert stream is not None
        return stream.readline().rstrip("\n")

    def wait_until_held(self) -> None:
        assert self.read_line(self.process.stdout).startswith("holding")

    def release(self) -> tuple[int, str, str]:
        """Let it go on to its end; return its exit code and what else it says."""
        out, err = self.process.communicate()
        return self.process.returncode, out, err

    def end(self) -> None:
        self._watchdog.cancel()
        self.process.kill()
        self.process.communicate()


@contextlib.contextmanager
def running(where: str, arguments: Sequence[str], directory: Path, **environment: str) -> Iterator[Child]:
    child = Child(where, arguments, directory, **environment)
    try:
        yield child
    finally:
        child.end()


@pytest.fixture
def long_clip(work: Path) -> Path:
    return make_clip(work / "clip.mp4", frames=FRAMES)


RENDER = ["render", "clip.mp4", "-o", "out.mp4"]
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.usefixtures("long_clip")
def test_the_first_signal_finishes_the_file(work: Path, number: int) -> None:
    with running("5", [*RENDER, "--sidecar", "maps.jsonl"], work) as child:
        child.wait_until_held()
        child.process.send_signal(number)
        assert child.read_line(child.process.stderr) == STOPPING
        code, out, err = child.release()
    times = frame_times_of(work / "out.mp4")
    # Five batches of 4 are through, the sixth is held, and one more may wait in the queue behind it.
    assert 24 <= len(times) <= 28
    assert times == frame_times_of(work / "clip.mp4")[: len(times)]
    assert code == 130
    assert out.startswith("wrote out.mp4 (")
    assert err == f"streamcam: interrupted; 'out.mp4' contains the {len(times)} frames rendered so far\n"
    assert len((work / "maps.jsonl").read_text().splitlines()) == 1 + len(times)
    assert names_in(work) == ["clip.mp4", "maps.jsonl", "out.mp4"]


@pytest.mark.usefixtures("long_clip")
def test_quiet_says_only_that_it_was_interrupted(work: Path) -> None:
    with running("5", [*RENDER, "--quiet"], work) as child:
        child.wait_until_held()
        child.process.send_signal(signal.SIGTERM)
        code, out, err = child.release()
    assert (code, out) == (130, "")
    assert err.startswith("streamcam: interrupted; 'out.mp4' contains ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("long_clip")
def test_the_second_signal_leaves_at_once_and_leaves_nothing(work: Path, number: int) -> None:
    with running("5", [*RENDER, "--sidecar", "maps.jsonl"], work) as child:
        child.wait_until_held()
        child.process.send_signal(number)
        assert child.read_line(child.process.stderr) == STOPPING
        child.process.send_signal(number)
        assert child.process.wait(LIMIT_S) == 130, "it does not wait for the batch that is held"
        _, out, err = child.release()
    assert (out, err) == ("", "streamcam: interrupted; unfinished output was deleted\n")
    assert names_in(work) == ["clip.mp4"]


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.usefixtures("long_clip")
def test_a_signal_while_the_network_is_loaded(work: Path, number: int) -> None:
    with running("loading", RENDER, work) as child:
        child.wait_until_held()
        child.process.send_signal(number)
        code, out, err = child.release()
    assert (code, out, err) == (130, "", "streamcam: interrupted; nothing was written\n")
    assert names_in(work) == ["clip.mp4"]


@pytest.mark.usefixtures("long_clip")
def test_nohup_is_respected(work: Path) -> None:
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a child inherits it
    try:
        with running("5", RENDER, work) as child:
            child.wait_until_held()
            child.process.send_signal(signal.SIGHUP)
            code, _, err = child.release()
    finally:
        signal.signal(signal.SIGHUP, former)
    assert (code, err) == (0, "")
    assert len(frame_times_of(work / "out.mp4")) == FRAMES


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    counted, stops = SignalCount(), list[str]()
    steps = [functools.partial(stops.append, step) for step in ("stop", "announced", "left")]
    with interrupt_on_signal():
        with stop_on_signal(*steps, counted):
            signal.raise_signal(signal.SIGTERM)
            assert stops == ["stop", "announced"]
            signal.raise_signal(signal.SIGINT)
            assert stops == ["stop", "announced", "left"]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    assert counted.received == 2
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_outside_the_main_thread_signals_are_left_alone() -> None:
    done = []

    def work() -> None:
        with interrupt_on_signal(), stop_on_signal(*[lambda: None] * 3, SignalCount()):
            done.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(LIMIT_S)
    assert done == [before]


@pytest.mark.usefixtures("long_clip")
def test_what_is_finished_outlives_every_signal_and_is_gone_on_from(work: Path) -> None:
    """Killed outright, stopped in order, interrupted twice: the video is that of an undisturbed render."""
    resume = ["render", "clip.mp4", "-o", "out.mp4", "--resume", "--sidecar", "maps.jsonl"]
    undisturbed = ["render", "clip.mp4", "-o", "whole.mp4", "--resume", "--sidecar", "whole.jsonl"]
    settings = {"SEGMENT": "16", "RISK": "0"}
    with running("5", resume, work, **settings) as child:
        child.wait_until_held()
        child.process.kill()
        assert child.release()[0] == -signal.SIGKILL
    assert names_in(work) == ["clip.mp4", "maps.jsonl.part", "out.mp4.part", "out.mp4.parts"]
    with running("5", resume, work, **settings) as child:  # the fourth batch of those that are left
        # Five batches were explained; how many of their frames were encoded is a matter of who was quicker.
        line = child.read_line(child.process.stderr)
        going_on = r"streamcam: resuming at frame 21: 'out\.mp4\.parts' contains 20 frames "
        assert re.fullmatch(going_on + r"\((all|4 of them) explained, not encoded yet\)", line)
        child.wait_until_held()
        child.process.send_signal(signal.SIGINT)
        assert "keeping what is finished" in child.read_line(child.process.stderr)
        code, out, err = child.release()
    assert (code, out) == (130, "")
    kept = r"'out\.mp4\.parts' contains (40|44) frames \((8|12) of them explained, not encoded yet\)"
    assert re.fullmatch(f"streamcam: interrupted; {kept}, and the same command resumes there\n", err)
    with running("5", resume, work, **settings) as child:
        child.read_line(child.process.stderr)
        child.wait_until_held()
        child.process.send_signal(signal.SIGTERM)
        child.read_line(child.process.stderr)
        child.process.send_signal(signal.SIGTERM)
        assert child.process.wait(LIMIT_S) == 130
        left = "work that is not in 'out.mp4.parts' yet was discarded"
        assert child.release()[1:] == ("", f"streamcam: interrupted; {left}\n")
    assert names_in(work) == ["clip.mp4", "out.mp4.parts"]
    for command, from_before in ((resume, True), (undisturbed, False)):
        with running("nowhere", command, work, **settings) as child:
            code, out, _ = child.release()
        assert code == 0
        assert re.search(
            r"120 frames, \d+ from the last run; \d+ new in " if from_before else "120 frames in ", out
        )
    assert names_in(work) == ["clip.mp4", "maps.jsonl", "out.mp4", "whole.jsonl", "whole.mp4"]
    assert (work / "out.mp4").read_bytes() == (work / "whole.mp4").read_bytes()
    assert (work / "maps.jsonl").read_bytes() == (work / "whole.jsonl").read_bytes()
