"""A camera that somebody lends: a phone whose browser sends its images to a live session's page."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from pathlib import Path

import av
from av.error import FFmpegError

from streamcam.errors import SourceError, map_errors
from streamcam.media.images import Image
from streamcam.sources.base import Source
from streamcam.sources.capture import Capture, CapturedImage, ReconnectingSource
from streamcam.sources.settings import SourceSettings

_NAME = "browser"

_PATIENCE_S = 0.1
"""How long one read waits."""

_SILENCE_S = 2.0
"""Without an image for this many seconds there is no camera."""

_MOST_PIXELS = 16_000_000
"""A larger image is not decoded."""

NO_CAMERA = "no camera yet: open the link with the camera on a phone or a laptop"


def is_lent_camera(location: str | int | Path) -> bool:
    """Return whether a location means the camera of whoever lends one."""
    return location == _NAME


def open_lent_camera(_location: str | int | Path, _settings: SourceSettings) -> Source:
    """Wait for somebody who lends a camera."""
    return LentCamera()


class LentCamera(ReconnectingSource):
    """The frames of a camera that is lent through a page: the newest ones, of whoever sends some."""

    def __init__(self) -> None:
        self._lent = _LentImages()
        super().__init__(self._lent)
        self.notice = NO_CAMERA
        self._lent.on_silence = self._say_that_it_is_gone

    @property
    def is_vacant(self) -> bool:
        """Whether nobody lends a camera."""
        return self.notice is NO_CAMERA

    def put(self, image: bytes | Image) -> None:
        """Hand over an image, in the place of one that nobody has taken. From any thread.

        Args:
            image: A JPEG, or an image in any format.
        """
        self._lent.put(image)

    def _say_that_it_is_gone(self) -> None:
        self.notice = NO_CAMERA


class _LentImages(Capture):
    """Images from somewhere else, as a capture that never fails for good."""

    name = _NAME

    def __init__(self) -> None:
        self._waiting: queue.Queue[bytes | Image] = queue.Queue(maxsize=1)
        self._decoder: av.VideoCodecContext | None = None
        self._heard_s = time.monotonic()
        self.on_silence: Callable[[], None] = lambda: None

    def put(self, image: bytes | Image) -> None:
        """Hand over an image."""
        while True:
            try:
                self._waiting.put_nowait(image)
            except queue.Full:
                try:
                    self._waiting.get_nowait()
                except queue.Empty:
                    continue  # it was taken just now
            else:
                return

    def open(self) -> None:
        """Make a decoder."""
        self._decoder = av.CodecContext.create("mjpeg", "r")
        self._decoder.options = {"max_pixels": str(_MOST_PIXELS)}
        self._heard_s = time.monotonic()

    def read(self) -> CapturedImage | None:
        """Wait a moment for an image."""
        try:
            image = self._waiting.get(timeout=_PATIENCE_S)
        except queue.Empty:
            if time.monotonic() - self._heard_s > _SILENCE_S:
                self.on_silence()
            return None
        self._heard_s = time.monotonic()
        return self._decode(image) if isinstance(image, bytes) else CapturedImage(image)

    def close(self) -> None:
        """Drop the decoder."""
        self._decoder = None

    def _decode(self, jpeg: bytes) -> CapturedImage | None:
        """Decode an image.

        Raises:
            SourceError: if it is none, or too large, which is found out before it is decoded.
        """
        assert self._decoder is not None
        words = f"the camera sent what is no JPEG of at most {_MOST_PIXELS // 1_000_000} megapixels"
        with map_errors(FFmpegError, to=lambda _: SourceError(words)):
            frames = self._decoder.decode(av.Packet(jpeg))
        return CapturedImage(frames[0]) if frames else None
