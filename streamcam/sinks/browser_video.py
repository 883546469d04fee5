"""Encoding of live images for browsers, packet by packet: one encoder for all that understand its codec."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import av
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from streamcam.errors import SinkError, map_errors
from streamcam.media.codecs import is_available
from streamcam.media.images import Image
from streamcam.media.scaling import Resampler

TIME_BASE = Fraction(1, 90_000)
"""Seconds per unit of the packets' pts: RTP's clock for video."""

_KEYFRAME_S = 2.0
"""Who lost a packet for good has a whole image again within this many seconds."""

_RATE = 30
"""Frames per second that the encoder reckons with; the timing does not depend on it."""

_BITRATE = 3_000_000
"""Bits per second at the most, of which whole images take a third of a second's worth."""


@dataclasses.dataclass(frozen=True, slots=True)
class BrowserCodec:
    """A codec that browsers decode in real time."""

    encoder: str
    """FFmpeg's name of the encoder."""
    options: Mapping[str, str]
    """The encoder's options: none of them lets an image wait in it."""


BROWSER_CODECS = {
    "H264": BrowserCodec(
        "libx264",
        {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "profile": "baseline",
            "level": "31",
            "forced-idr": "1",
            "crf": "24",
        },
    ),
    "VP8": BrowserCodec(
        "libvpx",
        {
            "deadline": "realtime",
            "cpu-used": "-8",
            "lag-in-frames": "0",
            "error-resilient": "1",
            "static-thresh": "1",
        },
    ),
}
"""The codecs by their names in RTP, the better one first."""


def browser_codecs() -> tuple[str, ...]:
    """Return the names in `BROWSER_CODECS` that this build of FFmpeg encodes."""
    return tuple(name for name, codec in BROWSER_CODECS.items() if is_available(codec.encoder))


class BrowserEncoder:
    """Packets of live images in one codec. Belongs to one thread."""

    def __init__(self, codec: str) -> None:
        """Prepare an encoder; it starts with the first image.

        Args:
            codec: One of `BROWSER_CODECS`.
        """
        self._codec = BROWSER_CODECS[codec]
        self._resampler = Resampler()
        self._context: VideoCodecContext | None = None
        self._last_pts = -1
        self._keyframe_due = 0

    def encode(
        self, image: Image, size: tuple[int, int], time_s: float, *, keyframe: bool
    ) -> list[av.Packet[Any]]:
        """Encode an image.

        Args:
            image: In any format.
            size: (width, height) to send it at, in pixels, rounded down to even numbers; the encoder starts
                again when it changes.
            time_s: When it is shown, in seconds of any clock.
            keyframe: Whether it has to be decodable by itself, for somebody who is new.

        Returns:
            Usually one packet.

        Raises:
            SinkError: if the encoder refuses.
        """
        width, height = (max(2, length // 2 * 2) for length in size)
        with map_errors(
            FFmpegError,
            to=lambda error: SinkError(f"{self._codec.encoder} does not encode for browsers: {error}"),
        ):
            if self._context is None or (self._context.width, self._context.height) != (width, height):
                self._context = self._start(width, height)
                keyframe = True
            shown = self._resampler.to_screen(image, width, height)
            pts = max(round(time_s / TIME_BASE), self._last_pts + 1)
            keyframe = keyframe or pts >= self._keyframe_due
            if keyframe:
                self._keyframe_due = pts + round(_KEYFRAME_S / TIME_BASE)
            shown.pts, shown.time_base, self._last_pts = pts, TIME_BASE, pts
            shown.pict_type = PictureType.I if keyframe else PictureType.NONE
            return self._context.encode(shown)

    def _start(self, width: int, height: int) -> VideoCodecContext:
        context = av.CodecContext.create(self._codec.encoder, "w")
        assert isinstance(context, VideoCodecContext)
        context.width, context.height, context.pix_fmt = width, height, "yuv420p"
        context.time_base, context.framerate = TIME_BASE, Fraction(_RATE)
        context.gop_size = 3000  # keyframes come when `encode` says so
        context.max_b_frames = 0
        context.bit_rate = 0 if "crf" in self._codec.options else _BITRATE
        context.thread_count = 1
        context.options = {
            **self._codec.options,
            "maxrate": str(_BITRATE),
            "bufsize": str(_BITRATE // 3),
        }
        return context
