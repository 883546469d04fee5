"""What is wanted of a film, apart from when."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class ReadingSettings:
    """How a film is read."""

    video_stream: int | None = None
    """Which of the file's streams to decode, by its index; the best one if None."""
