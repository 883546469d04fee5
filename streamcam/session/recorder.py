"""The recording thread: it draws and encodes by itself, and the preview never waits for it."""

from __future__ import annotations

import dataclasses
import threading
from fractions import Fraction
from pathlib import Path

from streamcam.errors import SinkError
from streamcam.explanations import RenderedFrame, StabilizedFrame
from streamcam.frames import Frame
from streamcam.overlay import OverlaySettings
from streamcam.pipeline.channel import Channel, ChannelClosedError
from streamcam.session.compositor import Compositor
from streamcam.sinks import Recording

_WAITING = 15
"""Frames that may wait for the encoder: half a second of a camera's."""


@dataclasses.dataclass(frozen=True, slots=True)
class Recorded:
    """One frame to be recorded, and how it is to look."""

    frame: Frame
    stabilized: StabilizedFrame | None
    """Its heat; None for the bare image."""
    overlay: OverlaySettings


class Recorder:
    """One recording, from its beginning to its end.

    Attributes:
        path: The file.
        began_s: The time of the first frame, in seconds of the stream.
        problem: Why it ended by itself, in words; None while nothing is wrong.
    """

    def __init__(self, path: Path, rate: Fraction | None) -> None:
        """Start the thread.

        Args:
            path: Checked with `streamcam.sinks.check_recording`.
            rate: Frames per second, as far as known.
        """
        self.path = path
        self.problem: str | None = None
        self.began_s: float | None = None
        self._sink = Recording(path, rate=rate)
        self._frames: Channel[Recorded] = Channel(_WAITING, "drop_oldest")
        self._thread = threading.Thread(target=self._record, name="streamcam-recorder", daemon=True)
        self._thread.start()

    @property
    def written(self) -> int:
        """How many frames were written so far."""
        return self._sink.written

    @property
    def dropped(self) -> int:
        """How many were left out because the encoder or the disk was too slow."""
        return self._frames.dropped

    def put(self, recorded: Recorded) -> None:
        """Record a frame; one that cannot be kept up with is dropped, and counted."""
        if self.began_s is None:
            self.began_s = recorded.frame.time_s
        try:
            self._frames.put(recorded)
        except ChannelClosedError:  # it has ended by itself, and `problem` says why
            return

    def stop(self) -> None:
        """Let it be finished; does not wait."""
        self._frames.close()

    def wait(self, patience_s: float) -> None:
        """Wait until it is finished; a disk that hangs is waited for only so long."""
        self.stop()
        self._thread.join(patience_s)
        if self._thread.is_alive() and self.problem is None:
            self.problem = f"{str(self.path)!r} was not finished: its disk does not answer"

    def _record(self) -> None:
        compositor = Compositor()
        try:
            with self._sink:
                for item in self._frames:
                    image = compositor.compose(item.frame, item.stabilized, item.overlay)
                    frame = item.frame  # the image's own time is the device's, which need not make sense
                    self._sink.write(RenderedFrame(image, frame.pts, frame.time_base, item.stabilized))
        except SinkError as error:
            self.problem = str(error)
        except Exception as error:  # a recording that fails must not end the preview
            self.problem = f"{str(self.path)!r} was given up ({type(error).__name__}: {error})"
        # Nobody takes what still waits; it is much to keep for as long as the preview runs.
        self._frames.fail(ChannelClosedError("the recording has ended"))
