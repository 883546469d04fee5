"""Keep rendered frames in memory: for tests and for use from Python."""

from __future__ import annotations

from streamcam.errors import SinkError
from streamcam.explanations import RenderedFrame
from streamcam.sinks.base import Sink


class MemorySink(Sink):
    """A list of every frame written.

    Attributes:
        frames: The frames, in order.
        state: ``"open"``, ``"finished"`` or ``"aborted"``.
        cut_short: Whether it was finished early.
    """

    def __init__(self) -> None:
        self.frames: list[RenderedFrame] = []
        self.state = "open"
        self.cut_short = False

    def write(self, frame: RenderedFrame) -> None:
        """Append one frame.

        Raises:
            SinkError: if the sink has ended.
        """
        if self.state != "open":
            raise SinkError(f"the frames in memory are {self.state} already")
        self.frames.append(frame)

    def finish(self, *, cut_short: bool = False) -> None:
        """Mark the frames as complete.

        Raises:
            SinkError: if there is none, or the sink was aborted.
        """
        if self.state == "finished":
            return
        if not self.frames:
            self.state = "aborted"
            raise SinkError("nothing is kept in memory: no image was finished")
        self.state = "finished"
        self.cut_short = cut_short

    def abort(self) -> None:
        """Forget the frames, unless they are complete."""
        if self.state == "open":
            self.state = "aborted"
            self.frames.clear()
