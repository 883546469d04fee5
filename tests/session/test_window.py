"""Checking for a display, and the window and its keys."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from screens import Screen
from stage_fakes import LIMIT_S

from streamcam.session import window
from streamcam.session.window import Window, find_display


def test_a_display_is_found(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", screen.environment["DISPLAY"])
    assert find_display() is None


FULL_SCREEN = """
import cv2
from streamcam.session.events import ToggleFullScreen
from streamcam.session.window import Window
from media_factory import make_image

window, image = Window("streamcam: w"), make_image(320, 180)
print(window.size, window.poll())
window.show(image)
window.poll()
print(window.size)
for _ in range(2):
    window.handle(ToggleFullScreen(), None)
    window.poll()
    print(cv2.getWindowProperty("streamcam", cv2.WND_PROP_FULLSCREEN) == cv2.WINDOW_FULLSCREEN)
window.close()
window.close()
window.show(image)
print(window.size, [call.name for call in window.poll()])
"""


def test_a_window_opens_fills_the_screen_and_closes(screen: Screen) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_SCREEN],
        env=screen.environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.stderr == ""
    # A small image opens a window in which its words can be read.
    assert done.stdout.splitlines() == ["None ()", "(640, 360)", "True", "False", "None ['quit']"]


@pytest.mark.parametrize(("display", "words"), [(None, "DISPLAY is not set"), (":987", "DISPLAY=:987")])
def test_no_display_is_said_with_a_way_out(
    display: str | None, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    if display is not None:
        monkeypatch.setenv("DISPLAY", display)
    problem = find_display()
    assert problem is not None
    assert problem.startswith("there is no display to open a window on")
    assert words in problem
    assert "`display='none'`" in problem


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("raise ImportError('libGL.so.1: cannot open shared object file')", "OpenCV cannot be loaded"),
        (
            """
            class error(Exception): pass
            def namedWindow(name):
                raise error("The function is not implemented. Rebuild the library with Windows, GTK+ 2.x ...")
            """,
            "pip uninstall opencv-python-headless",
        ),
        ("import time; time.sleep(60)", "did not answer"),
    ],
)
def test_an_opencv_without_windows_is_told_apart(
    source: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cv2.py").write_text(textwrap.dedent(source))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    if "sleep" in source:
        monkeypatch.setattr(window, "_PROBE_PATIENCE_S", 0.2)
    problem = find_display()
    assert problem is not None
    assert words in problem


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (ord("m"), "m"),
        (ord("M"), "M"),
        (ord("/"), "/"),
        (32, " "),
        (27, "escape"),
        (13, "enter"),
        (8, "backspace"),
        (9, "tab"),
        (65362, "up"),
        (65364, "down"),
        (-1, None),
        (65470, None),
        (1, None),
    ],
)
def test_codes_have_names(code: int, name: str | None) -> None:
    assert Window("w")._key(code, 0.0) == name


def test_letters_soon_after_shift_are_capitals() -> None:
    shown = Window("w")
    assert shown._key(65505, 10.0) is None
    assert [shown._key(ord("m"), time) for time in (10.1, 11.0, 11.9, 13.5)] == ["M", "M", "M", "m"]
    assert shown._key(65505, 20.0) is None
    assert shown._key(ord("/"), 20.1) == "/"
