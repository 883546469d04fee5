"""The screen of this computer, through FFmpeg's grabbers for X11, Windows and macOS."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError

from streamcam.errors import InvalidArgumentError, SourceError
from streamcam.sources.base import Source
from streamcam.sources.capture import ReconnectingSource
from streamcam.sources.settings import SourceSettings
from streamcam.sources.stream_capture import StreamCapture, reason_of

_SCHEME = "screen:"
_RATE = 30

GRABBERS = {"linux": "x11grab", "win32": "gdigrab", "darwin": "avfoundation"}
"""`sys.platform` → FFmpeg's name of what grabs its screen."""

_REGION = re.compile(r"(?P<width>[1-9]\d{0,4})x(?P<height>[1-9]\d{0,4})\+(?P<left>\d{1,5})\+(?P<top>\d{1,5})")


def is_screen(location: str | int | Path) -> bool:
    """Return whether a location means the screen."""
    return isinstance(location, str) and location.lower().startswith(_SCHEME)


def find_grabber() -> str | None:
    """Return FFmpeg's name of what grabs the screen here; None if it has nothing."""
    grabber = GRABBERS.get(sys.platform)
    return grabber if grabber in av.formats_available else None


def open_screen(location: str | int | Path, settings: SourceSettings) -> Source:
    """Make the screen ready; the thread that reads it grabs.

    Args:
        location: ``"screen:"``, or ``"screen:640x480+100+50"`` for a part: its size, and where its left upper
            corner lies.
        settings: How often it is grabbed; 30 times a second without `rate`.

    Raises:
        InvalidArgumentError: if there is no such part, or FFmpeg here cannot grab the screen.
    """
    text = str(location)[len(_SCHEME) :]
    region = _REGION.fullmatch(text)
    if text and region is None:
        raise InvalidArgumentError(
            f"{str(location)!r} is no part of the screen; give screen: or screen:WIDTHxHEIGHT+LEFT+TOP"
        )
    grabber = find_grabber()
    if grabber is None:
        raise InvalidArgumentError(f"FFmpeg here cannot grab the screen of {sys.platform}")
    if grabber == "avfoundation" and region is not None:
        raise InvalidArgumentError("AVFoundation grabs whole screens; give screen:")
    return ReconnectingSource(ScreenCapture(str(location), grabber, region, settings))


class ScreenCapture(StreamCapture):
    """The screen, or a part of it."""

    def __init__(
        self, name: str, grabber: str, region: re.Match[str] | None, settings: SourceSettings
    ) -> None:
        """Prepare to grab.

        Args:
            name: The location.
            grabber: FFmpeg's name of what grabs.
            region: The part; None for all.
            settings: How often.
        """
        self.name = name
        self._grabber = grabber
        self._options = {"framerate": str(settings.rate or _RATE)}
        self._corner = ""
        if region is not None:
            self._options["video_size"] = f"{region['width']}x{region['height']}"
            self._corner = f"+{region['left']},{region['top']}"
            if grabber == "gdigrab":
                self._options |= {"offset_x": region["left"], "offset_y": region["top"]}

    def connect(self) -> InputContainer:
        """Begin to grab.

        Raises:
            SourceError: if there is no screen, or the part lies outside.
        """
        display = os.environ.get("DISPLAY")
        if self._grabber == "x11grab" and not display:
            raise SourceError("there is no X11 screen to grab: DISPLAY is not set")
        files = {
            "x11grab": f"{display}{self._corner}",
            "gdigrab": "desktop",
            "avfoundation": "Capture screen 0:none",
        }
        try:
            return av.open(files[self._grabber], format=self._grabber, options=dict(self._options))
        except (FFmpegError, OSError, ValueError) as error:
            reason = reason_of(error)
            raise SourceError(
                f"{self.name!r} cannot be grabbed ({reason}); is there a screen, and the part on it?"
            ) from error
