"""A screen for tests: an X server without a monitor, keys pressed on it, and images of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from stage_fakes import LIMIT_S

SIZE = (1000, 700)


# In a process of its own, because a mistake in calling C is the end of it. libX11 comes with xdotool.
_CLOSE = """
import ctypes

class ClientMessage(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int), ("serial", ctypes.c_ulong), ("send_event", ctypes.c_int),
        ("display", ctypes.c_void_p), ("window", ctypes.c_ulong), ("message_type", ctypes.c_ulong),
        ("format", ctypes.c_int), ("data", ctypes.c_long * 5), ("rest", ctypes.c_long * 24),
    ]

x11 = ctypes.CDLL("libX11.so.6")
x11.XOpenDisplay.restype = ctypes.c_void_p
x11.XInternAtom.restype = ctypes.c_ulong
x11.XInternAtom.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
x11.XSendEvent.argtypes = [ctypes.c_void_p, ctypes.c_ulong, ctypes.c_int, ctypes.c_long, ctypes.c_void_p]
x11.XCloseDisplay.argtypes = [ctypes.c_void_p]
display = x11.XOpenDisplay(None)
event = ClientMessage(type=33, window={window}, format=32)
event.message_type = x11.XInternAtom(display, b"WM_PROTOCOLS", 0)
event.data[0] = x11.XInternAtom(display, b"WM_DELETE_WINDOW", 0)
x11.XSendEvent(display, {window}, 0, 0, ctypes.byref(event))
x11.XCloseDisplay(display)
"""


class Screen:
    """An X server of its own.

    Attributes:
        environment: For programs that are to be shown on it.
    """

    def __init__(self) -> None:
        reading, writing = os.pipe()
        # The server chooses a free number, and tells it once it can be used. Without -noreset it would begin
        # again whenever its last client goes, and refuse the next one meanwhile.
        self._server = subprocess.Popen(
            [
                "Xvfb",
                "-noreset",
                "-displayfd",
                str(writing),
                "-screen",
                "0",
                f"{SIZE[0]}x{SIZE[1]}x24",
                "-nolisten",
                "tcp",
            ],
            pass_fds=[writing],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(writing)
        with os.fdopen(reading) as numbers:
            self._name = f":{numbers.readline().strip()}"
        self.environment = {
            **os.environ,
            "DISPLAY": self._name,
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }

    def close(self) -> None:
        """End the server."""
        self._server.terminate()
        self._server.wait(LIMIT_S)

    def do(self, *arguments: str) -> str:
        """Run xdotool; return what it says."""
        done = subprocess.run(
            ["xdotool", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=True,
        )
        return done.stdout

    def ask_to_close(self, window: str) -> None:
        """Do what a window manager does when its close button is pressed; old versions of xdotool cannot."""
        script = _CLOSE.format(window=window)
        subprocess.run([sys.executable, "-c", script], env=self.environment, timeout=LIMIT_S, check=True)

    def image(self) -> NDArray[np.uint8]:
        """Take an image of the whole screen, RGB, uint8 (H, W, 3)."""
        grab = ["-f", "x11grab", "-draw_mouse", "0", "-video_size", f"{SIZE[0]}x{SIZE[1]}", "-i", self._name]
        done = subprocess.run(
            ["ffmpeg", "-v", "error", *grab, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
            capture_output=True,
            timeout=LIMIT_S,
            check=True,
        )
        return np.frombuffer(done.stdout, np.uint8).reshape(SIZE[1], SIZE[0], 3)


class Shown:
    """A program that opens a window on a screen."""

    def __init__(self, screen: Screen, command: Sequence[str], directory: Path) -> None:
        """Start it; as a context manager, its window is waited for."""
        self._screen = screen
        self.process = subprocess.Popen(
            [sys.executable, *command],
            env=screen.environment,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.window = ""

    def __enter__(self) -> Shown:
        """Wait for the window and its first image."""
        self.window = until(self._find_window)
        until(lambda: self.size[0] > 1)
        self._screen.do("windowfocus", "--sync", self.window)
        until(lambda: self.pixels.max() > 60)  # the first image: only from then on keys are looked for
        return self

    def __exit__(self, *_error: object) -> None:
        self.process.kill()
        self.process.communicate()

    def _find_window(self) -> str:
        assert self.process.poll() is None, self.process.communicate()
        try:
            return self._screen.do("search", "--onlyvisible", "--name", "^streamcam: ").split()[0]
        except subprocess.CalledProcessError:  # not yet
            return ""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the window in pixels."""
        lines = self._screen.do("getwindowgeometry", "--shell", self.window).splitlines()
        values = dict(line.split("=") for line in lines)
        return int(values["WIDTH"]), int(values["HEIGHT"])

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """What the window shows; it stands in the upper left corner of the screen."""
        width, height = self.size
        return self._screen.image()[:height, :width]

    def press(self, *keys: str) -> None:
        """Press keys one after another, as long and as far apart as a person does.

        HighGUI keeps one key from one look to the next, and on a busy machine looks are rare.
        """
        for key in keys:
            self._screen.do("key", "--delay", "60", key, "sleep", "0.3")

    def hold(self, key: str, *keys: str) -> None:
        """Press keys while another is held down."""
        self._screen.do("keydown", key, "sleep", "0.1")
        self.press(*keys)
        self._screen.do("keyup", key)

    def end(self) -> tuple[int, str, str]:
        """Wait for the end; return the exit code and all that was said."""
        out, err = self.process.communicate(timeout=LIMIT_S)
        return self.process.returncode, out, err


def until(look: Callable[[], object]) -> str:
    """Look again and again until there is something to be seen: a screen tells nobody of its changes."""
    ends_at = time.monotonic() + LIMIT_S
    while not (seen := look()):
        if time.monotonic() > ends_at:
            raise AssertionError("what was waited for never came to be seen")
        time.sleep(0.05)
    return str(seen)
