"""Classifiers of clips: networks that look at several frames at once."""

from __future__ import annotations

import dataclasses

from streamcam.models.classifier import Classifier


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ClipClassifier(Classifier):
    """A network that takes clips, (N, channels, T, H, W), and whose scores are logits."""

    frames: int = 16
    """T, the number of frames in a clip."""
    rate: float = 15.0
    """How many frames of a second are in it, as the network was evaluated."""

    @property
    def clip_length(self) -> int:
        """As in `Model`."""
        return self.frames

    @property
    def clip_fps(self) -> float:
        """As in `Model`."""
        return self.rate
