"""Explaining frames in batches: deciding which, and completing what belongs to all of them."""

from __future__ import annotations

from typing import Protocol

from streamcam.explanations import Explanation
from streamcam.frames import Frame
from streamcam.temporal import TemporalSettings, Tracker

Explained = tuple[Frame, Explanation]

_MOST_SKIPPED = 24
"""A batch with this many skipped frames in it is full, too: their images take memory."""


class FrameExplainer(Protocol):
    """Anything that explains frames; `streamcam.Explainer` is one."""

    batch_size: int

    def explain_frames(self, frames: list[Frame], tracker: Tracker | None = None) -> list[Explanation]:
        """Return one explanation for each frame, in order; a tracker decides which classes are explained."""


class BatchExplainer:
    """Explains one run of frames with an explainer that may be replaced on the way.

    Frames are gathered until those that are to be explained fill a batch. The batches of a file are always
    the same, so that results repeat bit for bit. Belongs to one thread.
    """

    def __init__(
        self,
        explainer: FrameExplainer,
        temporal: TemporalSettings | None,
        *,
        batch_size: int | None = None,
    ) -> None:
        """Begin a run.

        Args:
            explainer: Explains the frames.
            temporal: Which frames are explained, where shots begin and how labels hold; None explains every
                frame by itself.
            batch_size: Number of frames in a batch, the explainer's own if None. With 1 every frame comes
                back at once.

        Raises:
            InvalidArgumentError: if a temporal setting cannot be used.
        """
        self._explainer = explainer
        self._temporal = temporal
        self._batch_size = batch_size
        self.restart()

    def restart(self) -> None:
        """Begin a new run: drop what was gathered, and what was known of the frames before."""
        self._tracker = None if self._temporal is None else Tracker(self._temporal)
        self._batch: list[tuple[Frame, bool]] = []

    def switch(self, explainer: FrameExplainer) -> None:
        """Explain with another explainer from the next frame on, in a new run."""
        self._explainer = explainer
        self.restart()

    def explain(self, frame: Frame) -> list[Explained]:
        """Take the next frame.

        Returns:
            All frames of the batch that it completed, in order, with their explanations; often none.
        """
        self._batch.append((frame, self._tracker is None or self._tracker.observe(frame)))
        size = self._batch_size or self._explainer.batch_size
        due = sum(is_due for _, is_due in self._batch)
        is_full = due >= size or size == 1 or len(self._batch) - due == _MOST_SKIPPED
        return self.flush() if is_full else []

    def flush(self) -> list[Explained]:
        """Explain what was gathered, although it does not fill a batch."""
        batch, self._batch = self._batch, []
        due = [frame for frame, is_due in batch if is_due]
        raw = self._explainer.explain_frames(due, self._tracker) if due else []
        if self._tracker is None:
            return list(zip(due, raw, strict=True))
        by_index = {frame.index: explanation for frame, explanation in zip(due, raw, strict=True)}
        return [(frame, self._tracker.complete(frame, by_index.get(frame.index))) for frame, _ in batch]
