"""The worker of a cluster that draws and encodes parts of one video; it needs no network."""

from __future__ import annotations

import threading

from streamcam.cluster.worker import copy_here, enter
from streamcam.errors import StreamcamError
from streamcam.pipeline.parts.drawing import DrawingTask, EncodedPart, PartDrawing, draw_part
from streamcam.pipeline.parts.plan import PartedVideo
from streamcam.sources import Source


class DrawingWorker:
    """Draws and encodes parts of one video in a process of its own."""

    def __init__(self, video: PartedVideo, drawing: PartDrawing, directory: str) -> None:
        """Prepare.

        Args:
            video: The video.
            drawing: How its frames are drawn and encoded.
            directory: Relative names start there, on all machines.
        """
        self._video = video
        self._drawing = drawing
        self._directory = directory
        self._copied: Source | None = None
        self._is_begun = False
        self._is_ended = False
        self._drawing_one = threading.Lock()

    def draw(self, task: DrawingTask) -> tuple[EncodedPart | None, StreamcamError | None]:
        """Draw and encode a part; return it, or why there is none."""
        with self._drawing_one:
            try:
                if not self._is_begun and not self._is_ended:
                    enter(self._directory)
                    self._video, self._copied = copy_here(self._video)
                    self._is_begun = True
                return draw_part(self._video, self._drawing, task, lambda: self._is_ended), None
            except StreamcamError as error:
                return None, error

    def end(self) -> None:
        """End a part in its middle, and remove what was copied of the video; called meanwhile."""
        self._is_ended = True
        with self._drawing_one:
            if self._copied is not None:
                self._copied.close()
