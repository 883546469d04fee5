"""What other libraries raise becomes one of streamcam's errors."""

from __future__ import annotations

import cv2
import pytest

from streamcam.errors import InvalidArgumentError, SourceError, SourceNotFoundError
from streamcam.sources import SourceSettings, camera, open_source


@pytest.mark.parametrize("scheme", ["http", "https", "rtsp"])
@pytest.mark.parametrize("real_time", [False, True])
def test_a_broken_address_is_no_url(scheme: str, real_time: bool) -> None:
    with pytest.raises(
        InvalidArgumentError, match=rf"'{scheme}://\*\*\*' is no URL .*; check its host"
    ) as raised:
        open_source(f"{scheme}://me:secret@[::1/video", SourceSettings(real_time=real_time))
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("url", ["http://host:port/a.mp4", "http://ho st/a.mp4", "http://\udc80/a.mp4"])
def test_a_host_that_cannot_be_one_is_no_url(url: str) -> None:
    with pytest.raises(SourceError, match=r"is no URL; check its host and port"):
        open_source(url)


def test_names_of_sequences_that_no_system_can_have() -> None:
    with pytest.raises(SourceNotFoundError, match=r"no images"):
        open_source("folder\0/%d.png")
    with pytest.raises(SourceNotFoundError, match=r"no file matches"):
        open_source("*" + "x" * 5000)


@pytest.mark.parametrize(("method", "problem"), [("open", "opened"), ("set", "set"), ("read", "read")])
def test_what_opencv_raises_names_the_camera(
    method: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise cv2.error("driver gone")

    class Device:
        def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
            return True

        def set(self, setting: int, value: float) -> bool:  # noqa: ARG002
            return bool(fail()) if method == "set" else True

        def get(self, setting: int) -> float:  # noqa: ARG002
            return 30.0

        read = fail

        def release(self) -> None:
            pass

    monkeypatch.setattr(camera, "open_device", fail if method == "open" else lambda _location: Device())

    def use(capture: camera.CameraCapture) -> None:
        capture.open()
        capture.read()

    with pytest.raises(SourceError, match=rf"camera 0 cannot be {problem} \("):
        use(camera.CameraCapture(0))
