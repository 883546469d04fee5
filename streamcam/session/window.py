"""The window of a live session, through OpenCV's HighGUI. Main thread only."""

from __future__ import annotations

import abc
import contextlib
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence

import cv2

from streamcam.errors import SinkError
from streamcam.frames import Frame
from streamcam.media.images import Image
from streamcam.media.scaling import Resampler
from streamcam.session.command_sources import CommandCall, KeyPress
from streamcam.session.compositor import Compositor
from streamcam.session.events import OutputEffect, ToggleFullScreen
from streamcam.session.hud import HudPainter, hud_of
from streamcam.session.outputs import LiveFrame, Output
from streamcam.session.wall import tile_at
from streamcam.session.wall_painter import places_of

_LARGEST_AT_FIRST = (1280, 720)
_SMALLEST_AT_FIRST = (640, 360)
_LARGEST_CANVAS = (1280, 720)
"""Windows larger than the frame are drawn up to this size; beyond it the window enlarges what is drawn."""

_PROBE_PATIENCE_S = 30.0

NO_DISPLAY = "there is no display"
"""How `find_display`'s answer begins where nothing else is wrong."""

_KEY_NAMES = {8: "backspace", 9: "tab", 10: "enter", 13: "enter", 27: "escape", 127: "backspace"}
_ARROWS = {
    **{65362: "up", 65364: "down"},  # X11
    **{2490368: "up", 2621440: "down"},  # Windows
    **{63232: "up", 63233: "down"},  # macOS
}
_SHIFT = (65505, 65506)

_SHIFT_HOLDS_S = 1.0
"""HighGUI on Qt reports that Shift goes down but never that it comes up, and reports shifted letters as small
ones. A letter this soon after Shift, or after another shifted letter, is taken for a capital."""

# What the child does is all that can go wrong: make a window, show it, and close it.
_PROBE = (
    "import cv2, numpy; cv2.namedWindow('streamcam'); "
    "cv2.imshow('streamcam', numpy.zeros((2, 2), numpy.uint8)); "
    "cv2.pollKey(); cv2.destroyAllWindows()"
)


def find_display() -> str | None:
    """Find out, in a child process, whether windows can be opened: OpenCV aborts where they cannot.

    Returns:
        None if they can; else what is wrong and what to do, in words.
    """
    try:
        probe = subprocess.run(
            [sys.executable, "-c", _PROBE],
            env=_qt_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            timeout=_PROBE_PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"the display did not answer for {_PROBE_PATIENCE_S:g} s; use `display='none'`"
    except OSError as error:
        return f"windows could not be tried ({error.strerror}); use `display='none'`"
    if probe.returncode == 0:
        return None
    if "The function is not implemented" in probe.stderr:
        return (
            "OpenCV here has no windows; most likely opencv-python-headless took the place of opencv-python: "
            "pip uninstall opencv-python-headless opencv-python, then pip install opencv-python"
        )
    if "libGL" in probe.stderr or "cannot open shared object" in probe.stderr:
        line = next(line for line in probe.stderr.splitlines()[::-1] if line.strip())
        return f"OpenCV cannot be loaded ({line.strip()})"
    setting = "DISPLAY is not set" if not os.environ.get("DISPLAY") else f"DISPLAY={os.environ['DISPLAY']}"
    where = f" ({setting})" if sys.platform.startswith("linux") else ""
    return f"{NO_DISPLAY} to open a window on{where}; log in at a screen, or use `display='none'`"


def _qt_environment() -> dict[str, str]:
    """The environment in which Qt says nothing of fonts and platforms on the terminal."""
    environment = dict(os.environ)
    for name, value in _QT_SETTINGS.items():
        environment.setdefault(name, value)
    return environment


_QT_SETTINGS = {
    # Qt's own words: OpenCV's wheels bring no fonts, and Qt complains at every window.
    "QT_LOGGING_RULES": "*=false",
    "OPENCV_LOG_LEVEL": "SILENT",
}
if sys.platform.startswith("linux"):
    # The only platform in OpenCV's wheels; on Wayland Qt would ask for another.
    _QT_SETTINGS["QT_QPA_PLATFORM"] = "xcb"


class Display(Output):
    """An output that shows composed images, with what the session writes over them. Belongs to one thread."""

    may_block = False

    def __init__(self) -> None:
        self._compositor, self._hud = Compositor(), HudPainter()
        self._shown: LiveFrame | None = None
        self._shown_size: tuple[int, int] | None = None
        self._drawn_size = (0, 0)

    @property
    def size(self) -> tuple[int, int] | None:
        """(width, height) that images should have, in pixels; None for that of the frame."""
        return None

    @abc.abstractmethod
    def show(self, image: Image) -> None:
        """Show an image."""

    def write(self, live_frame: LiveFrame) -> None:
        """Compose a frame at the display's size, and show it."""
        frame, view = live_frame.frame, live_frame.state.view
        self._shown, self._shown_size = live_frame, self.size
        canvas = _canvas_size(self._shown_size, frame)
        image = self._compositor.compose_live(live_frame, canvas)
        inset = self._compositor.measure_caption(view.overlay, image)
        self._hud.paint(image, hud_of(live_frame.state), inset=inset)
        self._drawn_size = image.width, image.height
        self.show(image)

    def choose_at(self, x: float, y: float) -> CommandCall | None:
        """Return what a click at a point of the image stands for: a tile alone, or all of them again.

        Args:
            x: In pixels of the image that was shown last.
            y: Likewise.
        """
        shown = self._shown
        if shown is None or not shown.tiles:
            return None
        if shown.state.large is not None:
            return CommandCall("wall")
        number = tile_at(places_of(shown, self._drawn_size), x, y)
        if number is None:
            return None
        return CommandCall("stream", shown.state.streams[shown.tiles[number].stream].name)

    def redraw_if_resized(self) -> None:
        """Draw the last frame again if the display has another size now: there may be no new one for long."""
        if self._shown is not None and self.size != self._shown_size:
            self.write(self._shown)


def _canvas_size(size: tuple[int, int] | None, frame: Frame) -> tuple[int, int] | None:
    """Return the size of a window, or as much of it as is worth drawing."""
    if size is None:
        return None
    width = max(_LARGEST_CANVAS[0], frame.image.width)
    height = max(_LARGEST_CANVAS[1], frame.image.height)
    scale = min(1.0, max(width / size[0], height / size[1]))
    return round(size[0] * scale), round(size[1] * scale)


class Window(Display):
    """A window. It opens with the first frame, and commands come from its keys and its close button."""

    def __init__(self, title: str) -> None:
        """Describe the window.

        Args:
            title: What its title bar says.
        """
        super().__init__()
        self._title = title
        self._name = "streamcam"
        self._resampler = Resampler()
        self._is_open = False
        self._closed = False
        self._shift_until = 0.0
        self._clicks: deque[tuple[int, int]] = deque(maxlen=1)

    @property
    def size(self) -> tuple[int, int] | None:
        """(width, height) of what lies inside the window's frame; None before the first image."""
        if not self._is_open or self._closed:
            return None
        try:
            _, _, width, height = cv2.getWindowImageRect(self._name)
        except cv2.error:  # closed a moment ago
            return None
        return (width, height) if width > 0 and height > 0 else None

    def show(self, image: Image) -> None:
        """Show an image, stretched to the window.

        Raises:
            SinkError: if the window cannot be opened.
        """
        if self._closed:
            return
        rgb = self._resampler.to_rgb(image, image.width, image.height)
        bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
        try:
            if not self._is_open:
                self._open(image.width, image.height)
            cv2.imshow(self._name, bgr)
        except cv2.error as error:
            raise SinkError(f"the window cannot be shown ({error.err}); try `display='none'`") from error

    def poll(self) -> Sequence[KeyPress | CommandCall]:
        """Return the key pressed since the last call, of which HighGUI keeps one, or that it was closed."""
        if self._closed:
            return (CommandCall("quit"),)
        if not self._is_open:
            return ()
        code = cv2.pollKey()
        # Checked before anything is shown: imshow would open the window again.
        if not self._is_visible():
            self._closed = True
            return (CommandCall("quit"),)
        self.redraw_if_resized()
        key = self._key(code, time.monotonic())
        chosen = self.choose_at(*self._clicks.popleft()) if self._clicks else None
        return (*(() if key is None else (KeyPress(key),)), *(() if chosen is None else (chosen,)))

    def handle(self, effect: OutputEffect, live_frame: LiveFrame | None) -> bool:  # noqa: ARG002
        """Fill the screen, or return to a window."""
        if not isinstance(effect, ToggleFullScreen):
            return False
        if self._is_open and not self._closed:
            is_full = cv2.getWindowProperty(self._name, cv2.WND_PROP_FULLSCREEN) == cv2.WINDOW_FULLSCREEN
            mode = cv2.WINDOW_NORMAL if is_full else cv2.WINDOW_FULLSCREEN
            cv2.setWindowProperty(self._name, cv2.WND_PROP_FULLSCREEN, mode)
        return True

    def close(self) -> None:
        """Close the window."""
        if self._is_open:
            self._is_open = False
            self._closed = True
            with contextlib.suppress(cv2.error):  # closed by the user a moment ago
                cv2.destroyWindow(self._name)
                cv2.pollKey()

    def _is_visible(self) -> bool:
        try:
            return bool(cv2.getWindowProperty(self._name, cv2.WND_PROP_VISIBLE) >= 1)
        except cv2.error:  # what some versions say of a window that is gone
            return False

    def _open(self, width: int, height: int) -> None:
        for name, value in _QT_SETTINGS.items():
            os.environ.setdefault(name, value)
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        scale = min(1.0, _LARGEST_AT_FIRST[0] / width, _LARGEST_AT_FIRST[1] / height)
        scale = max(scale, min(_SMALLEST_AT_FIRST[0] / width, _SMALLEST_AT_FIRST[1] / height))
        flags = cv2.WINDOW_NORMAL | cv2.WINDOW_FREERATIO | cv2.WINDOW_GUI_NORMAL
        cv2.namedWindow(self._name, flags)
        cv2.setWindowTitle(self._name, self._title)
        cv2.setMouseCallback(self._name, self._note_click)
        cv2.resizeWindow(self._name, round(scale * width), round(scale * height))
        self._is_open = True

    def _note_click(self, event: int, x: int, y: int, _flags: int, _data: object) -> None:
        if event == cv2.EVENT_LBUTTONUP:
            self._clicks.append((x, y))

    def _key(self, code: int, now_s: float) -> str | None:
        """Name the key of one of HighGUI's codes."""
        if code in _SHIFT:
            self._shift_until = now_s + _SHIFT_HOLDS_S
            return None
        if code in _ARROWS:
            return _ARROWS[code]
        if code < 0 or code > 0xFF:
            return None
        if code in _KEY_NAMES:
            return _KEY_NAMES[code]
        character = chr(code)
        if not character.isprintable():
            return None
        if character.islower() and now_s < self._shift_until:
            self._shift_until = now_s + _SHIFT_HOLDS_S
            return character.upper()
        return character
