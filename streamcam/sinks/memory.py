"""Keeping finished images in memory: for tests and for use from Python."""

from __future__ import annotations

from streamcam.errors import SinkError
from streamcam.media.images import Image
from streamcam.sinks.base import Sink


class MemorySink(Sink):
    """Keeps every image it is given.

    Attributes:
        images: The images, in order.
        state: ``"open"``, ``"finished"`` or ``"aborted"``.
        cut_short: Whether it was finished early.
    """

    def __init__(self) -> None:
        self.images: list[Image] = []
        self.state = "open"
        self.cut_short = False

    def write(self, image: Image) -> None:
        """Keep one image.

        Raises:
            SinkError: if the sink has ended.
        """
        if self.state != "open":
            raise SinkError(f"the images in memory are {self.state} already")
        self.images.append(image)

    def finish(self, *, cut_short: bool = False) -> None:
        """Note that the run is complete.

        Raises:
            SinkError: if there is no image, or the run was aborted.
        """
        if self.state == "finished":
            return
        if not self.images:
            self.state = "aborted"
            raise SinkError("no image was kept in memory: none was finished")
        self.state = "finished"
        self.cut_short = cut_short

    def abort(self) -> None:
        """Forget the images, unless the run is complete."""
        if self.state == "open":
            self.state = "aborted"
            self.images.clear()
