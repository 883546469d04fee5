"""The virtual camera, with a fake device in the place of the driver."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import pyvirtualcam.camera
from live_fakes import live_frame
from numpy.typing import NDArray

from streamcam.errors import InvalidArgumentError, SinkError
from streamcam.session.events import Event, OutputReady
from streamcam.session.live import open_session
from streamcam.session.outputs import LiveFrame
from streamcam.session.settings import LiveSettings
from streamcam.session.state import ExplainRequest, LiveState, StreamState
from streamcam.session.virtual_camera import VirtualCamera
from streamcam.sources import SyntheticSource

STATE = LiveState((StreamState("camera 0"),), ExplainRequest("fake"))


class Device(pyvirtualcam.camera.Backend):
    """A driver that keeps what it is sent.

    Attributes:
        opened: The devices that were opened.
        broken: What sending raises.
    """

    opened: list[Device] = []  # noqa: RUF012 - emptied by the fixture
    broken: Exception | None = None

    def __init__(self, *, width: int, height: int, fps: float, **_others: object) -> None:
        self.size, self.fps = (width, height), fps
        self.shown: list[NDArray[np.uint8]] = []
        self.is_open = True
        Device.opened.append(self)

    def close(self) -> None:
        self.is_open = False

    def send(self, frame: NDArray[np.uint8]) -> None:
        if Device.broken is not None:
            raise Device.broken
        width, height = self.size
        self.shown.append(np.array(frame).reshape(height, width, 3))

    def device(self) -> str:
        return "/dev/video9"

    def native_fourcc(self) -> int | None:
        return None


@pytest.fixture
def _device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyvirtualcam.camera, "BACKENDS", {"fake": Device})
    monkeypatch.setattr(Device, "opened", [])
    monkeypatch.setattr(Device, "broken", None)


@pytest.mark.usefixtures("_device")
def test_frames_are_shown_in_the_size_of_the_first() -> None:
    camera = VirtualCamera()
    events: list[Event] = []
    camera.start(events.append)
    for index, size in enumerate([(64, 48), (64, 48), (128, 96)]):
        camera.write(LiveFrame(live_frame(index, size), None, STATE))
    camera.write(LiveFrame(live_frame(2, (128, 96)), None, STATE))
    assert camera.counts() == {"virtual_camera": 3}
    camera.close()
    camera.close()
    trial, device = Device.opened
    assert (trial.shown, trial.is_open, device.is_open) == ([], False, False)
    assert (device.size, device.fps) == ((64, 48), 30.0)
    assert [frame.shape for frame in device.shown] == [(48, 64, 3)] * 4
    # gray_of(1) of the limited range, in full range
    assert device.shown[1][20, 20].tolist() == pytest.approx([round((48 - 16) * 255 / 219)] * 3, abs=2)
    assert events == [OutputReady("the virtual camera: /dev/video9")]


@pytest.mark.usefixtures("_device")
def test_a_device_that_is_gone_is_said() -> None:
    camera = VirtualCamera()
    Device.broken = RuntimeError("device was removed")
    with pytest.raises(SinkError, match=r"no virtual camera can be used \(device was removed\)"):
        camera.write(LiveFrame(live_frame(0), None, STATE))
    camera.close()


@pytest.mark.parametrize(
    ("platform", "words"),
    [("linux", "load v4l2loopback"), ("darwin", "install OBS"), ("sunos", "knows none")],
)
def test_without_a_device_the_session_does_not_begin(
    platform: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pyvirtualcam.camera, "BACKENDS", {})
    monkeypatch.setattr(sys, "platform", platform)
    with pytest.raises(SinkError, match=words):
        open_session(SyntheticSource(), settings=LiveSettings(display="none", virtual_camera=True))


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(InvalidArgumentError, match=r"pip install 'streamcam\[virtual-camera\]'"):
        VirtualCamera()
