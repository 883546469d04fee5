"""X11 libraries loaded in the one order in which PyAV and OpenCV's windows get along."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

_SHARED = ("libxcb-shape", "libxcb-shm", "libxcb-xfixes")
"""Libraries that both wheels bring under the same file names, built against different copies of libxcb."""


def load_x11_libraries() -> None:
    """Load what OpenCV's windows need from X11, for the whole process; does nothing outside Linux.

    Windows of opencv-python use Qt, which finds its X11 libraries by name among those already loaded. Two
    of the candidates are wrong:

    - PyAV's wheel brings copies of `_SHARED` bound to a libxcb of its own. With av imported first, Qt
      mixes two libxcbs, and the first window hangs for ever (opencv-python 5.0, PyAV 18.1). What is in the
      global scope comes first, so OpenCV's copies are put there; av may have been imported before or not.
    - OpenCV's wheel brings a libX11-xcb built for an older libX11 than most systems have. It marks the
      owner of the event queue in the wrong place, so that libX11 takes events that it never delivers: a
      window stays black (23 of 120 starts with both cores busy; none with the system's) or keys are lost.
    """
    if not sys.platform.startswith("linux"):
        return
    for library in ("libX11-xcb.so.1", *_bundled_with_opencv()):
        with contextlib.suppress(OSError):  # without an X11 of its own, the system opens no windows anyway
            ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)


def _bundled_with_opencv() -> Iterator[str]:
    """Find the copies of `_SHARED` in OpenCV's wheel, without importing it."""
    spec = importlib.util.find_spec("cv2")
    if spec is None or spec.origin is None:
        return
    folder = Path(spec.origin).parent.parent / "opencv_python.libs"
    for name in _SHARED:
        yield from map(str, folder.glob(f"{name}-*.so*"))
