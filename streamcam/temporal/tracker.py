"""What stage 2 remembers from frame to frame: where shots begin, what to explain, and of which classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from streamcam.explanations import Explanation, Prediction
from streamcam.frames import FloatArray, Frame
from streamcam.media.images import ByteArray
from streamcam.temporal.label_hold import LabelHold
from streamcam.temporal.settings import TemporalSettings
from streamcam.temporal.shots import CutDetector
from streamcam.temporal.thumbnails import view_of

Labels = Sequence[str] | Mapping[int, str]
"""The name of each class."""


@dataclasses.dataclass(slots=True)
class _Seen:
    """What is known of a frame until its explanation is complete."""

    view: ByteArray
    cut: bool
    probabilities: FloatArray | None = None
    """As they were ranked."""
    ranking: NDArray[np.int64] | None = None
    shown: tuple[Prediction, ...] = ()


class Tracker:
    """Follows one video frame by frame. Belongs to the thread that explains.

    Each frame goes through `observe`, then, if it is to be explained, through `rank`, and last through
    `complete`; several may be on their way, in order.
    """

    def __init__(self, settings: TemporalSettings) -> None:
        """Begin a video.

        Args:
            settings: How it is followed.

        Raises:
            InvalidArgumentError: if a setting cannot be used.
        """
        settings.check()
        self._cuts = CutDetector() if settings.cuts == "auto" else None
        self._labels = LabelHold(settings.label_hold_s)
        self._every = settings.every
        self._skipped: int | None = None
        self._seen: dict[int, _Seen] = {}
        self._last: Explanation | None = None

    def observe(self, frame: Frame) -> bool:
        """Look at the next frame.

        Returns:
            Whether it is to be explained: every so many frames one is, and each that begins a shot.
        """
        view = view_of(frame.image)
        cut = self._cuts is not None and self._cuts.is_cut(view, frame.time_s)
        self._seen[frame.index] = _Seen(view, cut)
        due = self._skipped is None or cut or self._skipped + 1 >= self._every
        self._skipped = 0 if due else (self._skipped or 0) + 1
        return due

    def rank(
        self, frames: Sequence[Frame], probabilities: FloatArray, labels: Labels, count: int
    ) -> NDArray[np.int64]:
        """Tell which classes are to be taken for the most probable ones of frames that were observed.

        Args:
            frames: N frames, in order.
            probabilities: float32 (N, classes).
            labels: The name of each class.
            count: How many classes are wanted.

        Returns:
            int64 (N, count), stabilized, best first.
        """
        rows = [
            self._rank(frame, row, labels, count) for frame, row in zip(frames, probabilities, strict=True)
        ]
        return np.stack(rows)

    def _rank(self, frame: Frame, probabilities: FloatArray, labels: Labels, count: int) -> NDArray[np.int64]:
        seen = self._seen[frame.index]
        if seen.ranking is None:  # a batch that was too large for the memory is tried again in parts
            if seen.cut:
                self._labels.restart()
            seen.probabilities = probabilities
            seen.ranking, smoothed = self._labels.update(probabilities, frame.time_s, count)
            seen.shown = tuple(
                Prediction(index, labels[index], float(smoothed[index])) for index in seen.ranking.tolist()
            )
        return seen.ranking

    def ranked(self, frame: Frame) -> tuple[FloatArray | None, tuple[Prediction, ...]]:
        """Tell what `rank` was given of a frame and what it made of it, for `repeat`."""
        seen = self._seen[frame.index]
        return seen.probabilities, seen.shown

    def repeat(self, frame: Frame, probabilities: FloatArray, shown: tuple[Prediction, ...]) -> None:
        """Rank a frame as it was ranked before, in a run of the same video that was interrupted."""
        self._rank(frame, probabilities, {one.index: one.label for one in shown}, len(shown))

    def complete(self, frame: Frame, explanation: Explanation | None) -> Explanation:
        """Add to a frame's explanation what was found in following the video.

        Args:
            frame: A frame that was observed.
            explanation: What the explainer made of it; None if it was left out.

        Returns:
            The explanation; without maps if the frame was left out.
        """
        seen = self._seen.pop(frame.index)
        if explanation is not None:
            self._last = explanation
        else:
            assert self._last is not None, "the first frame is always explained"
            explanation = dataclasses.replace(
                self._last, frame_index=frame.index, heatmaps={}, targets=(), predictions=(), flags={}
            )
        return dataclasses.replace(explanation, cut=seen.cut, shown=seen.shown, view=seen.view)
