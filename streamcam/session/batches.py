"""Explaining frames of the streams of a live session in one batch, each stream with a memory of its own."""

from __future__ import annotations

from collections.abc import Sequence

from streamcam.explanations import Explanation
from streamcam.frames import Frame
from streamcam.pipeline.batches import FrameExplainer
from streamcam.session.newest import NumberedFrame
from streamcam.temporal import TemporalSettings, TogetherTracker, Tracker


class LiveBatches:
    """Explains one frame of each of some streams at a time. Belongs to one thread."""

    def __init__(self, explainer: FrameExplainer, temporal: TemporalSettings, streams: int) -> None:
        """Begin.

        Args:
            explainer: Explains the frames.
            temporal: How classes and shots are followed from frame to frame of a stream.
            streams: Number of streams.
        """
        self._explainer = explainer
        self._temporal = temporal
        self._trackers = [Tracker(temporal) for _ in range(streams)]
        self._last = [-1] * streams

    def switch(self, explainer: FrameExplainer) -> None:
        """Explain with another explainer from the next frames on, of which none is known."""
        self._explainer = explainer
        self._trackers = [Tracker(self._temporal) for _ in self._trackers]

    def explain(
        self, frames: Sequence[NumberedFrame], before: Sequence[Frame] = ()
    ) -> list[tuple[int, Frame, Explanation]]:
        """Explain the newest frames of some streams.

        Args:
            frames: At most one of each stream.
            before: Of a single stream and a network that takes clips: frames before this one that are not
                explained themselves.

        Returns:
            Index, frame and explanation of each.
        """
        frames = sorted(frames, key=_size_of)  # the network takes those of one size at once
        for stream, frame in frames:
            if frame.index <= self._last[stream]:  # a frozen frame comes again
                self._trackers[stream] = Tracker(self._temporal)
            self._last[stream] = frame.index
        observed = [(frame, self._trackers[stream]) for stream, frame in frames]
        due = [(frame, tracker) for frame, tracker in observed if tracker.observe(frame)]
        explained = iter(self._explain(due, before) if due else [])
        is_due = {id(frame) for frame, _ in due}
        return [
            (stream, frame, tracker.complete(frame, next(explained) if id(frame) in is_due else None))
            for (stream, frame), (_, tracker) in zip(frames, observed, strict=True)
        ]

    def _explain(self, due: Sequence[tuple[Frame, Tracker]], before: Sequence[Frame]) -> list[Explanation]:
        frames = [frame for frame, _ in due]
        tracker = due[0][1] if len(due) == 1 else TogetherTracker(frames, [tracker for _, tracker in due])
        if not self._explainer.clip_s:
            return self._explainer.explain_frames(frames, tracker)
        return self._explainer.explain_frames(frames, tracker, (*before, *frames))


def _size_of(numbered: NumberedFrame) -> tuple[int, int]:
    image = numbered[1].image
    return image.width, image.height
