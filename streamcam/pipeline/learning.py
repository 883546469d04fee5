"""Letting explainers learn from a sample of a video, before its frames are explained in one pass."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from streamcam.errors import SourceError
from streamcam.frames import Frame, SourceInfo
from streamcam.sources import SourceSettings
from streamcam.sources.spread import read_frame_at, spread_times

_logger = logging.getLogger("streamcam.pipeline")


@runtime_checkable
class LearningExplainer(Protocol):
    """An explainer that may learn from a video before it explains it; `streamcam.Explainer` is one."""

    @property
    def learns_from(self) -> int:
        """How many frames it is to be given; 0 if it learns nothing."""

    def learn(self, frames: Sequence[Frame]) -> None:
        """Learn from a sample of the video that is explained next; none if there is no sample."""


def let_learn(explainer: object, info: SourceInfo, settings: SourceSettings) -> None:
    """Let an explainer learn from frames spread over a video, if it learns anything.

    The same frames are taken each time, so that a render that is resumed repeats what it was. Of what cannot
    be read twice there is no sample: it is learned from the first frames.

    Args:
        explainer: Explains the video next.
        info: Description of the video.
        settings: How it is read.
    """
    if isinstance(explainer, LearningExplainer) and explainer.learns_from:
        frames = _sample(info, settings, explainer.learns_from)
        _logger.info("%d frames spread over %r are learned from", len(frames), info.name)
        explainer.learn(frames)


def _sample(info: SourceInfo, settings: SourceSettings, count: int) -> list[Frame]:
    """Take a frame at a random time of each of several equal parts of a video, by seeking."""
    if info.path is None or info.is_still or info.duration_s is None:
        return []
    frames: dict[float, Frame] = {}
    for time_s in spread_times(info.duration_s, count):
        # No frame may begin after it; damage is reported when the video itself is read.
        with contextlib.suppress(SourceError):
            frame = read_frame_at(info.path, (settings.start_s or 0.0) + time_s, settings)
            if frame is not None:
                frames[frame.time_s] = frame
    return list(frames.values())
