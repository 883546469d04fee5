"""Cameras, against a device and a driver that are made up."""

from __future__ import annotations

import errno
import struct
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from streamcam.errors import SourceError, SourceNotFoundError
from streamcam.media.images import planes_of
from streamcam.sources import SourceSettings, camera, open_source
from streamcam.sources.camera import CameraCapture, choose_mode, fourcc_number, why_not
from streamcam.sources.v4l2 import CameraInfo, Mode, can_capture, list_cameras, read_modes

MODES = (
    Mode("YUYV", 640, 480, Fraction(30)),
    Mode("YUYV", 1280, 720, Fraction(10)),
    Mode("MJPG", 640, 480, Fraction(30)),
    Mode("MJPG", 1280, 720, Fraction(30)),
    Mode("MJPG", 1920, 1080, Fraction(30)),
    Mode("H264", 1280, 720, Fraction(60)),
)


class FakeDevice:
    """What ``cv2.VideoCapture`` would be."""

    def __init__(self, *reads: Any, opens: bool = True) -> None:
        self.settings: list[tuple[int, float]] = []
        self.released = False
        self._reads = list(reads)
        self._opens = opens

    def isOpened(self) -> bool:  # noqa: N802
        return self._opens

    def set(self, setting: int, value: float) -> bool:
        self.settings.append((setting, value))
        return True

    def get(self, setting: int) -> float:
        return {cv2.CAP_PROP_FPS: 30.0, cv2.CAP_PROP_POS_MSEC: 1500.0}[setting]

    def read(self) -> tuple[bool, Any]:
        pixels = self._reads.pop(0)
        if isinstance(pixels, Exception):
            raise pixels
        return pixels is not None, pixels

    def release(self) -> None:
        self.released = True


@pytest.fixture
def plug(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Plug a fake device in as every camera."""

    def plug_in(device: FakeDevice) -> FakeDevice:
        monkeypatch.setattr(camera, "open_device", lambda _location: device)
        monkeypatch.setattr(camera, "list_cameras", lambda: [CameraInfo(0, "/dev/video0", "Cam", MODES)])
        return device

    return plug_in


def left_red() -> np.ndarray:
    """BGR: the left half red, the right half black."""
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[:, :32, 2] = 255
    return pixels


def test_a_camera_is_set_read_and_released(plug: Any) -> None:
    device = plug(FakeDevice(left_red()))
    capture = CameraCapture(0, SourceSettings(size=(1280, 720), rate=Fraction(30)))
    capture.open()
    assert device.settings == [
        (cv2.CAP_PROP_FOURCC, fourcc_number("MJPG")),
        (cv2.CAP_PROP_FRAME_WIDTH, 1280),
        (cv2.CAP_PROP_FRAME_HEIGHT, 720),
        (cv2.CAP_PROP_FPS, 30.0),
    ]
    assert capture.rate == 30
    captured = capture.read()
    assert captured is not None
    assert captured.time_s == 1.5
    assert captured.image.to_ndarray(format="rgb24")[0, 0].tolist() == [255, 0, 0]
    capture.close()
    capture.close()
    assert device.released


def test_a_mirror_swaps_left_and_right(plug: Any) -> None:
    plug(FakeDevice(left_red()))
    capture = CameraCapture(0, SourceSettings(mirror=True))
    capture.open()
    captured = capture.read()
    assert captured is not None
    pixels = captured.image.to_ndarray(format="rgb24")
    assert (pixels[0, 0].tolist(), pixels[0, 63].tolist()) == ([0, 0, 0], [255, 0, 0])


def test_an_infrared_camera_is_gray(plug: Any) -> None:
    plug(FakeDevice(np.full((48, 64), 99, np.uint8)))
    capture = CameraCapture(0)
    capture.open()
    captured = capture.read()
    assert captured is not None
    assert (planes_of(captured.image)[0] == 99).all()


def test_a_camera_that_gives_nothing_three_times_has_failed(plug: Any) -> None:
    plug(FakeDevice(None, left_red(), None, None, None))
    capture = CameraCapture(0)
    capture.open()
    assert capture.read() is None
    assert capture.read() is not None
    assert [capture.read(), capture.read()] == [None, None]
    with pytest.raises(SourceError, match="camera 0 sends no more images"):
        capture.read()


def test_what_opencv_raises_is_a_failure_of_the_camera(plug: Any) -> None:
    plug(FakeDevice(cv2.error("select() timeout")))
    capture = CameraCapture(0)
    capture.open()
    with pytest.raises(SourceError, match="camera 0 cannot be read"):
        capture.read()


def test_a_camera_that_does_not_open_is_released(plug: Any) -> None:
    device = plug(FakeDevice(opens=False))
    with pytest.raises(SourceError, match="camera 0"):
        CameraCapture(0).open()
    assert device.released


@pytest.mark.parametrize(
    ("settings", "chosen"),
    [
        # Raw would be too slow in the usual size, so JPEGs are asked for.
        (SourceSettings(), Mode("MJPG", 1280, 720, Fraction(30))),
        (SourceSettings(size=(640, 480)), Mode("YUYV", 640, 480, Fraction(30))),
        (SourceSettings(size=(1280, 720), rate=Fraction(10)), Mode("YUYV", 1280, 720, Fraction(10))),
        (SourceSettings(size=(1920, 1080)), Mode("MJPG", 1920, 1080, Fraction(30))),
        (SourceSettings(size=(1000, 700)), Mode("MJPG", 1280, 720, Fraction(30))),
        (SourceSettings(rate=Fraction(15)), Mode("MJPG", 1280, 720, Fraction(15))),
        (SourceSettings(rate=Fraction(60)), Mode("MJPG", 1280, 720, Fraction(30))),
    ],
)
def test_the_mode_asked_for(settings: SourceSettings, chosen: Mode) -> None:
    assert choose_mode(MODES, settings) == chosen


@pytest.mark.parametrize(
    ("settings", "fourcc"),
    [
        (SourceSettings(), "MJPG"),
        (SourceSettings(size=(640, 480)), "YUYV"),
        (SourceSettings(size=(640, 480), rate=Fraction(60)), "MJPG"),
    ],
)
def test_without_knowing_the_modes_raw_is_asked_for_where_usb_carries_it(
    settings: SourceSettings, fourcc: str
) -> None:
    assert choose_mode((), settings).fourcc == fourcc


def test_an_absent_camera_is_told_with_what_was_found_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera, "_IS_LINUX", True)
    error = why_not(987, "camera 987", [CameraInfo(0, "/dev/video0", "Integrated Camera")])
    assert isinstance(error, SourceNotFoundError)
    assert "there is no camera 987; found: 0 (Integrated Camera)" in str(error)


def test_a_busy_camera_is_told_from_one_that_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(camera, "_IS_LINUX", True)
    device = tmp_path / "video0"
    device.touch()
    known = [CameraInfo(0, str(device), "Cam")]
    assert "is in use by another program" in str(why_not(str(device), "it", known))
    assert "is no camera that gives images; no camera was found" in str(why_not(str(device), "it", []))


def test_numbers_and_devices_are_cameras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera, "check_camera", lambda _device: None)
    assert {open_source(location).info.name for location in (3, "3")} == {"camera 3"}
    assert open_source("/dev/video1").info.name == "/dev/video1"


@pytest.mark.parametrize("mirrored", [False, True])
def test_what_is_no_image_is_trouble_that_may_pass(plug: Any, mirrored: bool) -> None:
    plug(FakeDevice(np.zeros((48, 64, 2), np.uint8)))
    capture = CameraCapture(0, SourceSettings(mirror=mirrored))
    capture.open()
    with pytest.raises(SourceError, match=r"camera 0 sent something that is no image \(48, 64, 2\)"):
        capture.read()


def test_a_camera_that_is_plugged_in_again_may_have_another_number(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    opened: list[object] = []
    monkeypatch.setattr(camera, "open_device", lambda location: opened.append(location) or FakeDevice())
    monkeypatch.setattr(camera, "_device_path", lambda location: str(tmp_path / str(location)))
    capture = CameraCapture(0)
    # What there is each time: number → name. The second of the same make is not taken for the first.
    for cameras in (
        {0: "Cam", 1: "Cam"},
        {1: "Cam"},
        {1: "Cam", 2: "Other"},
        {1: "Cam", 3: "Cam"},
        {0: "Cam"},
    ):
        for path in tmp_path.iterdir():
            path.unlink()
        for number in cameras:
            (tmp_path / str(number)).touch()
        known = [CameraInfo(number, str(tmp_path / str(number)), title) for number, title in cameras.items()]
        monkeypatch.setattr(camera, "list_cameras", lambda known=known: known)
        capture.open()
    assert opened == [0, 0, 0, 3, 0]
    assert capture.name == "camera 0"


def test_a_list_of_cameras_that_goes_while_it_is_read_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def vanish(_directory: Path) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "iterdir", vanish)
    assert list_cameras(tmp_path) == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what is known of cameras on Linux")
@pytest.mark.parametrize(("location", "name"), [("987", "camera 987"), ("/dev/video987", "/dev/video987")])
def test_an_absent_camera_is_told_before_anything_else_is_made_ready(location: str, name: str) -> None:
    with pytest.raises(SourceNotFoundError, match=f"there is no {name}; "):
        open_source(location)


# --- The driver --------------------------------------------------------------------------------------------


def fake_ioctl(_device: int, request: int, buffer: bytearray) -> None:
    """A driver with raw images in two sizes, and JPEGs of any size."""
    kind = request & 0xFF
    (index,) = struct.unpack_from("<I", buffer)
    if kind == 0:
        struct.pack_into("<II", buffer, 84, 0x8000_0001, 1)
    elif kind == 2 and index < 2:
        buffer[44:48] = (b"YUYV", b"MJPG")[index]
    elif kind == 74 and buffer[4:8] == b"MJPG" and index == 0:
        struct.pack_into("<7I", buffer, 8, 3, 320, 1280, 16, 240, 960, 8)
    elif kind == 74 and buffer[4:8] == b"YUYV" and index < 2:
        struct.pack_into("<3I", buffer, 8, 1, *((640, 480), (1280, 720))[index])
    elif kind == 75 and buffer[4:8] == b"YUYV" and index < 2:
        struct.pack_into("<3I", buffer, 16, 1, *((1, 15), (1, 30))[index])
    elif kind == 75 and buffer[4:8] == b"MJPG" and index == 0:
        struct.pack_into("<3I", buffer, 16, 3, 1, 60)
    else:
        raise OSError(errno.EINVAL, "Invalid argument")


def test_modes_are_read_from_the_driver() -> None:
    assert can_capture(0, fake_ioctl)
    assert list(read_modes(0, fake_ioctl)) == [
        Mode("YUYV", 640, 480, Fraction(30)),
        Mode("YUYV", 1280, 720, Fraction(30)),
        Mode("MJPG", 640, 480, Fraction(60)),
        Mode("MJPG", 1280, 720, Fraction(60)),
    ]


def test_a_device_without_images_is_no_camera() -> None:
    def metadata(_device: int, _request: int, buffer: bytearray) -> None:
        struct.pack_into("<II", buffer, 84, 0x8000_0001, 0x0080_0000)

    assert not can_capture(0, metadata)


def test_a_camera_that_cannot_be_opened_is_listed_with_the_reason(tmp_path: Path) -> None:
    for name in ("video987", "v4l-subdev0"):
        (tmp_path / name).mkdir()
    (tmp_path / "video987" / "name").write_text("Strange Camera\n")
    (found,) = list_cameras(tmp_path)
    assert (found.number, found.title, found.modes) == (987, "Strange Camera", ())
    assert found.problem == "no such file or directory"
    assert list_cameras(tmp_path / "nowhere") == []
