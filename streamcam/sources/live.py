"""Images as they happen: what a camera, a network stream and a paced video have in common."""

from __future__ import annotations

import abc
import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction

from av.error import FFmpegError

from streamcam.errors import SourceError
from streamcam.frames import Frame
from streamcam.media.images import Image
from streamcam.media.scaling import Resampler
from streamcam.media.side_data import Orientation, orientation_of
from streamcam.sources.normalization import to_upright_planar

TIME_BASE = Fraction(1, 90_000)
"""Seconds per unit of the pts of every live frame: video's usual clock, whatever the device's own is."""

_STEP = 90
"""How far apart, in ticks, frames are put whose times do not increase: a millisecond."""

_TRUSTED_S = 0.5
"""A device's clock that strays from the time of arrival by more than this is set anew."""

_FIRST_DELAY_S = 0.5
_LONGEST_DELAY_S = 10.0

Notify = Callable[[str | None], None]
"""Told in words what is wrong with a source, and None when all is well again."""


class LiveSource(abc.ABC):
    """A run of images that come when they come, of sizes that may change. Belongs to one thread.

    Attributes:
        name: What a message and the window's title call it, without credentials.
        rate: Frames per second as announced; None where nobody knows.
    """

    name: str
    rate: Fraction | None = None

    @abc.abstractmethod
    def frames(self, stop: threading.Event, notify: Notify) -> Iterator[Frame]:
        """Yield frames, each as soon as it is there, until the end or until `stop` is set.

        Args:
            stop: Looked at wherever there is something to wait for.
            notify: Told of trouble that may pass.

        Raises:
            SourceError: if there is no image to be had.
        """


@dataclasses.dataclass(frozen=True, slots=True)
class Grabbed:
    """One image as a device gave it."""

    image: Image
    """In any format, to be read only."""
    time_s: float | None = None
    """On the device's own clock, in seconds; None where it has none. Need not make sense."""


class Feed(abc.ABC):
    """A device or stream that can be opened again after it has failed. Belongs to one thread.

    Attributes:
        name: What a message calls it, without credentials.
        rate: Frames per second as announced, once it is open; None where nobody knows.
    """

    name: str
    rate: Fraction | None = None

    @abc.abstractmethod
    def open(self) -> None:
        """Open it.

        Raises:
            SourceError: if it cannot be opened.
        """

    @abc.abstractmethod
    def grab(self) -> Grabbed | None:
        """Wait for the next image, but not forever.

        Returns:
            The image; None if there was none yet and it may be asked for again.

        Raises:
            SourceError: if there will be none unless it is opened again.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of it; may be called again, and without `open`."""


class ReconnectingSource(LiveSource):
    """The images of a feed, which is opened again whenever it fails.

    A feed that cannot be opened at the very start is an error: most likely it was misspelt. One that
    fails later is tried again, with pauses that double up to ten seconds.
    """

    def __init__(self, feed: Feed) -> None:
        """Assign.

        Args:
            feed: Not open yet.
        """
        self.name = feed.name
        self._feed = feed
        self._clock = LiveClock()
        self._resampler = Resampler()
        self._count = 0

    def frames(self, stop: threading.Event, notify: Notify) -> Iterator[Frame]:
        """Yield frames until `stop` is set; see `LiveSource.frames`."""
        delay_s = _FIRST_DELAY_S
        try:
            self._feed.open()
            is_open = True
            while not stop.is_set():
                try:
                    if not is_open:
                        self._feed.open()
                        is_open = True
                    for frame in self._frames_of_one_connection(stop):
                        notify(None)
                        delay_s = _FIRST_DELAY_S
                        yield frame
                except SourceError as error:
                    self._feed.close()
                    is_open = False
                    notify(f"{error}; trying again")
                    stop.wait(delay_s)
                    delay_s = min(2 * delay_s, _LONGEST_DELAY_S)
        finally:
            self._feed.close()

    def _frames_of_one_connection(self, stop: threading.Event) -> Iterator[Frame]:
        """Yield frames until the feed fails."""
        self.rate = self._feed.rate
        orientation: Orientation | None = None
        while not stop.is_set():
            grabbed = self._feed.grab()
            received_at = time.monotonic()
            if grabbed is None:
                continue
            if orientation is None:  # once, as for files: asking for it is not free
                orientation = orientation_of(grabbed.image)
            try:
                image = to_upright_planar(grabbed.image, self._resampler, orientation, pixel_format="yuv420p")
            except (FFmpegError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                raise SourceError(f"{self.name} gave an image that cannot be shown ({reason})") from None
            pts = self._clock.place(received_at, grabbed.time_s)
            yield Frame(image, self._count, pts, TIME_BASE, received_at)
            self._count += 1


class LiveClock:
    """Gives frames the times of a device's clock where that makes sense, and else those of their arrival.

    Over a network, frames arrive in bursts and their own times are the even ones. But devices begin at
    any number, jump, stand still or run backwards.
    """

    def __init__(self) -> None:
        self._begin: float | None = None
        self._device_offset: float | None = None
        self._last = -_STEP

    def place(self, received_at: float, device_s: float | None) -> int:
        """Tell when a frame is to be shown.

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
