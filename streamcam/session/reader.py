"""Reading one source of a live session in a thread of its own."""

from __future__ import annotations

import math
import threading
from collections import deque

from streamcam.frames import Frame
from streamcam.pipeline.workers import Worker
from streamcam.session.newest import NewestFrames
from streamcam.sources import Source

_MOST_RECENT = 32
"""Number of frames that are kept for clips while one is explained."""


class StreamReader:
    """Passes the frames of one source on, and closes it.

    Attributes:
        source: The source.
        captured: How many frames have been read.
        clip_s: Length of the clips that its frames are gathered for, in seconds; 0 for none. Set by the
            thread that explains.
        worker: The thread.
    """

    def __init__(
        self,
        source: Source,
        stream: int,
        frames: NewestFrames,
        to_explain: NewestFrames,
        ended: deque[tuple[int, Exception | None]],
        *,
        is_only: bool,
    ) -> None:
        """Connect it; nothing runs yet.

        Args:
            source: The source, iterated and closed in the thread.
            stream: Its index.
            frames: Takes every frame.
            to_explain: Takes every frame that is to be explained.
            ended: Takes note of the end, and of its reason.
            is_only: Whether a failure ends everything, because there is no other stream.
        """
        self.source = source
        self.captured = 0
        self.clip_s = 0.0
        self._stream = stream
        self._frames = frames
        self._to_explain = to_explain
        self._ended = ended
        self._is_only = is_only
        self._recent: deque[Frame] = deque(maxlen=_MOST_RECENT)
        self._frozen = False
        self._freezing = threading.Lock()
        self._problem: Exception | None = None
        name = "reader" if is_only else f"reader-{stream}"
        self.worker = Worker(name, self._read, on_error=self._fail, on_end=self._end)

    def freeze(self, frozen: bool) -> None:
        """Let no new frames be explained from now on; or all again."""
        # The lock: a frame that is being put would otherwise replace one that is to be explained after this.
        with self._freezing:
            self._frozen = frozen

    def take_recent(self, frame: Frame) -> list[Frame]:
        """Take the frames that were kept for the clip of a frame, without those behind it."""
        before: list[Frame] = []
        while self._recent and self._recent[0].index < frame.index:
            before.append(self._recent.popleft())
        if self._recent and self._recent[0] is frame:
            self._recent.popleft()
        return before

    def _read(self) -> None:
        with self.source:
            for frame in self.source:
                self.captured += 1
                self._frames.put(self._stream, frame)
                with self._freezing:
                    if not self._frozen:
                        self._keep_for_clips(frame)
                        self._to_explain.put(self._stream, frame)

    def _keep_for_clips(self, frame: Frame) -> None:
        """Keep a frame that may be in the next clip without being explained, spread evenly over its time."""
        if self.clip_s:
            last_s = self._recent[-1].time_s if self._recent else -math.inf
            if not 0 <= frame.time_s - last_s < self.clip_s / _MOST_RECENT:
                self._recent.append(frame)

    def _fail(self, error: BaseException) -> None:
        if self._is_only or not isinstance(error, Exception):
            self._frames.fail(error)
        else:
            self._problem = error

    def _end(self) -> None:
        self._ended.append((self._stream, self._problem))
        self._frames.close(self._stream)
