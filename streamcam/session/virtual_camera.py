"""A virtual camera: meetings and other programs take a live session for a webcam, through pyvirtualcam."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from streamcam.errors import InvalidArgumentError, SinkError, map_errors
from streamcam.media.scaling import Resampler
from streamcam.session.compositor import Compositor
from streamcam.session.events import OutputReady
from streamcam.session.outputs import Emit, LiveFrame, Output

if TYPE_CHECKING:
    import pyvirtualcam

_RATE = 30.0
_TRIAL_SIZE = (640, 480)

_WAYS_OUT = {
    "linux": "load v4l2loopback (sudo modprobe v4l2loopback exclusive_caps=1)",
    "darwin": "install OBS, and start its virtual camera once",
    "win32": "install OBS, or UnityCapture",
}


class VirtualCamera(Output):
    """Frames as a camera that other programs choose; all of the size of the first."""

    def __init__(self) -> None:
        """Look for the device.

        Raises:
            InvalidArgumentError: if pyvirtualcam is not installed.
            SinkError: if there is no device that can be written to.
        """
        try:
            import pyvirtualcam  # noqa: F401 - only whether it is there
        except ModuleNotFoundError as error:
            raise InvalidArgumentError(
                f"a virtual camera needs {error.name}: install it with "
                "pip install 'streamcam[virtual-camera]'"
            ) from error
        with contextlib.closing(_open(*_TRIAL_SIZE, _RATE)) as trial:
            self._name = trial.device
        self._camera: pyvirtualcam.Camera | None = None
        self._compositor, self._resampler = Compositor(), Resampler()
        self._last_pts: int | None = None
        self._sent = 0

    def start(self, emit: Emit) -> None:
        """Say which camera other programs have to choose."""
        emit(OutputReady(f"the virtual camera: {self._name}"))

    def write(self, live_frame: LiveFrame) -> None:
        """Show a frame, unless it was shown already.

        Raises:
            SinkError: if the device takes none any more.
        """
        frame, state = live_frame.frame, live_frame.state
        image = self._compositor.compose_live(live_frame)
        if self._camera is None:
            rate = float(state.rate) if state.rate else _RATE
            self._camera = _open(image.width // 2 * 2, image.height // 2 * 2, rate)
        with map_errors(RuntimeError, OSError, to=_refusal):
            self._camera.send(self._resampler.to_rgb(image, self._camera.width, self._camera.height))
        if frame.pts != self._last_pts:
            self._last_pts = frame.pts
            self._sent += 1

    def counts(self) -> dict[str, int]:
        """Return how many frames were shown."""
        return {"virtual_camera": self._sent}

    def close(self) -> None:
        """Release the device."""
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()


def _open(width: int, height: int, rate: float) -> pyvirtualcam.Camera:
    import pyvirtualcam

    with map_errors(RuntimeError, OSError, ValueError, to=_refusal):
        return pyvirtualcam.Camera(width, height, rate, fmt=pyvirtualcam.PixelFormat.RGB)


def _refusal(error: Exception) -> SinkError:
    reason = " ".join(str(error).split()) or type(error).__name__
    way_out = _WAYS_OUT.get(sys.platform, "pyvirtualcam knows none on this system")
    return SinkError(f"no virtual camera can be used ({reason}); {way_out}")
