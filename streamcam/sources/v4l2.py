"""Cameras that Linux knows and their modes, read from the driver without occupying the camera.

The numbers and layouts are those of the kernel's ``linux/videodev2.h``, the same on every 64-bit machine.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import struct
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

_CLASS_DIRECTORY = Path("/sys/class/video4linux")
_CAPTURE = 1  # V4L2_BUF_TYPE_VIDEO_CAPTURE, and V4L2_CAP_VIDEO_CAPTURE
_HAS_DEVICE_CAPS = 0x8000_0000
_DISCRETE = 1
_USUAL_SIZES = ((640, 480), (1280, 720), (1920, 1080), (3840, 2160))
_MOST = 256  # a driver that never says "no more" must not keep us forever

# Name → direction and size, type and number, as _IOR and _IOWR put them together.
_QUERY_CAPABILITIES = 0x8068_5600
_ENUMERATE_FORMATS = 0xC040_5602
_ENUMERATE_SIZES = 0xC02C_564A
_ENUMERATE_INTERVALS = 0xC034_564B

Ioctl = Callable[[int, int, bytearray], object]


@dataclasses.dataclass(frozen=True, slots=True)
class Mode:
    """A size, coding and rate in which a camera can send images."""

    fourcc: str
    """How they are coded: ``"YUYV"`` raw, ``"MJPG"`` as JPEGs …"""
    width: int
    height: int
    rate: Fraction | None
    """Most frames per second; None where the driver does not say."""


@dataclasses.dataclass(frozen=True, slots=True)
class CameraInfo:
    """A camera that the system knows."""

    number: int
    path: str
    """The device's path."""
    title: str
    """Name that its maker gave it."""
    modes: tuple[Mode, ...] = ()
    problem: str | None = None
    """Why it cannot be used, in words."""


def list_cameras(directory: Path = _CLASS_DIRECTORY) -> list[CameraInfo]:
    """List the cameras of a Linux system; an empty list on others.

    Args:
        directory: Where the kernel lists them.
    """
    if not sys.platform.startswith("linux") or not directory.is_dir():
        return []
    try:
        names = [entry.name.removeprefix("video") for entry in directory.iterdir()]
    except OSError:  # it goes with the last camera
        return []
    numbers = sorted(int(name) for name in names if name.isdigit())
    cameras = (describe_camera(number, directory) for number in numbers)
    return [camera for camera in cameras if camera is not None]


def describe_camera(number: int, directory: Path = _CLASS_DIRECTORY) -> CameraInfo | None:
    """Describe one camera; None if the device sends no images, as those for metadata."""
    path = f"/dev/video{number}"
    try:
        title = (directory / f"video{number}" / "name").read_text("utf-8", errors="replace").strip()
    except OSError:
        title = path
    try:
        device = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    except OSError as error:
        problem = (error.strerror or "cannot be opened").lower()
        if isinstance(error, PermissionError):
            problem = f"you may not open {path}; join the group video (sudo usermod -aG video $USER)"
        return CameraInfo(number, path, title, problem=problem)
    try:
        if not can_capture(device):
            return None
        return CameraInfo(number, path, title, tuple(read_modes(device)))
    except OSError as error:
        return CameraInfo(number, path, title, problem=(error.strerror or str(error)).lower())
    finally:
        os.close(device)


def _system_ioctl(device: int, request: int, buffer: bytearray) -> object:
    import fcntl  # not on Windows

    return fcntl.ioctl(device, request, buffer)


def can_capture(device: int, ioctl: Ioctl = _system_ioctl) -> bool:
    """Return whether an open device sends images.

    Raises:
        OSError: if it is no video device.
    """
    buffer = bytearray(104)
    ioctl(device, _QUERY_CAPABILITIES, buffer)
    whole, own = struct.unpack_from("<II", buffer, 84)
    return bool((own if whole & _HAS_DEVICE_CAPS else whole) & _CAPTURE)


def read_modes(device: int, ioctl: Ioctl = _system_ioctl) -> Iterator[Mode]:
    """Yield the modes of an open device."""
    for fourcc in _formats(device, ioctl):
        for width, height in _sizes(device, ioctl, fourcc):
            rate = _highest_rate(device, ioctl, fourcc, width, height)
            yield Mode(fourcc.decode("latin-1").strip(), width, height, rate)


def _formats(device: int, ioctl: Ioctl) -> Iterator[bytes]:
    for index in range(_MOST):
        buffer = bytearray(64)
        struct.pack_into("<II", buffer, 0, index, _CAPTURE)
        try:
            ioctl(device, _ENUMERATE_FORMATS, buffer)
        except OSError:  # EINVAL: there are no more
            return
        yield bytes(buffer[44:48])


def _sizes(device: int, ioctl: Ioctl, fourcc: bytes) -> Iterator[tuple[int, int]]:
    for index in range(_MOST):
        buffer = bytearray(44)
        struct.pack_into("<I4s", buffer, 0, index, fourcc)
        try:
            ioctl(device, _ENUMERATE_SIZES, buffer)
        except OSError:
            return
        kind, *numbers = struct.unpack_from("<7I", buffer, 8)
        if kind != _DISCRETE:  # any size from the least to the most: the usual ones stand for all
            least_width, most_width, _, least_height, most_height, _ = numbers
            for width, height in _USUAL_SIZES:
                if least_width <= width <= most_width and least_height <= height <= most_height:
                    yield width, height
            return
        yield numbers[0], numbers[1]


def _highest_rate(device: int, ioctl: Ioctl, fourcc: bytes, width: int, height: int) -> Fraction | None:
    rates = []
    for index in range(_MOST):
        buffer = bytearray(52)
        struct.pack_into("<I4sII", buffer, 0, index, fourcc, width, height)
        with contextlib.suppress(OSError):
            ioctl(device, _ENUMERATE_INTERVALS, buffer)
            # A range begins with the shortest interval, a list holds one in each answer.
            kind, numerator, denominator = struct.unpack_from("<3I", buffer, 16)
            if numerator and denominator:
                rates.append(Fraction(denominator, numerator))
            if kind == _DISCRETE:
                continue
        break
    return max(rates, default=None)
