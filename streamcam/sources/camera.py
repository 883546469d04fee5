"""Cameras, through OpenCV: V4L2 on Linux, AVFoundation on macOS, Media Foundation on Windows."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
import cv2
import numpy as np

from streamcam.errors import SourceError, SourceNotFoundError, map_errors
from streamcam.sources.base import Source
from streamcam.sources.capture import Capture, CapturedImage, ReconnectingSource
from streamcam.sources.settings import SourceSettings
from streamcam.sources.v4l2 import CameraInfo, Mode, list_cameras

_log = logging.getLogger("streamcam.sources")

_IS_LINUX = sys.platform.startswith("linux")

_DEFAULT_SIZE = (1280, 720)
_DEFAULT_RATE = Fraction(30)

_RAW = ("YUYV", "UYVY", "YVYU", "NV12", "YU12", "YV12")
_JPEG = "MJPG"

_RAW_BYTES_PER_S = 640 * 480 * 2 * 30
"""Most bytes per second of a raw stream where the driver lists no modes: USB 2 carries little more."""

_ENOUGH = Fraction(9, 10)
"""A mode is as fast as was asked for from this share on: 29.97 is meant by 30."""

_FAILURES_IN_A_ROW = 3
"""Reads without an image, each of which may wait for seconds, before the camera is opened again."""


class Device(Protocol):
    """As much of ``cv2.VideoCapture`` as is used: fakes for tests offer the same."""

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        """Return whether it is open."""

    def set(self, setting: int, value: float) -> bool:
        """Ask for a setting."""

    def get(self, setting: int) -> float:
        """Read a setting; 0 where it is not known."""

    def read(self) -> tuple[bool, Any]:
        """Wait for the next image: whether there is one; and the image, BGR uint8 (H, W, 3)."""

    def release(self) -> None:
        """Release it."""


def is_camera(location: str | int | Path) -> bool:
    """Return whether a location means a camera: by its number, or the path of a device."""
    if isinstance(location, int):
        return True
    text = str(location)
    return (text.isascii() and text.isdigit()) or text.startswith("/dev/")


def open_camera(location: str | int | Path, settings: SourceSettings) -> Source:
    """Make a camera ready; it is opened, and opened again when it fails, by the thread that reads it.

    Raises:
        SourceNotFoundError: if there is no such camera.
    """
    text = str(location)
    device = int(text) if text.isdigit() else text
    check_camera(device)
    return ReconnectingSource(CameraCapture(device, settings))


def check_camera(location: int | str) -> None:
    """Make sure, without opening it, that there is such a camera.

    Raises:
        SourceNotFoundError: if there is none.
    """
    if _IS_LINUX and not Path(_device_path(location)).exists():
        raise why_not(location, _name_of(location), list_cameras())


def open_device(location: int | str) -> Device:
    """Open a camera with OpenCV, whose own words are kept off the terminal."""
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    if _IS_LINUX:
        return cv2.VideoCapture(location, cv2.CAP_V4L2)
    return cv2.VideoCapture(location)


class CameraCapture(Capture):
    """One camera."""

    def __init__(self, location: int | str, settings: SourceSettings | None = None) -> None:
        """Prepare a camera; nothing is opened.

        Args:
            location: Number of the camera, or path of its device.
            settings: Size and rate to ask for, and whether images are mirrored.
        """
        self.name = _name_of(location)
        self._location = location
        self._settings = settings or SourceSettings()
        self._device: Device | None = None
        self._failures = 0
        self._title: str | None = None
        self._others: frozenset[int] = frozenset()

    def open(self) -> None:
        """Open the camera and set it.

        Raises:
            SourceNotFoundError: if there is no such camera.
            SourceError: if it is busy, or must not be opened.
        """
        self.close()
        known = list_cameras()
        location = self._whereabouts(known)
        with self._mapped_errors("cannot be opened"):
            device = open_device(location)
        if not device.isOpened():
            device.release()
            raise why_not(location, self.name, known)
        self._device = device
        self._failures = 0
        found = next((camera for camera in known if camera.path == _device_path(location)), None)
        if self._title is None and found is not None:
            self._title = found.title
            self._others = frozenset(camera.number for camera in known if camera is not found)
        mode = choose_mode(() if found is None else found.modes, self._settings)
        _log.info("%s is asked for %s; %d modes are known", self.name, mode, len(found.modes) if found else 0)
        with self._mapped_errors("cannot be set"):
            # The coding first: in another one the size may not be there.
            device.set(cv2.CAP_PROP_FOURCC, fourcc_number(mode.fourcc))
            device.set(cv2.CAP_PROP_FRAME_WIDTH, mode.width)
            device.set(cv2.CAP_PROP_FRAME_HEIGHT, mode.height)
            if mode.rate is not None:
                device.set(cv2.CAP_PROP_FPS, float(mode.rate))
            rate = device.get(cv2.CAP_PROP_FPS)
        self.rate = Fraction(rate).limit_denominator(1001) if 0 < rate < 1000 else None

    def read(self) -> CapturedImage | None:
        """Wait for the next image.

        Raises:
            SourceError: if none has come for some time.
        """
        assert self._device is not None
        with self._mapped_errors("cannot be read"):
            is_there, pixels = self._device.read()
        if not is_there or pixels is None or not pixels.size:
            self._failures += 1
            if self._failures >= _FAILURES_IN_A_ROW:
                raise SourceError(f"{self.name} sends no more images")
            return None
        self._failures = 0
        try:
            if pixels.ndim == 2:  # an infrared camera
                pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
            if self._settings.mirror:
                pixels = cv2.flip(pixels, 1)
            image = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="bgr24")
        except (cv2.error, ValueError) as error:
            raise SourceError(f"{self.name} sent something that is no image {pixels.shape}") from error
        milliseconds = self._device.get(cv2.CAP_PROP_POS_MSEC)
        return CapturedImage(image, milliseconds / 1000 if milliseconds > 0 else None)

    def _mapped_errors(self, problem: str) -> contextlib.AbstractContextManager[None]:
        """Raise a SourceError for what OpenCV raises."""
        return map_errors(
            cv2.error,
            to=lambda error: SourceError(
                f"{self.name} {problem} ({getattr(error, 'err', None) or 'no reason given'})"
            ),
        )

    def _whereabouts(self, known: Sequence[CameraInfo]) -> int | str:
        """Where the camera is now: Linux may give one that is plugged in again another number.

        It has to have the same name, and not to have been there as another one from the beginning.
        """
        if self._title is None or Path(_device_path(self._location)).exists():
            return self._location
        back = (
            camera for camera in known if camera.title == self._title and camera.number not in self._others
        )
        return next((camera.number for camera in back), self._location)

    def close(self) -> None:
        """Release the camera."""
        if self._device is not None:
            device, self._device = self._device, None
            device.release()


def choose_mode(modes: Sequence[Mode], settings: SourceSettings) -> Mode:
    """Choose what to ask a camera for.

    Raw images are taken where the camera sends them fast enough in the size asked for, and JPEGs where it
    does not: they cost some sharpness, but USB carries them.

    Args:
        modes: What the camera can do; empty where nobody knows.
        settings: Size and rate to come close to.
    """
    rate = settings.rate or _DEFAULT_RATE
    width, height = settings.size or _DEFAULT_SIZE
    usable = [mode for mode in modes if mode.fourcc in (*_RAW, _JPEG)]
    if not usable:
        is_too_much = width * height * 2 * rate > _RAW_BYTES_PER_S
        return Mode(_JPEG if is_too_much else _RAW[0], width, height, rate)

    def rank(mode: Mode) -> tuple[float, ...]:
        distance = abs(mode.width * mode.height - width * height) + abs(mode.width - width)
        missing = 0.0 if mode.rate is None else max(float(rate * _ENOUGH - mode.rate), 0.0)
        if settings.size is not None:  # asked for: the size matters most
            return distance, missing, mode.fourcc == _JPEG
        return missing, distance, mode.fourcc == _JPEG

    best = min(usable, key=rank)
    return Mode(best.fourcc, best.width, best.height, rate if best.rate is None else min(rate, best.rate))


def fourcc_number(name: str) -> int:
    """Turn four letters into OpenCV's number for them."""
    return int.from_bytes(name.encode("latin-1"), "little")


def _name_of(location: int | str) -> str:
    return f"camera {location}" if isinstance(location, int) else location


def _device_path(location: int | str) -> str:
    """Where Linux has the device; the links in /dev/v4l/by-id followed."""
    return f"/dev/video{location}" if isinstance(location, int) else os.path.realpath(location)


def why_not(location: int | str, name: str, known: Sequence[CameraInfo]) -> SourceError:
    """Say why a camera cannot be opened, and what was found instead."""
    others = ", ".join(f"{camera.number} ({camera.title})" for camera in known)
    found = f"found: {others}" if others else "no camera was found"
    more = "streamcam doctor tells more; a video file or a stream's URL will do too"
    if _IS_LINUX:
        path = Path(_device_path(location))
        if not path.exists():
            return SourceNotFoundError(f"there is no {name}; {found}; {more}")
        if not os.access(path, os.R_OK | os.W_OK):
            return SourceError(
                f"{name} may not be opened; join the group video (sudo usermod -aG video $USER)"
            )
        if any(camera.path == str(path) and camera.problem is None for camera in known):
            return SourceError(f"{name} is in use by another program; close that, or take another ({found})")
        return SourceError(f"{name} is no camera that gives images; {found}; {more}")
    return SourceError(f"{name} cannot be opened: absent, in use, or not allowed; {found}; {more}")
