"""The progress line: its words, and how it looks at a terminal."""

from __future__ import annotations

import logging
import os
import re
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from media_factory import info_of, make_clip
from stage_fakes import LIMIT_S

from streamcam.cli.progress import ProgressLine, clock, describe, showing_activities
from streamcam.explain.activities import announce
from streamcam.pipeline.results import Progress

PROGRAM = Path(__file__).parent / "fake_cli.py"
WIDE = 200


def progress(frames: int = 120, total: int | None = 250, video_s: float = 4.8) -> Progress:
    return Progress(info_of(frame_count=total), frames, video_s)


@pytest.mark.parametrize(
    ("speed", "left_s", "width", "words"),
    [
        (None, None, WIDE, "120/250 frames"),
        (50.0, 2.6, WIDE, "120/250 frames · 50.0 fps · 2.0x real time · 0:03 left"),
        (50.0, None, WIDE, "120/250 frames · 50.0 fps · 2.0x real time"),
        (50.0, 2.6, 54, "120/250 frames · 50.0 fps · 2.0x real time · 0:03 left"),
        (50.0, 2.6, 53, "120/250 frames · 50.0 fps · 0:03 left"),
        (50.0, 2.6, 36, "120/250 frames · 0:03 left"),
        (50.0, 2.6, 20, "120/250 frames"),
    ],
)
def test_words(speed: float | None, left_s: float | None, width: int, words: str) -> None:
    assert describe(progress(), speed=speed, left_s=left_s, width=width) == words


def test_words_where_little_is_known() -> None:
    """How many frames there are, or how long they last."""
    unknown = describe(progress(total=None), speed=50.0, left_s=None, width=WIDE)
    assert unknown == "120 frames · 50.0 fps · 2.0x real time"
    assert describe(progress(video_s=0.0), speed=50.0, left_s=None, width=WIDE) == "120/250 frames · 50.0 fps"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0:00"), (7.4, "0:07"), (59.6, "1:00"), (754, "12:34"), (3723, "1:02:03")]
)
def test_clock(seconds: float, words: str) -> None:
    assert clock(seconds) == words


def test_without_a_terminal_it_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    with ProgressLine(quiet=False) as line:
        line.begin("loading")
        line.update(progress())
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("quiet", "says"),
    [(False, "streamcam: stopping; finishing the file (once more to leave at once)\n"), (True, "")],
)
def test_stopping_is_told_where_no_line_shows_it(
    capfd: pytest.CaptureFixture[str], quiet: bool, says: str
) -> None:
    ProgressLine(quiet=quiet).announce_stop()
    assert capfd.readouterr().err == says


class Terminal:
    """A process whose standard error is a terminal; its standard input and output are pipes.

    Attributes:
        shown: Everything that came to the terminal so far.
    """

    def __init__(self, where: str, directory: Path, columns: int, settings: Mapping[str, str]) -> None:
        import fcntl
        import pty
        import termios

        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        environment = {
            name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")
        }
        environment |= {"TERM": "xterm-256color", "PYTHONPATH": os.pathsep.join(sys.path), **settings}
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM), where, "render", "clip.mp4", "-o", "out.mp4", *QUIET_OVERLAY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=slave,
            cwd=directory,
            env=environment,
        )
        os.close(slave)
        self.shown = ""
        self._watchdog = threading.Timer(LIMIT_S, self.process.kill)
        self._watchdog.start()

    @property
    def text(self) -> str:
        """What was shown, without the codes that move the cursor and set colors."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.shown)

    def read_until(self, pattern: str | None) -> str:
        """Read until something is shown, or to the end if it is None."""
        while pattern is None or not re.search(pattern, self.text):
            try:
                read = os.read(self._master, 65536)
            except OSError:  # Linux's way of saying that the other side has closed
                read = b""
            if not read:
                assert pattern is None, f"{pattern} never came: {self.text!r}"
                break
            self.shown += read.decode()
        return self.text

    def release(self) -> tuple[int, str]:
        """Let the process go on to its end; return its exit code and standard output."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.read_until(None)
        assert self.process.stdout is not None
        out = self.process.stdout.read().decode()
        return self.process.wait(), out

    def end(self) -> None:
        self._watchdog.cancel()
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()
        os.close(self._master)


QUIET_OVERLAY = ["--no-labels"]


@pytest.fixture
def at_terminal(work: Path) -> Iterator[object]:
    """Start a render at a terminal, which is held after its 20th frame of 80."""
    make_clip(work / "clip.mp4", frames=80)
    terminals = []

    def start(*, where: str = "5", columns: int = 100, **settings: str) -> Terminal:
        terminals.append(Terminal(where, work, columns, settings))
        return terminals[-1]

    yield start
    for terminal in terminals:
        terminal.end()


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")


def test_a_terminal_shows_frames_speed_and_time_left(at_terminal: type[Terminal]) -> None:
    terminal = at_terminal()  # type: ignore[call-arg]
    shown = terminal.read_until(
        r"rendering [━╸╺]+ (16|20)/80 frames · [\d.]+ fps · [\d.]+x real time · 0:0\d left"
    )
    assert "loading efficientnet_lite0" in shown
    code, out = terminal.release()
    assert code == 0
    assert out.startswith("wrote out.mp4")
    assert terminal.shown.endswith("\x1b[?25h\r\x1b[1A\x1b[2K"), "the line is wiped away at the end"


def test_a_terminal_shows_what_takes_long_before_the_first_frame(at_terminal: type[Terminal]) -> None:
    terminal = at_terminal(where="converting")  # type: ignore[call-arg]
    terminal.read_until("converting the fake")
    code, _ = terminal.release()
    assert code == 0


def test_activities_are_taken_from_the_log_and_nothing_stays_installed() -> None:
    logger = logging.getLogger("streamcam.explain")
    shown: list[str] = []
    before = (logger.level, list(logger.filters))
    with showing_activities(shown.append):
        announce("converting the network")
        logger.info("no activity")
        logger.warning("no activity either")
    announce("converting another one")
    assert shown == ["converting the network"]
    assert (logger.level, logger.filters) == before


@pytest.mark.parametrize("columns", [60, 40])
def test_a_narrow_terminal_shows_what_fits(at_terminal: type[Terminal], columns: int) -> None:
    terminal = at_terminal(columns=columns)  # type: ignore[call-arg]
    terminal.read_until(r"(16|20)/80 frames · [\d.]+ fps")
    terminal.release()
    lines = re.split(r"[\r\n]+", terminal.text)
    assert max(map(len, lines)) <= columns
    assert not any("━" in line or "…" in line for line in lines)


def test_no_color_is_respected(at_terminal: type[Terminal]) -> None:
    def colors(shown: str) -> set[str]:
        codes = {code for match in re.findall(r"\x1b\[([0-9;]*)m", shown) for code in match.split(";")}
        return codes - {"", "0", "1", "2"}  # plain, bold and dim are no colors

    for settings, has_colors in (({}, True), ({"NO_COLOR": "1"}, False)):
        terminal = at_terminal(**settings)  # type: ignore[call-arg]
        terminal.release()
        assert bool(colors(terminal.shown)) is has_colors


def test_stopping_is_shown_in_the_line(at_terminal: type[Terminal]) -> None:
    terminal = at_terminal()  # type: ignore[call-arg]
    terminal.read_until(r"(16|20)/80 frames · ")
    terminal.process.send_signal(signal.SIGINT)
    terminal.read_until("stopping .*finishing the file; Ctrl-C again leaves at once")
    code, _ = terminal.release()
    assert code == 130
    assert re.search(r"streamcam: interrupted; 'out\.mp4' contains the 2\d frames", terminal.text)


def test_other_records_go_to_functions_of_their_own() -> None:
    shown: list[str] = []
    costs: list[str] = []
    logger = logging.getLogger("streamcam.explain")
    with showing_activities(shown.append, {"cost": costs.append}):
        logger.info("converting", extra={"activity": True})
        logger.info("48 runs", extra={"cost": True})
        logger.info("run 16 of 48", extra={"progress": True})
    assert (shown, costs) == (["converting"], ["48 runs"])
