"""Cameras and streams that are opened again when they fail, and the clock of frames that arrive live."""

from __future__ import annotations

import abc
import dataclasses
import logging
import time
from collections.abc import Iterator
from fractions import Fraction

from av.audio.frame import AudioFrame
from av.error import FFmpegError

from streamcam.errors import SourceError
from streamcam.frames import AudioBlock, Frame, SourceInfo, SourceReport
from streamcam.media.images import Image, tags_of
from streamcam.media.scaling import Resampler
from streamcam.media.side_data import Orientation, orientation_of
from streamcam.sources.base import Source
from streamcam.sources.normalization import to_upright_planar

TIME_BASE = Fraction(1, 90_000)
"""Seconds per unit of the pts of every live frame: video's usual clock, whatever the device's own is."""

_STEP = 90
"""How far apart, in ticks, frames are put whose times do not increase: a millisecond."""

_TRUSTED_S = 0.5
"""A device's clock that strays from the time of arrival by more than this is set again."""

_LATE_S = 1.0
"""Images that are later than that are not hurried to catch up."""

_EARLY_S = 60.0
"""A time that lies further ahead than that makes no sense."""

_log = logging.getLogger("streamcam.sources")

_FIRST_DELAY_S = 0.5
_LONGEST_DELAY_S = 10.0


class CaptureEndedError(SourceError):
    """The end of a capture, without a fault."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class CapturedImage:
    """One image as a camera or stream delivered it."""

    image: Image
    """In any format, to be read only."""
    time_s: float | None = None
    """On the device's own clock, in seconds; None where it has none. Need not make sense."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class CapturedAudio:
    """A piece of audio as a stream delivered it."""

    audio: AudioFrame
    time_s: float | None = None
    """On the clock of the stream's images, in seconds."""


class Capture(abc.ABC):
    """A camera or stream that can be opened again after it has failed. Belongs to one thread.

    Attributes:
        name: What a message calls it, without credentials.
        rate: Frames per second as announced, once it is open; None where nobody knows.
        has_audio: Whether audio comes with the images, once it is open.
        hands_audio: Whether `read` returns audio, too; where nobody listens it is not decoded.
        is_paced: Whether images come long before they are due, as HLS has them, and have to wait.
        ends: Whether it is over once it ends, rather than opened again.
    """

    name: str
    rate: Fraction | None = None
    has_audio: bool = False
    hands_audio: bool = False
    is_paced: bool = False
    ends: bool = False

    @abc.abstractmethod
    def open(self) -> None:
        """Open it.

        Raises:
            SourceError: if it cannot be opened.
        """

    @abc.abstractmethod
    def read(self) -> CapturedImage | CapturedAudio | None:
        """Wait for the next image, but not forever.

        Returns:
            The image, or audio where that is handed over; None if there was none yet and it may be asked for
            again.

        Raises:
            SourceError: if there will be none unless it is opened again.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Release it; may be called again, and without `open`."""


class ReconnectingSource(Source):
    """The frames of a camera or stream, which is opened again whenever it fails.

    One that cannot be opened at the very start is an error, unless it is insistent: most likely it was
    misspelt. One that fails later is tried again, with pauses that double up to ten seconds; `notice` says so
    meanwhile.
    """

    is_live = True

    def __init__(self, capture: Capture) -> None:
        """Take over a capture.

        Args:
            capture: Camera or stream, not open yet.
        """
        self._capture = capture
        self._info = SourceInfo(name=capture.name, path=None, width=0, height=0, time_base=TIME_BASE)
        self._clock = LiveClock()
        self._resampler = Resampler()
        self._count = 0

    @property
    def info(self) -> SourceInfo:
        """Description of the source, with the newest frame's size: 0x0 before the first."""
        return self._info

    def __iter__(self) -> Iterator[Frame]:
        """Connect, and yield frames until `stop`."""
        delay_s = _FIRST_DELAY_S
        self._capture.hands_audio = self.on_audio is not None
        try:
            is_open = False
            if not self.is_insistent:
                self._capture.open()
                is_open = True
            while not self.stop_flag.is_set():
                try:
                    if not is_open:
                        self._capture.open()
                        is_open = True
                    for frame in self._frames_of_one_connection():
                        self.notice = None
                        delay_s = _FIRST_DELAY_S
                        yield frame
                except SourceError as error:
                    if self._capture.ends:
                        if isinstance(error, CaptureEndedError) and self._count:
                            return
                        raise
                    self._capture.close()
                    is_open = False
                    self.notice = f"{error}; trying again"
                    _log.info("%s; trying again in %g s", error, delay_s)
                    self.stop_flag.wait(delay_s)
                    delay_s = min(2 * delay_s, _LONGEST_DELAY_S)
        finally:
            self._capture.close()

    def report(self) -> SourceReport:
        """Return how many frames have arrived."""
        return SourceReport(frames_read=self._count)

    def close(self) -> None:
        """Disconnect."""
        self.stop()
        self._capture.close()

    def _frames_of_one_connection(self) -> Iterator[Frame]:
        """Yield frames until the capture fails."""
        orientation: Orientation | None = None
        pacer = Pacer()
        while not self.stop_flag.is_set():
            captured = self._capture.read()
            if isinstance(captured, CapturedImage) and self._capture.is_paced and captured.time_s is not None:
                self.stop_flag.wait(pacer.wait_s(captured.time_s, time.monotonic()))
            received_at = time.monotonic()
            if captured is None:
                continue
            if isinstance(captured, CapturedAudio):
                self._hand_over(captured)
                continue
            if orientation is None:  # once, as for files: asking for it is not free
                orientation = orientation_of(captured.image)
            try:
                image = to_upright_planar(
                    captured.image, self._resampler, orientation, pixel_format="yuv420p"
                )
            except (FFmpegError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                raise SourceError(
                    f"{self._info.name} sent an image that cannot be shown ({reason})"
                ) from None
            self._describe(image)
            pts = self._clock.place(received_at, captured.time_s)
            yield Frame(image, self._count, pts, TIME_BASE, received_at)
            self._count += 1

    def _hand_over(self, captured: CapturedAudio) -> None:
        """Hand audio to who listens, on the clock of the frames; what comes before the first has no place."""
        time_s = None if captured.time_s is None else self._clock.locate(captured.time_s)
        if self.on_audio is not None and time_s is not None:
            self.on_audio(AudioBlock(captured.audio, time_s))

    def _describe(self, image: Image) -> None:
        """Note the size of the newest frame, and what was announced."""
        described = (image.width, image.height, self._capture.rate, self._capture.has_audio)
        if described != (self._info.width, self._info.height, self._info.rate, self._info.has_audio):
            self._info = dataclasses.replace(
                self._info,
                width=image.width,
                height=image.height,
                rate=self._capture.rate,
                has_audio=self._capture.has_audio,
                color=tags_of(image),
            )


class Pacer:
    """How long images have to wait that come in bursts: a segment of HLS holds seconds of them."""

    def __init__(self) -> None:
        self._offset: float | None = None

    def wait_s(self, device_s: float, now: float) -> float:
        """Return how long an image has to wait, in seconds.

        Args:
            device_s: Its time.
            now: The time now, in monotonic seconds.
        """
        due_at = now if self._offset is None else self._offset + device_s
        if self._offset is None or not now - _LATE_S < due_at < now + _EARLY_S:
            self._offset, due_at = now - device_s, now
        return max(0.0, due_at - now)


class LiveClock:
    """Timestamps for live frames: those of the device's clock where that makes sense, otherwise of arrival.

    Over a network, frames arrive in bursts and their own times are the even ones. But devices begin at
    any number, jump, stand still or run backwards.
    """

    def __init__(self) -> None:
        self._begin: float | None = None
        self._device_offset: float | None = None
        self._last = -_STEP

    def place(self, received_at: float, device_s: float | None) -> int:
        """Return when a frame is to be shown.

        Args:
            received_at: When it arrived, in monotonic seconds.
            device_s: What the device says, in seconds.

        Returns:
            Units of `TIME_BASE` since the first frame, strictly increasing.
        """
        if self._begin is None:
            self._begin = received_at
        arrived_s = received_at - self._begin
        time_s = arrived_s
        if device_s is not None:
            offset = self._device_offset
            # Written so that a time that is not a number is not trusted either.
            if offset is None or not abs(device_s + offset - arrived_s) <= _TRUSTED_S:
                offset = arrived_s - device_s
                self._device_offset = offset if abs(offset) < float("inf") else None
            if self._device_offset is not None:
                time_s = device_s + self._device_offset
        self._last = max(round(time_s / TIME_BASE), self._last + _STEP)
        return self._last

    def locate(self, device_s: float) -> float | None:
        """Return where a time of the device's clock lies, in seconds since the first frame.

        Returns:
            None before the first frame, and where the device's clock makes no sense.
        """
        return None if self._device_offset is None else device_s + self._device_offset

    def since_first(self, at: float) -> float:
        """Return how long after the first frame's arrival a time is, in seconds.

        Args:
            at: A time after that, in monotonic seconds.
        """
        return 0.0 if self._begin is None else at - self._begin
