"""Audio of a live session that waits for the images of its time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from streamcam.frames import AudioBlock

_MOST_BLOCKS = 512
"""About ten seconds: the oldest are dropped where images do not come, or cannot be written."""


class WaitingAudio:
    """Blocks of audio in order: added in the thread that reads the source, taken in the one that encodes."""

    def __init__(self) -> None:
        self._blocks: deque[AudioBlock] = deque(maxlen=_MOST_BLOCKS)

    def add(self, block: AudioBlock) -> None:
        """Add a block."""
        self._blocks.append(block)

    def take_until(self, time_s: float) -> Iterator[AudioBlock]:
        """Yield the blocks that begin up to a time; what is added meanwhile is later."""
        while self._blocks and self._blocks[0].time_s <= time_s:
            yield self._blocks.popleft()
